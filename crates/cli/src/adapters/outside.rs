//! Calculations outside of the query engine: external jobs, and those of servers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use dualrun_engine::{OutsideCalculator, OutsideRequest};
use dualrun_mapping::{
    plan::{Calculation, Engine, Project, ResultFormat},
    settings::SourceSettings,
};
use dualrun_sources::{
    Format, InputTable, SourceError,
    command::{Job, find_program, run, variables},
};

use super::servers;
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

/// Runs external jobs in the folders of their pipelines, and calculations of servers on them.
pub(super) struct ProgramsAndServers {
    pub(super) root: PathBuf,
    pub(super) sources: BTreeMap<String, SourceSettings>,
}

impl ProgramsAndServers {
    fn source(&self, name: &str) -> Result<&SourceSettings, SourceError> {
        // The plan was checked: a calculation names a declared source.
        self.sources.get(name).ok_or_else(|| SourceError::Config(format!("there is no source {name:?}")))
    }
}

#[async_trait]
impl OutsideCalculator for ProgramsAndServers {
    async fn calculate(&self, request: &OutsideRequest<'_>) -> Result<InputTable, SourceError> {
        let command = match request.engine {
            Engine::Command(command) => command,
            Engine::Postgres(query) => {
                let source = self.source(&query.source)?;
                return servers::postgres(source, &self.root, query, request).await;
            }
            Engine::Mongodb(pipeline) => {
                let source = self.source(&pipeline.source)?;
                return servers::mongodb(source, &self.root, pipeline, request).await;
            }
            Engine::Sql(_) | Engine::Relation(_) => {
                let name = request.engine.as_str();
                return Err(SourceError::Config(format!(
                    "the engine {name} needs neither program nor server"
                )));
            }
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
