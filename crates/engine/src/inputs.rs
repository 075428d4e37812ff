//! From a declared input to its rows for one period.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use datafusion::catalog::TableProvider;
use dualrun_compare::fingerprint::Fingerprinter;
use dualrun_core::{
    Period, PeriodError,
    input::{FenceStrength, InputDecl, Role, Side},
    period::time_zone,
};
use dualrun_mapping::{
    plan::{Engine, Pipeline},
    settings::SourceSettings,
};
use dualrun_sources::{CutOff, DaysOf, KeptWriter, LiveStream, ReadReport, SourceError};
use jiff::{ToSpan, civil::Date};
use sha2::{Digest, Sha256};

use crate::{
    calculate::hex,
    context::{Context, InputRequest, Place},
    error::EngineError,
    fence,
    input::{Input, Prints, Rows},
    window::{self, Window},
};

/// Another version of the program may read the same files in another way.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The inputs of one side by name.
pub type Tables = BTreeMap<String, Arc<Input>>;

/// What is done with inputs of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// All rows go by once, for the fence, and are put aside as far as the calculation needs them.
    Fenced,
    /// The calculation asks for what it needs.
    AsNeeded,
}

/// Reads every input of a side for a period and its margin.
///
/// # Errors
/// The first input that cannot be read.
pub async fn read_side(
    context: &Context,
    pipeline: &Pipeline,
    side: Side,
    period: Period,
    cut: &CutOff,
    look: Look,
) -> Result<Tables, EngineError> {
    let mut tables = Tables::new();
    for input in &pipeline.inputs {
        let reading = Reading { context, pipeline, input, side };
        if let Some(table) = reading.read(period, cut, look).await? {
            tables.insert(input.name.clone(), Arc::new(table));
        }
    }
    Ok(tables)
}

/// Fixes the state of the servers that some sides of a pipeline read.
///
/// # Errors
/// A server that is away.
pub(crate) async fn cut_off(
    context: &Context,
    pipeline: &Pipeline,
    sides: &[Side],
) -> Result<CutOff, EngineError> {
    let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for side in sides {
        for place in pipeline.inputs.iter().filter_map(|input| input.on(*side)) {
            wanted.entry(&place.source).or_default().push(place.place().to_owned());
        }
        let engine = &pipeline.calculation(*side).engine;
        if let Some(source) = engine.source() {
            let names = wanted.entry(source).or_default();
            match engine {
                Engine::Mongodb(pipeline) => names.push(pipeline.collection.clone()),
                Engine::Relation(relation) => names.push(relation.place.place().to_owned()),
                Engine::Sql(_) | Engine::Command(_) | Engine::Postgres(_) => {}
            }
        }
    }
    let known = |(name, mut names): (&str, Vec<String>)| {
        names.sort();
        names.dedup();
        Some((context.project.settings.source.get(name)?, names))
    };
    let sources: Vec<(&SourceSettings, Vec<String>)> = wanted.into_iter().filter_map(known).collect();
    let failed = |source| EngineError::Servers { pipeline: pipeline.id.clone(), source };
    context.inputs.cut_off(&sources).await.map_err(failed)
}

/// Recognises the inputs of both sides without reading them: SHA-256 (hex) over what their sources say of the files,
/// with the pipeline, its mapping, the environment and the version of this program, which read them. `None` where a
/// source cannot tell, or cannot be asked: reading will say why.
pub(crate) async fn identity(context: &Context, pipeline: &Pipeline, period: Period) -> Option<String> {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    let (id, period_text) = (pipeline.id.as_str(), period.to_string());
    for text in [VERSION, &context.environment, id, &period_text, &pipeline.mapping_hash] {
        add(text);
    }
    let mut requests = Vec::new();
    let cut = CutOff::default();
    for side in Side::BOTH {
        for input in &pipeline.inputs {
            if let Some(request) = request(context, input, side, period, &cut).ok()? {
                add(&format!("{side}.{}", input.name));
                requests.push(request);
            }
        }
    }
    let asked = requests.iter().map(|request| context.inputs.identity(request));
    for identity in futures::future::join_all(asked).await {
        add(&identity.ok()??);
    }
    Some(hex(&hash.finalize()))
}

/// Gives an input of which one side has no file, and so no columns, the columns of the other side: its calculation
/// has no rows to read, but can be planned.
pub fn lend_columns(sides: &mut [Tables; 2]) {
    let names: Vec<String> = sides.iter().flat_map(|tables| tables.keys().cloned()).collect();
    for name in names {
        let schemas = [0, 1].map(|side: usize| sides[side].get(&name).map(|table| Arc::clone(&table.schema)));
        let [Some(legacy), Some(new)] = schemas else { continue };
        let lent = match (legacy.fields().is_empty(), new.fields().is_empty()) {
            (true, false) => (0, new),
            (false, true) => (1, legacy),
            _ => continue,
        };
        if let Some(table) = sides[lent.0].get_mut(&name) {
            *table = Arc::new(table.bare(lent.1));
        }
    }
}

