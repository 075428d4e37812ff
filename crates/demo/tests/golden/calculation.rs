//! The calculations of a case: its documents and the factor files through the real crates.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use dualrun_core::{
    ChangeId, Period,
    input::{InputDecl, Side},
};
use dualrun_engine::{
    calculate::{Calculator, Runtime},
    inputs::Tables,
    results::{SideResult, finish},
};
use dualrun_mapping::{
    plan::{Change, Pipeline, Project},
    settings::{Limits, SourceKind},
};
use dualrun_sources::{FileSelection, Format, InputTable, Request, open_location, read};

use crate::{
    case::{Case, Expect},
    project,
};

/// A period, a side, and the changes that are on.
type Key = (Period, Side, BTreeSet<ChangeId>);

/// Calculates the results of a case, each once.
pub(crate) struct Calculations<'a> {
    pipeline: &'a Pipeline,
    changes: Vec<&'a Change>,
    tables: BTreeMap<Side, Tables>,
    runtime: Runtime,
    results: BTreeMap<Key, Arc<SideResult>>,
}

impl<'a> Calculations<'a> {
    /// Reads the inputs. Calculations may spill below `spill`.
    pub(crate) async fn new(
        project: &'a Project,
        case: &Case,
        folder: &Path,
        spill: &Path,
    ) -> Result<Self, String> {
        let pipeline =
            project.pipeline(&case.pipeline).ok_or_else(|| format!("no pipeline {}", case.pipeline))?;
        for documents in &case.documents {
            if !pipeline.inputs.iter().any(|input| collection(input) == Some(&documents.collection)) {
                return Err(format!("no input of {} reads {}", pipeline.id, documents.collection));
            }
        }
        let mut tables: BTreeMap<Side, Tables> = BTreeMap::new();
        for input in &pipeline.inputs {
            let table = Arc::new(table(project, case, folder, input).await?);
            for side in Side::BOTH.into_iter().filter(|side| input.on(*side).is_some()) {
                tables.entry(side).or_default().insert(input.name.clone(), Arc::clone(&table));
            }
        }
        Ok(Self {
            pipeline,
            changes: project.changes_of(&pipeline.id),
            tables,
            runtime: Runtime::new(&Limits::default(), spill).map_err(|e| told(&e))?,
            results: BTreeMap::new(),
        })
    }

    /// The changes that are on in a period: the given ones, or what an expectation means without any.
    pub(crate) fn on(
        &self,
        side: Side,
        given: Option<&[ChangeId]>,
        period: Period,
    ) -> Result<BTreeSet<ChangeId>, String> {
        let switched = self.changes.iter().filter(|c| c.side_in(&self.pipeline.id) == Some(side));
        let Some(given) = given else {
            let in_force = switched.filter(|c| side == Side::New && c.in_force(period.start()));
            return Ok(in_force.map(|c| c.id.clone()).collect());
        };
        let switched: BTreeSet<&ChangeId> = switched.map(|c| &c.id).collect();
        match given.iter().find(|id| !switched.contains(id)) {
            Some(id) => Err(format!("{id} switches nothing on the {side} side of {}", self.pipeline.id)),
            None => Ok(given.iter().cloned().collect()),
        }
    }

    /// The result rows of a side with these changes on.
    pub(crate) async fn result(
        &mut self,
        period: Period,
        side: Side,
        on: &BTreeSet<ChangeId>,
    ) -> Result<Arc<SideResult>, String> {
        let key = (period, side, on.clone());
        if let Some(known) = self.results.get(&key) {
            return Ok(Arc::clone(known));
        }
        let switches = self.pipeline.switch_values(&self.changes, &|id| on.contains(id), side);
        let tables = self.tables.get(&side).cloned().unwrap_or_default();
        let calculated = async {
            let calculator = Calculator::new(&self.runtime, self.pipeline, side, period, tables)?;
            let (schema, batches) = calculator.calculate(&switches, false).await?;
            finish(&self.runtime, self.pipeline, side, period, schema, batches).await
        };
        let result = Arc::new(calculated.await.map_err(|e| told(&e))?);
        self.results.insert(key, Arc::clone(&result));
        Ok(result)
    }

    /// The changes that switch the legacy side.
    pub(crate) fn fixes(&self) -> BTreeSet<ChangeId> {
        let fixes = self.changes.iter().filter(|c| c.side_in(&self.pipeline.id) == Some(Side::Legacy));
        fixes.map(|c| c.id.clone()).collect()
    }

    /// The pipeline as the case has it.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        self.pipeline
    }

    /// The result rows that an expectation sums over, with its changes or with those of `minus`.
    pub(crate) async fn of(
        &mut self,
        expect: &Expect,
        given: Option<&[ChangeId]>,
        periods: &[Period],
    ) -> Result<Vec<Arc<SideResult>>, String> {
        let mut results = Vec::with_capacity(periods.len());
        for period in periods {
            let on = self.on(expect.side, given, *period)?;
            results.push(self.result(*period, expect.side, &on).await?);
        }
        Ok(results)
    }
}

/// The collection that an input reads on either side; none where it reads a factor file.
fn collection(input: &InputDecl) -> Option<&str> {
    input.legacy.iter().chain(&input.new).find_map(|place| place.collection.as_deref())
}

/// The table of an input: the documents of the case, or a file of the reference project.
async fn table(
    project: &Project,
    case: &Case,
    folder: &Path,
    input: &InputDecl,
) -> Result<InputTable, String> {
    let failed = |e| format!("input {}: {}", input.name, told(&e));
    let (format, url, base, files) = match collection(input) {
        Some(collection) => {
            let documents = case.documents.iter().filter(|d| d.collection == collection);
            let files = documents.map(|d| d.file.display().to_string()).collect();
            (Format::JsonLines, ".", folder.to_owned(), files)
        }
        None => {
            let place = input.legacy.as_ref().or(input.new.as_ref());
            let source = place.and_then(|place| project.settings.source.get(&place.source));
            match (place, source) {
                (Some(place), Some(source)) if source.kind == SourceKind::Csv => {
                    (Format::Csv, source.url.as_str(), project::root(), vec![place.place().to_owned()])
                }
                _ => return Err(format!("input {} is neither documents nor a factor file", input.name)),
            }
        }
    };
    let location = open_location(url, &base, &BTreeMap::new()).map_err(failed)?;
    let files = FileSelection::Exact(files);
    let request = Request { format, location: &location, files, shape: &input.shape, required: true };
    let table = read(&request).await.map_err(failed)?;
    match table.report.misfits.first() {
        Some(misfit) => Err(format!(
            "input {}: {} values of {} are {} instead of {}",
            input.name, misfit.count, misfit.field, misfit.found, misfit.expected
        )),
        None => Ok(table),
    }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
