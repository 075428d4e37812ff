//! Runs the calculation of one side, with its parameters bound, under the memory budget of the project.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use datafusion::{
    common::ScalarValue,
    dataframe::DataFrame,
    datasource::MemTable,
    error::DataFusionError,
    execution::{
        context::{SQLOptions, SessionContext},
        memory_pool::FairSpillPool,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    prelude::SessionConfig,
};
use dualrun_core::{
    Period, input::Side, parameter::ParameterValue, period::time_zone, run::CalculationConsistency,
};
use dualrun_mapping::{
    plan::{Calculation, Engine, Model, Pipeline},
    settings::{Limits, SourceSettings},
};
use dualrun_sources::CutOff;
use sha2::{Digest, Sha256};

use crate::{
    context::{InputReader, OutsideCalculator},
    error::EngineError,
    inputs::Tables,
    outside::Outside,
    scratch::Scratch,
};

/// The part of the memory budget that the rows of one input of a server may take, and its bounds in bytes.
const KEPT: usize = 64;
const KEPT_BYTES: (usize, usize) = (64 << 10, 64 << 20);

/// Values of the switches by parameter name.
pub type Switches = BTreeMap<String, ParameterValue>;

/// Memory budget, spill folder and parallelism of all calculations of a process, and what they reach outside of it.
#[derive(Clone)]
pub struct Runtime {
    env: Arc<RuntimeEnv>,
    partitions: usize,
    /// Bytes of rows of one input of a server that are kept in memory; more of them go to a file.
    kept: usize,
    scratch: Arc<Scratch>,
    reader: Option<Arc<dyn InputReader>>,
    sources: Arc<BTreeMap<String, SourceSettings>>,
    outside: Option<Arc<dyn OutsideCalculator>>,
}

impl Runtime {
    /// A runtime within the limits of a project.
    ///
    /// # Errors
    /// A memory size that cannot be read or a spill folder that cannot be used.
    pub fn new(limits: &Limits, root: &Path) -> Result<Self, EngineError> {
        let bytes = memory_size(&limits.memory).ok_or_else(|| {
            EngineError::Limits(format!("{:?} is not a memory size such as \"2GiB\"", limits.memory))
        })?;
        let scratch = Scratch::new(&root.join(&limits.spill))
            .map_err(|e| EngineError::Limits(format!("spill folder {:?}: {e}", limits.spill)))?;
        let env = RuntimeEnvBuilder::new()
            // Shared fairly: one large sort must not starve the other side of the same run.
            .with_memory_pool(Arc::new(FairSpillPool::new(bytes)))
            .with_temp_file_path(scratch.path())
            .build_arc()
            .map_err(|e| EngineError::Limits(format!("spill folder {:?}: {e}", limits.spill)))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Two sides of several pipelines run at once; more partitions than cores would only cost planning.
        let at_once = usize::from(limits.pipelines_at_once.max(1)) * 2;
        Ok(Self {
            env,
            partitions: (cores / at_once).max(1),
            kept: (bytes / KEPT).clamp(KEPT_BYTES.0, KEPT_BYTES.1),
            scratch: Arc::new(scratch),
            reader: None,
            sources: Arc::default(),
            outside: None,
        })
    }

    /// The same with a reader of results that stand in these sources.
    #[must_use]
    pub(crate) fn with_reader(
        self,
        reader: Arc<dyn InputReader>,
        sources: BTreeMap<String, SourceSettings>,
    ) -> Self {
        Self { reader: Some(reader), sources: Arc::new(sources), ..self }
    }

    /// The same with what runs programs and asks servers.
    #[must_use]
    pub fn with_outside(self, outside: Arc<dyn OutsideCalculator>) -> Self {
        Self { outside: Some(outside), ..self }
    }

    pub(crate) fn reader(&self) -> Option<&dyn InputReader> {
        self.reader.as_deref()
    }

    pub(crate) fn source(&self, name: &str) -> Option<&SourceSettings> {
        self.sources.get(name)
    }

    pub(crate) fn outside(&self) -> Option<&dyn OutsideCalculator> {
        self.outside.as_deref()
    }