/// One input that is read.
struct Reading<'a> {
    context: &'a Context,
    pipeline: &'a Pipeline,
    input: &'a InputDecl,
    side: Side,
}

impl Reading<'_> {
    async fn read(&self, period: Period, cut: &CutOff, look: Look) -> Result<Option<Input>, EngineError> {
        let Some(request) = request(self.context, self.input, self.side, period, cut)? else {
            return Ok(None);
        };
        let zone = time_zone(&self.pipeline.result.period.time_zone)?;
        let window = |schema: &SchemaRef| match &request.days {
            Some(days) => Window::new(schema, days, &zone).map_err(|source| self.failed(source)),
            None => Ok(None),
        };
        let reader = &self.context.inputs;
        let engine = &self.pipeline.calculation(self.side).engine;
        // A command wants files, and the names of customers are looked up here.
        if look == Look::AsNeeded && !matches!(engine, Engine::Command(_)) {
            let table = reader.table(&request).await.map_err(|source| self.failed(source))?;
            if let Some(table) = table
                && let Some(live) = live(table, window)?
            {
                return Ok(Some(live));
            }
        }
        if let Some(stream) = reader.stream(&request).await.map_err(|source| self.failed(source))? {
            let window = window(stream.schema())?;
            return self.take(stream, window, look).await.map(Some);
        }
        let mut table = reader.read(&request).await.map_err(|source| self.failed(source))?;
        // Without a file there are the declared columns and no rows: the time need not be among them.
        let unread = |days: &DaysOf| {
            table.report.files.is_empty()
                && table.batches.is_empty()
                && table.schema.index_of(&days.column).is_err()
        };
        if let Some(days) = request.days.as_ref().filter(|days| !unread(days)) {
            window::keep(&mut table, days, &zone).map_err(|source| self.failed(source))?;
        }
        Ok(Some(table.into()))
    }

    /// Takes the rows of a server as they come: their fingerprints, and the rows themselves as far as they are needed
    /// again.
    async fn take(
        &self,
        mut stream: LiveStream,
        window: Option<Window>,
        look: Look,
    ) -> Result<Input, EngineError> {
        let schema = Arc::clone(stream.schema());
        let looked_up =
            |other: &InputDecl| other.customer_map.as_ref().is_some_and(|map| map.input == self.input.name);
        // Factors and names of customers are small, and looked up in memory.
        let small = self.input.role == Role::Factor || self.pipeline.inputs.iter().any(looked_up);
        let calculates =
            matches!(self.pipeline.calculation(self.side).engine, Engine::Sql(_) | Engine::Command(_));
        let runtime = &self.context.runtime;
        let memory = if small { usize::MAX } else { runtime.kept_in_memory() };
        let mut kept = KeptWriter::new(Arc::clone(&schema), runtime.scratch(), memory);
        let mut printers = match look {
            Look::Fenced if !small => Some(Printers::new(self, &schema)?),
            _ => None,
        };
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            let mut batch = batch.map_err(|source| self.failed(source))?;
            if let Some(window) = &window {
                batch = window.keep(&batch).map_err(|source| self.failed(source))?;
            }
            rows += batch.num_rows() as u64;
            if let Some(printers) = &mut printers {
                printers.update(self, &batch)?;
            }
            if small || calculates {
                kept.push(batch).map_err(|source| self.failed(source))?;
            }
        }
        let mut report = stream.finish().map_err(|source| self.failed(source))?;
        report.rows = rows;
        let kept = Arc::new(kept.finish().map_err(|source| self.failed(source))?);
        Ok(Input { schema, report, rows: Rows::Kept(kept), prints: printers.map(Printers::finish) })
    }

    fn failed(&self, source: SourceError) -> EngineError {
        EngineError::Input { input: self.input.name.clone(), side: self.side, source }
    }
}

/// A table of a server for models; none where its days can only be told row by row.
fn live(
    table: Arc<dyn TableProvider>,
    window: impl Fn(&SchemaRef) -> Result<Option<Window>, EngineError>,
) -> Result<Option<Input>, EngineError> {
    let schema = table.schema();
    let within = match window(&schema)? {
        None => None,
        Some(window) => match window.filter() {
            None => return Ok(None),
            within => within,
        },
    };
    let rows = Rows::Live { table, within };
    Ok(Some(Input { schema, report: ReadReport::default(), rows, prints: None }))
}

