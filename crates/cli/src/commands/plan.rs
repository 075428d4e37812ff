//! `dualrun plan`

use std::fmt::Write;

use dualrun_core::{ExitCode, PeriodUnit, input::Side};
use dualrun_engine::{NightRequest, Place, inputs, night};
use dualrun_sources::without_credentials;
use serde_json::json;

use crate::{
    args::{Global, PlanArgs},
    commands::{today, yesterday},
    error::CliError,
    output::Output,
    project,
};

pub(crate) async fn run(global: &Global, args: &PlanArgs, output: &Output) -> Result<ExitCode, CliError> {
    let context = project::look(global)?;
    let request =
        NightRequest { day: args.period.unwrap_or_else(yesterday), as_of: today(), pipelines: Vec::new() };
    let due = night::due(&context, &request).await?;
    let mut planned = Vec::new();
    for (id, period, enforced) in &due {
        let Some(pipeline) = context.project.pipeline(id) else { continue };
        let changes = context.project.changes_of(id);
        let in_force = changes.iter().filter(|c| c.in_force(period.start())).count();
        let mut reads = Vec::new();
        for input in &pipeline.inputs {
            for side in Side::BOTH {
                let Some(place) = input.on(side) else { continue };
                let Some(source) = context.project.settings.source.get(&place.source) else { continue };
                let days = inputs::days_around(*period, input.margin.0)?;
                let places = inputs::expand(&source.url, place.place(), &days);
                let separator = if source.kind.is_server() { '#' } else { '/' };
                let named = |p: &Place| format!("{}{separator}{}", without_credentials(&p.url), p.path);
                reads.push(json!({
                    "input": input.name, "side": side, "source": place.source,
                    "places": places.iter().map(named).collect::<Vec<_>>(),
                }));
            }
        }
        planned.push(json!({
            "pipeline": id, "period": period, "enforced": enforced,
            "often": match pipeline.result.period.unit { PeriodUnit::Day => "every night", PeriodUnit::Month => "every night, the last closed month" },
            "looks_back": pipeline.result.period.recompute,
            "changes_in_force": in_force,
            // One calculation a side, and with k changes in force 2^k of the new side for k up to 3.
            "calculations": 1 + if in_force <= 3 { 1_usize << in_force } else { 3 },
            "reads": reads,
        }));
    }
    let answer = json!({ "schema": "dualrun.plan/1", "period": request.day, "runs": planned });
    output.text_or_json(&answer, |_| {
        let mut text = format!("results of {}: {} runs\n", request.day, planned.len());
        for run in &planned {
            let _ = writeln!(
                text,
                "\n{} {}: {}, {} calculations, {} changes in force{}",
                word(&run["pipeline"]),
                word(&run["period"]),
                word(&run["often"]),
                run["calculations"],
                run["changes_in_force"],
                if run["enforced"] == true { "" } else { ", does not count for the exit code" }
            );
            for read in run["reads"].as_array().into_iter().flatten() {
                let places = read["places"].as_array().map_or(&[] as &[_], Vec::as_slice);
                let more =
                    if places.len() > 1 { format!(" and {} more", places.len() - 1) } else { String::new() };
                let first = places.first().map(word).unwrap_or_default();
                let _ =
                    writeln!(text, "  {:<6} {:<20} {first}{more}", word(&read["side"]), word(&read["input"]));
            }
        }
        text
    })?;
    Ok(if due.is_empty() { ExitCode::Nothing } else { ExitCode::Agree })
}

fn word(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
