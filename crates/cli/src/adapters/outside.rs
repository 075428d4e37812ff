//! Calculations outside of the query engine: external jobs.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use dualrun_engine::{OutsideCalculator, OutsideRequest};
use dualrun_mapping::plan::{Calculation, Engine, Project, ResultFormat};
use dualrun_sources::{
    Format, InputTable, SourceError,
    command::{Job, find_program, run, variables},
};

use crate::secrets;

/// Takes the embedded form of calculations whose program is not there, and notes it with their results.
pub(super) fn choose_forms(project: &mut Project, root: &Path) {
    let why = |_: &Project, calculation: &Calculation| match &calculation.engine {
        Engine::Command(command) => {
            let program = command.line.first().map(String::as_str).unwrap_or_default();
            let found = find_program(program, &root.join(&command.folder));
            found.is_none().then(|| format!("there is no program `{program}`"))
        }
        _ => None,
    };
    project.use_embedded_where(&why);
}

/// Runs external jobs in the folders of their pipelines.
pub(super) struct Programs {
    pub(super) root: PathBuf,
}

#[async_trait]
impl OutsideCalculator for Programs {
    async fn calculate(&self, request: &OutsideRequest<'_>) -> Result<InputTable, SourceError> {
        let Engine::Command(command) = request.engine else {
            let name = request.engine.as_str();
            return Err(SourceError::Config(format!("the engine {name} is not run by a program")));
        };
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|e| SourceError::Config(format!("{}: {e}", path.display())))
        };
        run(Job {
            line: &command.line,
            folder: &absolute(&self.root.join(&command.folder))?,
            variables: variables(request.parameters.iter().map(|(n, v)| (n.as_str(), v)), request.inputs),
            pass: &command.env,
            timeout: command.timeout,
            format: match command.format {
                ResultFormat::Parquet => Format::Parquet,
                ResultFormat::Csv => Format::Csv,
                ResultFormat::JsonLines => Format::JsonLines,
            },
            result: command.path.as_deref(),
            shape: &command.shape,
            scratch: request.scratch,
            mask: secrets::masked,
        })
        .await
    }
}