/// Makes the fingerprints of rows that go by.
struct Printers {
    whole: Option<Fingerprinter>,
    customers: Option<Fingerprinter>,
}

impl Printers {
    fn new(reading: &Reading<'_>, schema: &SchemaRef) -> Result<Self, EngineError> {
        if schema.fields().is_empty() {
            // A collection without a document has no columns to compare.
            return Ok(Self { whole: None, customers: None });
        }
        let (input, side) = (reading.input, reading.side);
        let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let whole = Fingerprinter::new(schema, &columns, &[], None, FenceStrength::Content)
            .map_err(|source| fence::compare(reading.pipeline, source))?;
        let customers = match input.role {
            Role::Activity => Some(fence::printer(input, side, schema)?),
            Role::Factor => None,
        };
        Ok(Self { whole: Some(whole), customers })
    }

    fn update(&mut self, reading: &Reading<'_>, batch: &RecordBatch) -> Result<(), EngineError> {
        if let Some(whole) = &mut self.whole {
            whole.update(batch).map_err(|source| fence::compare(reading.pipeline, source))?;
        }
        if let Some(customers) = &mut self.customers {
            let (input, side) = (reading.input.name.clone(), reading.side);
            customers.update(batch).map_err(|source| EngineError::Fence { input, side, source })?;
        }
        Ok(())
    }

    fn finish(self) -> Prints {
        let mut prints = Prints::default();
        if let Some(whole) = self.whole {
            whole.finish().values().for_each(|print| prints.whole += *print);
        }
        prints.customers = self.customers.map(Fingerprinter::finish).unwrap_or_default();
        prints
    }
}

/// What a side reads of an input for a period; `None` where it does not read it.
///
/// # Errors
/// At the ends of the calendar.
pub fn request<'a>(
    context: &'a Context,
    input: &'a InputDecl,
    side: Side,
    period: Period,
    cut: &'a CutOff,
) -> Result<Option<InputRequest<'a>>, EngineError> {
    let Some(place) = input.on(side) else { return Ok(None) };
    let Some(source) = context.project.settings.source.get(&place.source) else {
        // The plan was checked: every input names a declared source.
        return Ok(None);
    };
    let days = days_around(period, input.margin.0)?;
    let wanted = match (&input.time, days.first(), days.last()) {
        (Some(column), Some(first), Some(last)) => {
            let end = last.tomorrow().map_err(|_| PeriodError::Range(period.to_string()))?;
            Some(DaysOf { column: column.clone(), first: *first, end })
        }
        _ => None,
    };
    let places = expand(&source.url, place.place(), &days);
    Ok(Some(InputRequest { source, places, shape: &input.shape, days: wanted, cut }))
}

/// The days of the period and `margin` days before and after it.
///
/// # Errors
/// At the ends of the calendar.
pub fn days_around(period: Period, margin: u16) -> Result<Vec<Date>, EngineError> {
    let mut days = period.days()?;
    let margin = i64::from(margin);
    let (first, end) = (period.start(), period.end()?);
    for n in 1..=margin {
        days.extend(first.checked_sub(n.days()).ok());
        days.extend(end.checked_add((n - 1).days()).ok());
    }
    days.sort();
    Ok(days)
}

/// Replaces `{day}` and `{month}` in a folder and a path; each result once, in order.
pub fn expand(url: &str, path: &str, days: &[Date]) -> Vec<Place> {
    let both = format!("{url}\0{path}");
    let mut places: Vec<Place> = Vec::new();
    for day in days {
        let text = both
            .replace("{day}", &day.to_string())
            .replace("{month}", &format!("{:04}-{:02}", day.year(), day.month()));
        if let Some((url, path)) = text.split_once('\0') {
            let place = Place { url: url.to_owned(), path: path.to_owned() };
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_with_its_margin() {
        let days = days_around("2025-03-01".parse().unwrap(), 1).unwrap();
        let places = expand("data/{day}", "core", &days);
        let urls: Vec<_> = places.iter().map(|p| p.url.as_str()).collect();
        assert_eq!(urls, ["data/2025-02-28", "data/2025-03-01", "data/2025-03-02"]);
        assert_eq!(expand("data/{month}", "x", &days).len(), 2);
        assert_eq!(expand("data", "x", &days).len(), 1);
    }

    #[test]
    fn a_month_is_read_day_by_day() {
        let days = days_around("2025-02".parse().unwrap(), 0).unwrap();
        assert_eq!(expand("d", "bronze/day={day}/", &days).len(), 28);
    }
}
