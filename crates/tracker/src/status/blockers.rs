//! What stands in the way, in sentences.

use dualrun_core::{Stage, review::ReviewStatus};

use crate::model::{ChangeStatus, Gate, GateAnswer, GateName, PhaseStatus, PhaseTiming, PipelineStatus};

/// Unexplained differences first, the most critical pipeline first; then changes that wait, phases that are late and
/// what else keeps a gate shut.
pub(super) fn blockers(
    pipelines: &[PipelineStatus],
    changes: &[ChangeStatus],
    phases: &[PhaseStatus],
) -> Vec<String> {
    let mut by_harm: Vec<_> = pipelines.iter().filter(|p| p.stage < Stage::CutOver).collect();
    by_harm.sort_by(|a, b| b.criticality.cmp(&a.criticality).then_with(|| a.id.cmp(&b.id)));
    let differences = by_harm.iter().filter_map(|p| difference(p));
    let reviews = changes.iter().filter_map(review);
    let late = phases.iter().filter_map(late);
    let gates = by_harm.iter().flat_map(|p| shut(p));
    differences.chain(reviews).chain(late).chain(gates).collect()
}

fn difference(pipeline: &PipelineStatus) -> Option<String> {
    let worst = pipeline.findings.first()?;
    let more = match pipeline.findings.len() {
        1 => String::new(),
        n => format!(", and {} more findings", n - 1),
    };
    Some(format!(
        "{}: {} in {} since {}, {} rows of {} customers: {}{more}",
        pipeline.id,
        worst.signature,
        worst.column,
        worst.first_seen,
        worst.rows,
        worst.customers,
        worst.detail
    ))
}

fn review(change: &ChangeStatus) -> Option<String> {
    let what = match change.review.status {
        ReviewStatus::Approved => return None,
        ReviewStatus::Proposed => "waits for review",
        ReviewStatus::Rejected => "is rejected",
    };
    let why = change.review.reason_not.as_deref().unwrap_or("no reason is recorded");
    let pipelines: Vec<_> = change.pipelines.iter().map(ToString::to_string).collect();
    Some(format!("{} {what}: {why} (moves {})", change.id, pipelines.join(", ")))
}

fn late(phase: &PhaseStatus) -> Option<String> {
    let end = phase.end.filter(|_| phase.timing == PhaseTiming::Late)?;
    let open = phase.pipelines.saturating_sub(phase.migrated);
    Some(format!(
        "phase {} was planned to end on {end}: {open} of {} pipelines are not migrated",
        phase.number, phase.pipelines
    ))
}

/// The gates that keep a pipeline in dual run. What its findings and the waiting changes say already is left out.
fn shut(pipeline: &PipelineStatus) -> Vec<String> {
    if pipeline.stage >= Stage::Parity {
        return Vec::new();
    }
    if pipeline.stage < Stage::DualRun {
        return vec![format!("{}: its stage is {}", pipeline.id, pipeline.stage)];
    }
    let said = |name| match name {
        GateName::Differences => !pipeline.findings.is_empty(),
        GateName::Coverage => pipeline.streak.nights == 0,
        GateName::Changes => pipeline.changes.is_empty(),
        GateName::Streak | GateName::Checks => false,
    };
    // A pipeline that never ran has one reason for all its gates.
    let streak =
        pipeline.gates.iter().find(|gate| gate.name == GateName::Streak).map(|gate| gate.reason.as_str());
    let again =
        |gate: &Gate| gate.name != GateName::Streak && streak.is_some_and(|s| s.ends_with(&gate.reason));
    let shut = pipeline
        .gates
        .iter()
        .filter(|gate| gate.answer != GateAnswer::Pass && !said(gate.name) && !again(gate));
    // A run that failed shuts several gates for one reason.
    let mut told: Vec<&str> = Vec::new();
    for gate in shut {
        if !told.contains(&gate.reason.as_str()) {
            told.push(&gate.reason);
        }
    }
    told.into_iter().map(|reason| format!("{}: {reason}", pipeline.id)).collect()
}
