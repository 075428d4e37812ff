//! Whether the legacy databases can be switched off.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_core::{Stage, asset::AssetDecl, asset::Disposition};
use dualrun_mapping::plan::{Pipeline, Project};

use crate::{
    evidence::{Assessment, Evidence, assess},
    model::{
        AssetNeed, AssetReadiness, AssetVerdict, GateAnswer, Readiness, ReadinessCounts, ServerReadiness,
        StepAnswer,
    },
};

mod steps;

/// The schema of [`Readiness`].
pub const SCHEMA: &str = "dualrun.readiness/1";

/// What it means that the servers were not asked.
const NOT_ASKED: &str = "the servers were not asked what stands in them and who reads it: this report knows only \
                         what the mappings and dualrun.toml declare, and an asset that nobody declared is not in it";

/// For every asset that `dualrun.toml` declares or a pipeline names: who needs it, and what may be done with it.
pub fn readiness(project: &Project, evidence: &Evidence<'_>) -> Readiness {
    let users: Vec<(&Pipeline, Assessment<'_>)> = project
        .pipelines
        .iter()
        .filter(|pipeline| !pipeline.legacy_assets.is_empty())
        .map(|pipeline| (pipeline, assess(project, pipeline, evidence)))
        .collect();
    let declared = project.settings.assets.iter().map(|asset| asset.id.as_str());
    let named = users.iter().flat_map(|(pipeline, _)| pipeline.legacy_assets.iter().map(String::as_str));
    let ids: BTreeSet<&str> = declared.chain(named).collect();
    let assets: Vec<AssetReadiness> = ids
        .into_iter()
        .map(|id| {
            let declaration = project.settings.assets.iter().find(|asset| asset.id == id);
            let of: Vec<_> = users.iter().filter(|(p, _)| p.legacy_assets.iter().any(|a| a == id)).collect();
            asset(id, declaration, &of, evidence)
        })
        .collect();
    let counts = tally(&assets);
    let servers = servers(&assets);
    let mut reasons: Vec<String> = servers
        .iter()
        .filter(|server| server.counts.needed + server.counts.blocked > 0)
        .map(|server| format!("{}: {}", server.server, server.verdict))
        .collect();
    reasons.push(NOT_ASKED.to_owned());
    Readiness {
        schema: SCHEMA.to_owned(),
        project: project.settings.project.name.clone(),
        environment: evidence.environment.to_owned(),
        as_of: evidence.as_of,
        // Not before the servers themselves were asked.
        ready: false,
        verdict: format!("not ready: {}", overall(&counts)),
        servers_asked: false,
        servers_note: NOT_ASKED.to_owned(),
        counts,
        servers,
        assets,
        reasons,
    }
}

fn asset(
    id: &str,
    declaration: Option<&AssetDecl>,
    users: &[&(&Pipeline, Assessment<'_>)],
    evidence: &Evidence<'_>,
) -> AssetReadiness {
    let (released, needing): (Vec<_>, Vec<_>) =
        users.iter().copied().partition(|(_, a)| a.stage >= Stage::CutOver);
    let needed_by: Vec<AssetNeed> = needing.iter().map(|(pipeline, a)| need(pipeline, a)).collect();
    let facts = steps::Facts {
        needed_by: &needed_by,
        released: &released.iter().map(|(p, a)| (p.id.clone(), a.stage)).collect::<Vec<_>>(),
        declaration,
        as_of: evidence.as_of,
    };
    let steps = facts.steps();
    let open = facts.open_questions();
    let stays = declaration.and_then(|d| d.disposition) == Some(Disposition::Keep);
    // Dropping is never known to be safe while the servers were not asked; the report says so once, as a whole.
    let steps_open = steps.iter().any(|s| s.step < crate::model::Step::Drop && s.answer != StepAnswer::Yes);
    let (verdict, reasons) = if !needed_by.is_empty() || stays {
        let mut reasons: Vec<String> =
            needed_by.iter().map(|n| format!("{}: {}", n.pipeline, n.reason)).collect();
        if stays {
            reasons.push("it stays by decision (keep), so what holds it cannot be switched off".to_owned());
        }
        reasons.extend(open);
        (AssetVerdict::Needed, reasons)
    } else if !open.is_empty() || steps_open {
        let undone =
            steps.iter().filter(|s| s.step < crate::model::Step::Drop && s.answer != StepAnswer::Yes);
        let undone = undone.map(|s| format!("{}: {}", s.step.title(), s.reason));
        let reasons = if open.is_empty() { undone.collect() } else { open };
        (AssetVerdict::Blocked, reasons)
    } else {
        (AssetVerdict::Ready, vec!["no declared pipeline needs it any more".to_owned()])
    };
    AssetReadiness {
        id: id.to_owned(),
        server: server_of(id).to_owned(),
        declared: declaration.is_some(),
        disposition: declaration.and_then(|d| d.disposition),
        owner: declaration.and_then(|d| d.owner.clone()).filter(|owner| !owner.trim().is_empty()),
        retain_until: declaration.and_then(|d| d.retain_until),
        verdict,
        reasons,
        needed_by,
        released_by: released.iter().map(|(pipeline, _)| pipeline.id.clone()).collect(),
        steps,
    }
}

fn need(pipeline: &Pipeline, assessment: &Assessment<'_>) -> AssetNeed {
    let open_gates: Vec<_> =
        assessment.gates.iter().filter(|gate| gate.answer != GateAnswer::Pass).cloned().collect();
    let reason = match (assessment.stage, open_gates.as_slice()) {
        (stage @ (Stage::Planned | Stage::Building), _) => {
            format!("its new calculation does not run every night yet (stage {stage})")
        }
        (Stage::DualRun, [first, ..]) => format!("its gates do not pass: {}", first.reason),
        (stage, []) => format!("its gates pass, but it is not cut over (stage {stage})"),
        (stage, [first, ..]) => format!("it is not cut over (stage {stage}): {}", first.reason),
    };
    AssetNeed {
        pipeline: pipeline.id.clone(),
        title: pipeline.title.clone(),
        stage: assessment.stage,
        reason,
        open_gates,
    }
}

fn servers(assets: &[AssetReadiness]) -> Vec<ServerReadiness> {
    let mut by_server: BTreeMap<&str, Vec<AssetReadiness>> = BTreeMap::new();
    for asset in assets {
        by_server.entry(&asset.server).or_default().push(asset.clone());
    }
    by_server
        .into_iter()
        .map(|(server, assets)| {
            let counts = tally(&assets);
            ServerReadiness { server: server.to_owned(), counts, verdict: overall(&counts) }
        })
        .collect()
}

fn tally(assets: &[AssetReadiness]) -> ReadinessCounts {
    let mut counts = ReadinessCounts::default();
    for asset in assets {
        match asset.verdict {
            AssetVerdict::Needed => counts.needed += 1,
            AssetVerdict::Blocked => counts.blocked += 1,
            AssetVerdict::Ready => counts.ready += 1,
        }
    }
    counts
}

fn overall(counts: &ReadinessCounts) -> String {
    let total = counts.needed + counts.blocked + counts.ready;
    match (total, counts.needed, counts.blocked) {
        (0, _, _) => "no legacy asset is declared".to_owned(),
        (_, 0, 0) => "nothing declared needs its assets, but the servers were not asked".to_owned(),
        (_, needed, 0) => format!("{needed} of {total} assets are still needed"),
        (_, 0, 1) => format!("1 of {total} assets is blocked by what is not known or decided"),
        (_, 0, blocked) => format!("{blocked} of {total} assets are blocked by what is not known or decided"),
        (_, needed, 1) => {
            format!(
                "{needed} of {total} assets are still needed, and 1 is blocked by what is not known or decided"
            )
        }
        (_, needed, blocked) => format!(
            "{needed} of {total} assets are still needed, and {blocked} are blocked by what is not known or decided"
        ),
    }
}

fn server_of(id: &str) -> &str {
    id.split_once(':').map_or("other", |(server, _)| server)
}

#[cfg(test)]
mod tests;
