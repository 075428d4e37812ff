//! Calculations that the query engine does not carry out: results that already stand somewhere are read here, programs
//! and servers are asked through [`OutsideCalculator`](crate::context::OutsideCalculator).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use dualrun_core::{
    input::Side,
    parameter::ParameterValue,
    run::{CalculationConsistency, Consistency},
};
use dualrun_mapping::plan::{Engine, Relation};
use dualrun_sources::{CutOff, FileReport, InputTable, KeptRows, SourceError, command::StagedInputs};
use jiff::civil::Date;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::{
    calculate::{Runtime, Switches, hex},
    context::{InputRequest, OutsideRequest},
    error::EngineError,
    evidence::encode_parquet,
    input::Input,
    inputs::{Tables, expand},
    record::misfit_note,
};

/// What one side of a run needs besides its calculation.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) side: Side,
    pub(crate) days: Vec<Date>,
    /// The state in which servers are read.
    pub(crate) cut: Arc<CutOff>,
    staged: Arc<OnceCell<StagedInputs>>,
    notes: Arc<Mutex<BTreeSet<String>>>,
    /// Of the calculations so far, the weakest.
    consistency: Arc<Mutex<Option<CalculationConsistency>>>,
}

impl Outside {
    pub(crate) fn new(side: Side, days: Vec<Date>) -> Self {
        Self {
            side,
            days,
            cut: Arc::default(),
            staged: Arc::default(),
            notes: Arc::default(),
            consistency: Arc::default(),
        }
    }

    /// All result rows of a calculation by another engine than SQL.
    pub(crate) async fn calculate(
        &self,
        runtime: &Runtime,
        engine: &Engine,
        tables: &Tables,
        parameters: &BTreeMap<String, ParameterValue>,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), EngineError> {
        let read = match engine {
            Engine::Relation(relation) => self.read(runtime, relation, parameters).await,
            _ => self.ask(runtime, engine, tables, parameters).await,
        };
        let table = read.map_err(|source| self.error(engine, source))?;
        self.notice(engine, &table);
        Ok((table.schema, table.batches))
    }

    /// What tells one state of results that stand somewhere from another; none where a calculation makes them.
    pub(crate) async fn version(
        &self,
        runtime: &Runtime,
        engine: &Engine,
        switches: &Switches,
    ) -> Result<Option<String>, EngineError> {
        let Engine::Relation(relation) = engine else { return Ok(None) };
        let read = self.read(runtime, relation, switches).await;
        let table = read.map_err(|source| self.error(engine, source))?;
        let mut hash = Sha256::new();
        let known = |file: &FileReport| file.e_tag.is_some() || file.last_modified.is_some();
        if !table.report.files.iter().all(known) {
            // Nothing but the rows tells one state of a table of a server from another.
            let rows = encode_parquet(&table.schema, &table.batches).map_err(|e| {
                self.error(engine, SourceError::Config(format!("results that no file can hold: {e}")))
            })?;
            hash.update(rows);
        }
        for file in &table.report.files {
            let version = file.e_tag.as_ref().or(file.last_modified.as_ref()).map_or("", String::as_str);
            hash.update(format!("{}\0{}\0{}\0{version}\0", file.path, file.bytes, file.rows));
        }
        Ok(Some(hex(&hash.finalize())))
    }

