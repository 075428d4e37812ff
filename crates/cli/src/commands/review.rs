//! `dualrun review`

use dualrun_core::ExitCode;
use dualrun_engine::{EngineError, reviews, stages};
use dualrun_report::text;
use dualrun_tracker::reviews::Decision;
use serde_json::json;

use crate::{
    args::{DecideArgs, Global, ReviewAction, ReviewArgs},
    error::CliError,
    output::Output,
    project,
};

pub(crate) async fn run(global: &Global, args: &ReviewArgs, output: &Output) -> Result<ExitCode, CliError> {
    match &args.action {
        ReviewAction::List => {
            let context = project::open(global)?;
            let changes = stages::status(&context, None).await?.changes;
            output.text_or_json(&changes, |style| text::review_list(&changes, style))?;
        }
        ReviewAction::Show { change } => {
            let context = project::open(global)?;
            let changes = stages::status(&context, None).await?.changes;
            let Some(found) = changes.iter().find(|c| &c.id == change) else {
                return Err(EngineError::UnknownChange(change.to_string()).into());
            };
            output.text_or_json(found, |style| text::review_show(found, style))?;
        }
        ReviewAction::Approve(args) => return decide(global, args, Decision::Approve, output).await,
        ReviewAction::Reject(args) => return decide(global, args, Decision::Reject, output).await,
    }
    Ok(ExitCode::Agree)
}

async fn decide(
    global: &Global,
    args: &DecideArgs,
    decision: Decision,
    output: &Output,
) -> Result<ExitCode, CliError> {
    let context = project::open(global)?;
    let decided = reviews::decide(&context, &args.change, decision, &args.reviewer, &args.reason).await?;
    let reassessed: Vec<_> = decided
        .reassessed
        .iter()
        .map(|(run, before, after)| json!({ "run": run, "before": before, "after": after }))
        .collect();
    let left: Vec<_> = decided.left.iter().map(|(run, why)| json!({ "run": run, "why": why })).collect();
    let answer = json!({ "review": decided.review, "reassessed": reassessed, "not_reassessed": left });
    output.text_or_json(&answer, |_| {
        let review = &decided.review;
        let mut lines =
            vec![format!("{} {} by {}: {}", review.change, review.status, review.reviewer, review.reason)];
        if let Some(day) = review.expires {
            lines.push(format!("the approval is bound to the present file and ends on {day}"));
        }
        lines.push(match decided.reassessed.len() {
            0 => "no recorded run changes its verdict".to_owned(),
            n => format!("{n} recorded runs were given verdicts again, nothing was calculated:"),
        });
        lines.extend(decided.reassessed.iter().map(|(run, before, after)| {
            format!("  {run}  {} to {}", before.as_str().replace('_', " "), after.as_str().replace('_', " "))
        }));
        for (run, why) in &decided.left {
            lines.push(format!("  {run}  keeps its earlier verdicts: {why}"));
        }
        lines.join("\n")
    })?;
    // The decision stands; runs whose evidence is away have to be run again.
    Ok(if decided.left.is_empty() { ExitCode::Agree } else { ExitCode::Infrastructure })
}