    pub(crate) fn kept_in_memory(&self) -> usize {
        self.kept
    }

    /// A folder for temporary files.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A session with no tables.
    pub fn session(&self) -> SessionContext {
        let config =
            SessionConfig::new().with_target_partitions(self.partitions).with_information_schema(false);
        SessionContext::new_with_config_rt(config, Arc::clone(&self.env))
    }
}

/// What SQL of a project may do: ask. Nothing is created, changed or written by it.
pub(crate) fn queries_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Bytes of a text such as `512MiB`, `2GiB` or `1000000`.
pub fn memory_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0)
}

/// The calculation of one side of a pipeline over the inputs of one period. Results of models that no switch
/// reaches are computed once and shared by all replays.
#[derive(Clone)]
pub struct Calculator {
    runtime: Runtime,
    calculation: Arc<Calculation>,
    tables: Tables,
    builtin: Vec<(&'static str, Option<ParameterValue>)>,
    outside: Outside,
    shared: Arc<Mutex<HashMap<String, Shared>>>,
}

/// The rows of a model that several calculations read.
#[derive(Clone)]
struct Shared {
    table: Arc<MemTable>,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// The parameters that every calculation of a period is given.
fn builtin(
    pipeline: &Pipeline,
    period: Period,
) -> Result<Vec<(&'static str, Option<ParameterValue>)>, EngineError> {
    let zone = time_zone(&pipeline.result.period.time_zone)?;
    let (start, end) = period.instants(&zone)?;
    let last = period.end()?.yesterday().unwrap_or(period.start());
    Ok(vec![
        ("period_start", Some(ParameterValue::Timestamp(start))),
        ("period_end", Some(ParameterValue::Timestamp(end))),
        ("period_first_day", Some(ParameterValue::Date(period.start()))),
        ("period_last_day", Some(ParameterValue::Date(last))),
        // A model may ask for one customer; the nightly job asks for all.
        ("customer", None),
    ])
}

fn with_builtin(switches: &Switches, builtin: &[(&'static str, Option<ParameterValue>)]) -> Switches {
    let mut parameters = switches.clone();
    parameters.extend(builtin.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?))));
    parameters
}

/// The parameters of a calculation outside of the query engine, under given switches.
///
/// # Errors
/// A period without bounds.
pub fn parameters(pipeline: &Pipeline, period: Period, switches: &Switches) -> Result<Switches, EngineError> {
    Ok(with_builtin(switches, &builtin(pipeline, period)?))
}

impl Calculator {
    /// Prepares the calculation of a side.
    ///
    /// # Errors
    /// A period without bounds.
    pub fn new(
        runtime: &Runtime,
        pipeline: &Pipeline,
        side: Side,
        period: Period,
        tables: Tables,
    ) -> Result<Self, EngineError> {
        let builtin = builtin(pipeline, period)?;
        Ok(Self {
            runtime: runtime.clone(),
            calculation: Arc::new(pipeline.calculation(side).clone()),
            tables,
            builtin,
            outside: Outside::new(side, period.days()?),
            shared: Arc::default(),
        })
    }

    /// The same in a state of the servers that it reads.
    #[must_use]
    pub fn with_cut(mut self, cut: Arc<CutOff>) -> Self {
        self.outside.cut = cut;
        self
    }

    /// What makes the result: models and the switch values that reach the last one. The fingerprints of the
    /// inputs and the period are the caller's to add.
    pub fn key(&self, switches: &Switches) -> String {
        let mut hash = Sha256::new();
        hash.update(self.calculation.hash.as_bytes());
        let reaching = values(switches, &|name| self.calculation.depends_on(name));
        hash.update(reaching.as_bytes());
        hex(&hash.finalize())
    }

