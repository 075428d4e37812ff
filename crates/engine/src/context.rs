//! What every command of the engine works with.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use dualrun_core::{parameter::ParameterValue, shape::Shape};
use dualrun_mapping::{
    plan::{Engine, Project},
    settings::SourceSettings,
};
use dualrun_sources::{CutOff, DaysOf, InputTable, LiveStream, Location, RowStream, Since, SourceError};
use dualrun_state::StateStore;
use jiff::Timestamp;
use object_store::{ObjectStore, path::Path};

use crate::{calculate::Runtime, error::EngineError, load::Turns};

/// A project opened in one environment, with its adapters. Only the command line names concrete ones.
pub struct Context {
    /// The checked plan.
    pub project: Project,
    /// The folder of `dualrun.toml`.
    pub root: PathBuf,
    /// The environment, for example `default`.
    pub environment: String,
    /// The state database.
    pub state: Arc<dyn StateStore>,
    /// The object store of the evidence.
    pub store: Arc<dyn ObjectStore>,
    /// The folder in it.
    pub prefix: Path,
    /// Reads inputs.
    pub inputs: Arc<dyn InputReader>,
    /// Tells the time at which things are recorded.
    pub clock: Arc<dyn Clock>,
    /// Memory and spill folder of the calculations.
    pub runtime: Runtime,
    /// Takes secrets out of texts before they are recorded.
    pub mask: fn(&str) -> String,
    /// Whose turn it is to load a table.
    pub(crate) turns: Turns,
}

impl Context {
    /// Opens a project.
    ///
    /// # Errors
    /// Limits that make no sense or a spill folder that cannot be used.
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument for each adapter that the command line names"
    )]
    pub fn new(
        project: Project,
        root: PathBuf,
        environment: String,
        state: Arc<dyn StateStore>,
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        inputs: Arc<dyn InputReader>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let runtime = Runtime::new(&project.settings.limits, &root)?
            .with_reader(Arc::clone(&inputs), project.settings.source.clone());
        Ok(Self {
            project,
            root,
            environment,
            state,
            store,
            prefix,
            inputs,
            clock,
            runtime,
            mask: str::to_owned,
            turns: Turns::default(),
        })
    }

    /// The same with a mask for secrets.
    #[must_use]
    pub fn with_mask(self, mask: fn(&str) -> String) -> Self {
        Self { mask, ..self }
    }

    /// The same with what runs the calculations that the query engine does not.
    #[must_use]
    pub fn with_outside(mut self, outside: Arc<dyn OutsideCalculator>) -> Self {
        self.runtime = self.runtime.with_outside(outside);
        self
    }
}

/// Reads files of a source into Arrow.
#[async_trait]
pub trait InputReader: Send + Sync {
    /// Reads all files of the request as one table under one schema.
    ///
    /// # Errors
    /// As the source says.
    async fn read(&self, request: &InputRequest<'_>) -> Result<InputTable, SourceError>;

    /// Reads the rows of the request as they come, all of them or what was written since. More may be given.
    ///
    /// # Errors
    /// As the source says.
    async fn changes(
        &self,
        request: &InputRequest<'_>,
        _since: Option<Since>,
    ) -> Result<RowStream, SourceError> {
        Ok(self.read(request).await?.into())
    }

    /// Where tables can be written in a source of files.
    ///
    /// # Errors
    /// A source that is none of files.
    fn location(&self, _source: &SourceSettings) -> Result<Location, SourceError> {
        Err(SourceError::Config("nothing can be written to this source".to_owned()))
    }

    /// A hash by which the files of the request are recognised without reading them: it changes whenever they may
    /// have changed. `None` where the source cannot tell.
    ///
    /// # Errors
    /// As the source says.
    async fn identity(&self, _request: &InputRequest<'_>) -> Result<Option<String>, SourceError> {
        Ok(None)
    }

    /// Fixes the state of the servers among some sources, for all that a run reads of them; with each source the tables
    /// and collections that will be read.
    ///
    /// # Errors
    /// As a server says.
    async fn cut_off(&self, _sources: &[(&SourceSettings, Vec<String>)]) -> Result<CutOff, SourceError> {
        Ok(CutOff::default())
    }

    /// The rows of a request as they come, where they stand on a server that the cut-off holds; none where [`Self::read`]
    /// gives them.
    ///
    /// # Errors
    /// As the server says.
    async fn stream(&self, _request: &InputRequest<'_>) -> Result<Option<LiveStream>, SourceError> {
        Ok(None)
    }

    /// The same as a table that asks the server for what a query needs.
    ///
    /// # Errors
    /// As the server says.
    async fn table(
        &self,
        _request: &InputRequest<'_>,
    ) -> Result<Option<Arc<dyn TableProvider>>, SourceError> {
        Ok(None)
    }
}

/// What to read.
#[derive(Debug, Clone)]
pub struct InputRequest<'a> {
    /// The source as `dualrun.toml` declares it.
    pub source: &'a SourceSettings,
    /// Folders and the collections or paths in them, after `{day}` and `{month}` were replaced.
    pub places: Vec<Place>,
    /// How mixed types are read.
    pub shape: &'a Shape,
    /// The days that are wanted, where the input tells the time of its rows. More may be given.
    pub days: Option<DaysOf>,
    /// The state in which servers are read.
    pub cut: &'a CutOff,
}

/// Calculates where the query engine does not: by programs and servers.
#[async_trait]
pub trait OutsideCalculator: Send + Sync {
    /// All result rows of one calculation.
    ///
    /// # Errors
    /// As the program or the server says.
    async fn calculate(&self, request: &OutsideRequest<'_>) -> Result<InputTable, SourceError>;
}

/// What to calculate.
#[derive(Debug, Clone)]
pub struct OutsideRequest<'a> {
    /// What computes it; never SQL models, and never a relation.
    pub engine: &'a Engine,
    /// The parameters that have a value: the bounds of the period and the switches.
    pub parameters: &'a BTreeMap<String, ParameterValue>,
    /// For a command, a Parquet file with the rows of each input of its side.
    pub inputs: &'a BTreeMap<String, PathBuf>,
    /// A folder for temporary files; it exists.
    pub scratch: &'a std::path::Path,
    /// The state in which servers are read.
    pub cut: &'a CutOff,
}

/// One collection or path in one folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The folder or URL.
    pub url: String,
    /// The collection or path in it.
    pub path: String,
}

/// Tells the time. A trait, so that tests and the demo can fix it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
