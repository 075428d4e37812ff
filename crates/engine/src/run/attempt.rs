//! Attempts of a run: on what is known already, else on the servers in one state each, and anew where such a state is lost.

use std::{sync::Arc, time::Duration};

use dualrun_core::{input::Side, load::LoadReport};
use dualrun_mapping::plan::Pipeline;
use dualrun_sources::ANEW;

use super::{On, RunAnswer, RunRequest, Subject, attempt_on, in_force};
use crate::{
    anew::Breaks,
    context::Context,
    error::EngineError,
    evidence::Evidence,
    inputs::{self, cut_off},
    load::within,
    progress::{Progress, Step},
    unchanged,
};

/// Carries a run out. `loaded` is given what became of its load, where one was asked for.
pub(super) async fn attempt(
    context: &Arc<Context>,
    pipeline: &Pipeline,
    request: &RunRequest,
    progress: &dyn Progress,
    loaded: &mut Option<LoadReport>,
) -> Result<RunAnswer, EngineError> {
    progress.step(&pipeline.id, &request.period.to_string(), Step::Fence);
    let evidence = Evidence::new(Arc::clone(&context.store), context.prefix.clone());
    let changes = in_force(context, pipeline, request.period);
    let subject = Subject { context, pipeline, request, changes: &changes, evidence: &evidence, progress };
    let listed = match request.load {
        // A load may give the new side other files.
        true => None,
        false => match subject.unchanged(None).await? {
            Known::Answered(answer) => return Ok(*answer),
            Known::Listed(listed) => listed,
        },
    };
    let (mut breaks, mut held) = (Breaks::default(), 0);
    loop {
        let done = match request.load {
            true => subject.load_and_run(breaks, loaded).await,
            false => subject.run(breaks, listed.as_deref()).await,
        };
        let error = match done {
            // Their copy is of another state than ours: a new one is taken.
            Err(EngineError::Held { table }) if held < ANEW => {
                let pause = Duration::from_secs(1 << held);
                held += 1;
                let seconds = pause.as_secs();
                progress.note(&format!("another process loads {table}: the run begins anew in {seconds} s"));
                tokio::time::sleep(pause).await;
                continue;
            }
            Err(EngineError::Held { table }) => {
                return Ok(RunAnswer::nothing(&format!(
                    "another process loads {table}, in another state than this run reads: nothing was compared"
                )));
            }
            Err(error) => error,
            done => return done,
        };
        let reached = !matches!(error, EngineError::Servers { .. });
        if !breaks.again(&error, reached, progress).await {
            return Err(error);
        }
    }
}

/// What is known before anything is read.
enum Known {
    /// The answer.
    Answered(Box<RunAnswer>),
    /// What tells the input files from others, where they can be told.
    Listed(Option<String>),
}

impl Subject<'_> {
    /// Whether nothing changed since an earlier night.
    async fn unchanged(&self, load: Option<&LoadReport>) -> Result<Known, EngineError> {
        let Self { context, pipeline, request, changes, evidence, progress } = *self;
        // Listed before they are read: a file that changes in between is another one next time.
        let listed = inputs::identity(context, pipeline, request.period).await;
        if let Some(listed) = &listed
            && let Some(earlier) = unchanged::earlier(context, request, evidence, listed).await?
            && let Some(answer) =
                unchanged::answer(context, pipeline, request, changes, evidence, earlier, load, progress)
                    .await?
        {
            return Ok(Known::Answered(Box::new(answer)));
        }
        Ok(Known::Listed(listed))
    }

    /// On servers in one state each.
    async fn run(&self, breaks: Breaks, listed: Option<&str>) -> Result<RunAnswer, EngineError> {
        let cut = Arc::new(cut_off(self.context, self.pipeline, &Side::BOTH).await?);
        let on = On { listed, cut: &cut, breaks, within: None };
        let answer = attempt_on(self, &on, &mut None).await;
        cut.release().await;
        answer
    }

    /// The same, in which the tables of the new side are filled first.
    async fn load_and_run(
        &self,
        breaks: Breaks,
        loaded: &mut Option<LoadReport>,
    ) -> Result<RunAnswer, EngineError> {
        let (context, pipeline) = (self.context, self.pipeline);
        let turn = context.turns.of(context, pipeline).await?;
        let at = context.clock.now();
        let cut = Arc::new(cut_off(context, pipeline, &Side::BOTH).await?);
        let last_day = self.request.period.end()?.yesterday().unwrap_or(self.request.period.start());
        let done = async {
            let within = within(context, pipeline, last_day, (at, &cut), self.progress, loaded).await?;
            drop(turn);
            self.progress.step(&pipeline.id, &self.request.period.to_string(), Step::Fence);
            let listed = match self.unchanged(loaded.as_ref()).await? {
                Known::Answered(answer) => return Ok(*answer),
                Known::Listed(listed) => listed,
            };
            let on = On { listed: listed.as_deref(), cut: &cut, breaks, within: Some(&within) };
            attempt_on(self, &on, loaded).await
        };
        let answer = done.await;
        cut.release().await;
        answer
    }
}
