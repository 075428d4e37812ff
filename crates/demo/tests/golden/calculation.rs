//! The results of a case for each side, period and set of changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use dualrun_core::{ChangeId, Period, input::Side};
use dualrun_engine::{
    EngineError,
    calculate::{Calculator, Runtime},
    inputs::Tables,
    results::{SideResult, check, finish},
};
use dualrun_mapping::{
    plan::{Change, Pipeline, Project},
    settings::Limits,
};

use crate::{case::Case, inputs, told};

/// A period, a side, and the changes that are on.
type Key = (Period, Side, BTreeSet<ChangeId>);

/// Calculates the results of a case, each once. As in a nightly run, the replays of a side and period share what no
/// switch reaches.
pub(crate) struct Calculations<'a> {
    pipeline: &'a Pipeline,
    changes: Vec<&'a Change>,
    tables: BTreeMap<Side, Tables>,
    runtime: Runtime,
    calculators: BTreeMap<(Period, Side), Calculator>,
    results: BTreeMap<Key, Arc<SideResult>>,
}

impl<'a> Calculations<'a> {
    /// Reads the inputs. Files that a run needs stand below `scratch`.
    pub(crate) async fn new(
        project: &'a Project,
        case: &Case,
        folder: &Path,
        scratch: &Path,
    ) -> Result<Self, String> {
        let pipeline =
            project.pipeline(&case.pipeline).ok_or_else(|| format!("no pipeline {}", case.pipeline))?;
        Ok(Self {
            pipeline,
            changes: project.changes_of(&pipeline.id),
            tables: inputs::tables(project, pipeline, case, folder, scratch).await?,
            runtime: Runtime::new(&Limits::default(), scratch).map_err(|e| told(&e))?,
            calculators: BTreeMap::new(),
            results: BTreeMap::new(),
        })
    }

    /// The pipeline as the case has it.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        self.pipeline
    }

    /// The changes that switch the legacy side.
    pub(crate) fn fixes(&self) -> BTreeSet<ChangeId> {
        self.switching(Side::Legacy).map(|c| c.id.clone()).collect()
    }

    /// The results of the periods with the given changes on; without any given, with what an expectation then means.
    pub(crate) async fn of(
        &mut self,
        side: Side,
        given: Option<&[ChangeId]>,
        periods: &[Period],
    ) -> Result<Vec<Arc<SideResult>>, String> {
        let mut results = Vec::with_capacity(periods.len());
        for period in periods {
            let on = self.on(side, given, *period)?;
            results.push(self.result(*period, side, &on).await?);
        }
        Ok(results)
    }

    /// The data checks of the pipeline that do not hold.
    pub(crate) async fn failed_checks(&mut self, period: Period, side: Side) -> Result<Vec<String>, String> {
        let on = self.on(side, None, period)?;
        let result = self.result(period, side, &on).await?;
        let checks =
            check(&self.runtime, &self.pipeline.checks, side, &result).await.map_err(|e| told(&e))?;
        let failed = checks.iter().filter(|check| !check.passed);
        Ok(failed.map(|check| format!("{period}: {side} rows against the check: {}", check.name)).collect())
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
        let result = Arc::new(self.calculate(period, side, on).await.map_err(|e| told(&e))?);
        self.results.insert(key, Arc::clone(&result));
        Ok(result)
    }

    async fn calculate(
        &mut self,
        period: Period,
        side: Side,
        on: &BTreeSet<ChangeId>,
    ) -> Result<SideResult, EngineError> {
        let calculator = match self.calculators.get(&(period, side)) {
            Some(known) => known.clone(),
            None => {
                let tables = self.tables.get(&side).cloned().unwrap_or_default();
                let calculator = Calculator::new(&self.runtime, self.pipeline, side, period, tables)?;
                self.calculators.insert((period, side), calculator.clone());
                calculator
            }
        };
        let switches = self.pipeline.switch_values(&self.changes, &|id| on.contains(id), side);
        let (schema, batches) = calculator.calculate(&switches, true).await?;
        finish(&self.runtime, self.pipeline, side, period, schema, batches).await
    }

    fn on(
        &self,
        side: Side,
        given: Option<&[ChangeId]>,
        period: Period,
    ) -> Result<BTreeSet<ChangeId>, String> {
        let Some(given) = given else {
            let in_force = self.switching(side).filter(|c| side == Side::New && c.in_force(period.start()));
            return Ok(in_force.map(|c| c.id.clone()).collect());
        };
        match given.iter().find(|id| !self.switching(side).any(|c| c.id == **id)) {
            Some(id) => Err(format!("{id} switches nothing on the {side} side of {}", self.pipeline.id)),
            None => Ok(given.iter().cloned().collect()),
        }
    }

    /// The changes that switch a side.
    fn switching(&self, side: Side) -> impl Iterator<Item = &'a Change> {
        self.changes.iter().copied().filter(move |c| c.side_in(&self.pipeline.id) == Some(side))
    }
}