    /// What was noticed in the results so far.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The state of a server that the calculations so far saw; none where no server was asked.
    pub(crate) fn consistency(&self) -> Option<CalculationConsistency> {
        self.consistency.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(
        &self,
        runtime: &Runtime,
        relation: &Relation,
        parameters: &BTreeMap<String, ParameterValue>,
    ) -> Result<InputTable, SourceError> {
        let (Some(reader), Some(source)) = (runtime.reader(), runtime.source(&relation.place.source)) else {
            return Err(SourceError::Config(format!(
                "no source {:?} can be read here",
                relation.place.source
            )));
        };
        let place = with_values(relation.place.place(), parameters)?;
        let places = expand(&source.url, &place, &self.days);
        let request = InputRequest { source, places, shape: &relation.shape, days: None, cut: &self.cut };
        let table = reader.read(&request).await?;
        if table.report.files.is_empty() && !table.report.missing_files.is_empty() {
            // No rows would be compared as if the calculation had found none.
            return Err(SourceError::NotFound { path: table.report.missing_files.join(", ") });
        }
        Ok(table)
    }

    async fn ask(
        &self,
        runtime: &Runtime,
        engine: &Engine,
        tables: &Tables,
        parameters: &BTreeMap<String, ParameterValue>,
    ) -> Result<InputTable, SourceError> {
        let Some(outside) = runtime.outside() else {
            return Err(SourceError::Config(format!("the engine {} cannot be run here", engine.as_str())));
        };
        let none = BTreeMap::new();
        let inputs: &BTreeMap<String, PathBuf> = match engine {
            Engine::Command(_) => self.staged(runtime, tables).await?.files(),
            _ => &none,
        };
        let scratch = runtime.scratch();
        let request = OutsideRequest { engine, parameters, inputs, scratch, cut: &self.cut };
        outside.calculate(&request).await
    }

    /// The inputs as files, written once for all replays.
    async fn staged(&self, runtime: &Runtime, tables: &Tables) -> Result<&StagedInputs, SourceError> {
        let write = || async {
            let scratch = runtime.scratch().to_owned();
            let kept =
                |(name, input): (&String, &Arc<Input>)| Some((name.clone(), Arc::clone(input.kept()?)));
            let inputs: BTreeMap<String, Arc<KeptRows>> = tables.iter().filter_map(kept).collect();
            let written = tokio::task::spawn_blocking(move || StagedInputs::write(&scratch, &inputs)).await;
            written.unwrap_or_else(|_| Err(SourceError::Config("writing the inputs was cancelled".into())))
        };
        self.staged.get_or_try_init(write).await
    }

    fn notice(&self, engine: &Engine, table: &InputTable) {
        if let Some(consistency) = &table.report.consistency {
            self.saw(engine.as_str(), consistency);
        }
        let missing = table
            .report
            .missing_files
            .iter()
            .map(|file| format!("the {} side has no results at {file}", self.side));
        let misfits =
            table.report.misfits.iter().map(|m| misfit_note(self.side, &format!("result.{}", m.field), m));
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).extend(missing.chain(misfits));
    }

    fn saw(&self, engine: &str, seen: &Consistency) {
        let mut known = self.consistency.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| seen.strength < known.consistency.strength) {
            let (engine, consistency) = (engine.to_owned(), seen.clone());
            *known = Some(CalculationConsistency { side: self.side, engine, consistency });
        }
    }

    fn error(&self, engine: &Engine, source: SourceError) -> EngineError {
        EngineError::Outside { engine: engine.as_str(), side: self.side, source }
    }
}

/// A place with the values of parameters in the place of their names in braces.
fn with_values(place: &str, parameters: &BTreeMap<String, ParameterValue>) -> Result<String, SourceError> {
    let mut place = place.to_owned();
    for (name, value) in parameters {
        let (name, value) = (format!("{{{name}}}"), value.to_string());
        if !place.contains(&name) {
            continue;
        }
        let plain = |c: char| c.is_alphanumeric() || "-_.=+ ".contains(c);
        if value.is_empty() || value.contains("..") || !value.chars().all(plain) {
            return Err(SourceError::Config(format!("the value of {name} cannot stand in a path")));
        }
        place = place.replace(&name, &value);
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_a_place_and_lead_nowhere_else() {
        let value =
            |text: &str| BTreeMap::from([("edition".to_owned(), ParameterValue::Text(text.to_owned()))]);
        assert_eq!(with_values("gold/{edition}/{day}", &value("2024.1")).unwrap(), "gold/2024.1/{day}");
        assert_eq!(with_values("gold/{day}", &value("../x")).unwrap(), "gold/{day}");
        for bad in ["", "..", "a/b", "../x", "{day}", "a\\b"] {
            assert!(with_values("gold/{edition}", &value(bad)).is_err(), "{bad}");
        }
    }
}
