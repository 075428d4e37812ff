//! `dualrun explain`

use dualrun_core::ExitCode;
use dualrun_engine::EngineError;
use dualrun_report::text;
use dualrun_state::records::RunFilter;

use crate::{
    args::{ExplainArgs, Global, RunOrPipeline},
    error::CliError,
    output::Output,
    project,
};

pub(crate) async fn run(global: &Global, args: &ExplainArgs, output: &Output) -> Result<ExitCode, CliError> {
    let target = args.target().map_err(|error| CliError::Argument {
        message: error.to_string(),
        hint: Some("give the id of a run or of a pipeline".into()),
    })?;
    let context = project::open(global)?;
    let state = |error| CliError::from(EngineError::State(error));
    let found = match target {
        RunOrPipeline::Run(id) => context.state.run(id).await.map_err(state)?,
        RunOrPipeline::Pipeline(id) => {
            if context.project.pipeline(&id).is_none() {
                return Err(EngineError::UnknownPipeline(id).into());
            }
            let environment = Some(context.environment.clone());
            let filter = RunFilter { pipeline: Some(id), environment, limit: Some(1), ..Default::default() };
            context.state.runs(&filter).await.map_err(state)?.into_iter().next()
        }
    };
    let Some(run) = found else { return Err(EngineError::UnknownRun(args.run.clone()).into()) };
    output.text_or_json(&run.report, |style| text::explain(&run.report, style))?;
    Ok(ExitCode::Agree)
}