    /// All result rows. `share` keeps the results of the models before the last for further replays.
    ///
    /// # Errors
    /// A model that does not fit its inputs or that fails.
    pub async fn calculate(
        &self,
        switches: &Switches,
        share: bool,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), EngineError> {
        if !matches!(self.calculation.engine, Engine::Sql(_)) {
            let parameters = with_builtin(switches, &self.builtin);
            let engine = &self.calculation.engine;
            return self.outside.calculate(&self.runtime, engine, &self.tables, &parameters).await;
        }
        let (frame, file) = self.frame(&self.calculation, switches, share).await?;
        let schema = Arc::clone(frame.schema().inner());
        let failed = |source| EngineError::Calculate { file, source };
        let batches = frame.collect().await.map_err(failed)?;
        // The planner knows names; the batches know the types that really came.
        let schema = batches.first().map_or(schema, RecordBatch::schema);
        Ok((schema, batches))
    }

    /// The rows of every SQL model in its order, the result last.
    ///
    /// # Errors
    /// As [`Self::calculate`].
    pub(crate) async fn models(
        &self,
        switches: &Switches,
    ) -> Result<Vec<(String, SchemaRef, Vec<RecordBatch>)>, EngineError> {
        let (schema, batches) = self.calculate(switches, true).await?;
        let mut models = Vec::new();
        let Some((last, before)) = self.calculation.models().split_last() else { return Ok(models) };
        {
            let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            for model in before {
                if let Some(rows) = shared.get(&shared_key(&self.calculation, model, switches)) {
                    models.push((model.name.clone(), Arc::clone(&rows.schema), rows.batches.clone()));
                }
            }
        }
        models.push((last.name.clone(), schema, batches));
        Ok(models)
    }

    /// The columns of the result, without running anything; of a calculation outside of the engine those of its
    /// embedded form, none where it has none.
    ///
    /// # Errors
    /// A model that does not fit its inputs.
    pub async fn schema(&self, switches: &Switches) -> Result<Option<SchemaRef>, EngineError> {
        let planned = self.calculation.planned();
        if !matches!(planned.engine, Engine::Sql(_)) {
            return Ok(None);
        }
        let (frame, _) = self.frame(planned, switches, false).await?;
        Ok(Some(Arc::clone(frame.schema().inner())))
    }

    /// Whether the results may be others although calculation and inputs are the same: they stand somewhere already,
    /// or a server makes them from whatever it holds.
    pub(crate) fn may_change_unseen(&self) -> bool {
        matches!(self.calculation.engine, Engine::Relation(_) | Engine::Postgres(_) | Engine::Mongodb(_))
    }

    /// What tells one state of results that already stand somewhere from another; none where they are calculated.
    pub(crate) async fn version(&self, switches: &Switches) -> Result<Option<String>, EngineError> {
        self.outside.version(&self.runtime, &self.calculation.engine, switches).await
    }

    /// The state of a server that the calculations so far saw; none where no server was asked.
    pub(crate) fn consistency(&self) -> Option<CalculationConsistency> {
        self.outside.consistency()
    }

    /// What was noticed in the results so far.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.calculation.note.iter().cloned().chain(self.outside.notes()).collect()
    }

    async fn frame(
        &self,
        calculation: &Calculation,
        switches: &Switches,
        share: bool,
    ) -> Result<(DataFrame, String), EngineError> {
        let session = self.runtime.session();
        for (name, table) in &self.tables {
            let model_error = |source| EngineError::Model { file: name.clone(), source };
            let provider = table.provider(&session).map_err(model_error)?;
            session.register_table(name.as_str(), provider).map_err(model_error)?;
        }
        let last = calculation.models().len().saturating_sub(1);
        for (n, model) in calculation.models().iter().enumerate() {
            let file = model.file.display().to_string();
            let planned = |source| EngineError::Model { file: file.clone(), source };
            if n == last {
                let frame = self.plan(&session, model, switches).await.map_err(planned)?;
                return Ok((frame, file));
            }
            if !share {
                let frame = self.plan(&session, model, switches).await.map_err(planned)?;
                session.register_table(model.name.as_str(), frame.into_view()).map_err(planned)?;
                continue;
            }
            let key = shared_key(calculation, model, switches);
            let known = self.shared.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            let table = match known {
                Some(shared) => shared.table,
                None => {
                    let frame = self.plan(&session, model, switches).await.map_err(planned)?;
                    let schema = Arc::clone(frame.schema().inner());
                    let batches = frame
                        .collect()
                        .await
                        .map_err(|source| EngineError::Calculate { file: file.clone(), source })?;
                    let schema = batches.first().map_or(schema, RecordBatch::schema);
                    let rows = vec![batches.clone()];
                    let table = Arc::new(MemTable::try_new(Arc::clone(&schema), rows).map_err(planned)?);
                    let shared = Shared { table: Arc::clone(&table), schema, batches };
                    self.shared.lock().unwrap_or_else(PoisonError::into_inner).insert(key, shared);
                    table
                }
            };
            session.register_table(model.name.as_str(), table).map_err(planned)?;
        }
        Err(EngineError::Limits("a calculation without models".into()))
    }

    async fn plan(
        &self,
        session: &SessionContext,
        model: &Model,
        switches: &Switches,
    ) -> Result<DataFrame, DataFusionError> {
        let sql = model.sql.trim().trim_end_matches(';');
        let plan = session.state().create_logical_plan(sql).await?;
        queries_only().verify_plan(&plan)?;
        let given = |value: &Option<ParameterValue>| value.as_ref().map_or(ScalarValue::Utf8(None), scalar);
        let mut values: HashMap<String, ScalarValue> =
            self.builtin.iter().map(|(name, value)| ((*name).to_owned(), given(value))).collect();
        values.extend(switches.iter().map(|(name, value)| (name.clone(), scalar(value))));
        session.execute_logical_plan(plan.with_param_values(values)?).await
    }
}

/// What makes the rows of a model: the switches that reach it.
fn shared_key(calculation: &Calculation, model: &Model, switches: &Switches) -> String {
    let names = calculation.parameters_reaching(&model.name);
    format!("{}\0{}", model.name, values(switches, &|name| names.contains(name)))
}

/// The values of the switches that count, with their types, as one text.
fn values(switches: &Switches, counts: &dyn Fn(&str) -> bool) -> String {
    let counting = switches.iter().filter(|(name, _)| counts(name));
    let values: Vec<String> =
        counting.map(|(name, value)| format!("{name}={}:{value}", type_name(value))).collect();
    values.join("\0")
}

fn type_name(value: &ParameterValue) -> &'static str {
    match value {
        ParameterValue::Text(_) => "text",
        ParameterValue::Integer(_) => "integer",
        ParameterValue::Float(_) => "float",
        ParameterValue::Boolean(_) => "boolean",
        ParameterValue::Date(_) => "date",
        ParameterValue::Timestamp(_) => "timestamp",
    }
}

fn scalar(value: &ParameterValue) -> ScalarValue {
    match value {
        ParameterValue::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        ParameterValue::Integer(number) => ScalarValue::Int64(Some(*number)),
        ParameterValue::Float(number) => ScalarValue::Float64(Some(*number)),
        ParameterValue::Boolean(flag) => ScalarValue::Boolean(Some(*flag)),
        ParameterValue::Date(date) => ScalarValue::Date32(Some(days_since_epoch(*date))),
        ParameterValue::Timestamp(at) => {
            ScalarValue::TimestampMicrosecond(Some(at.as_microsecond()), Some("UTC".into()))
        }
    }
}

/// Days since 1970-01-01, as Arrow's Date32 counts them.
pub(crate) fn days_since_epoch(date: jiff::civil::Date) -> i32 {
    // A civil date lies within ±9999 years: the number of days fits.
    (date - jiff::civil::date(1970, 1, 1)).get_days()
}

/// Lower-case hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_sizes_are_read() {
        assert_eq!(memory_size("2GiB"), Some(2 << 30));
        assert_eq!(memory_size("512 MiB"), Some(512 << 20));
        assert_eq!(memory_size("1000"), Some(1000));
        assert_eq!(memory_size("0MiB"), None);
        assert_eq!(memory_size("lots"), None);
    }

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(days_since_epoch(jiff::civil::date(1970, 1, 2)), 1);
        assert_eq!(days_since_epoch(jiff::civil::date(2025, 3, 30)), 20177);
    }
}
