//! The four steps of switching an asset off.

use dualrun_core::{PipelineId, Stage, asset::AssetDecl, asset::Disposition};
use jiff::civil::Date;

use crate::model::{AssetNeed, Step, StepAnswer, StepVerdict};

const NOBODY_READS: &str = "nothing declared reads it; the server was not asked";

/// What is known of one asset.
pub(super) struct Facts<'a> {
    /// Pipelines that still need it.
    pub(super) needed_by: &'a [AssetNeed],
    /// Pipelines that are cut over or retired.
    pub(super) released: &'a [(PipelineId, Stage)],
    /// Its entry in `dualrun.toml`.
    pub(super) declaration: Option<&'a AssetDecl>,
    /// The day.
    pub(super) as_of: Date,
}

impl Facts<'_> {
    /// The steps in their order. None but the last looks at the ones before.
    pub(super) fn steps(&self) -> Vec<StepVerdict> {
        let answers = [self.stop_writes(), self.revoke_reads(), self.test_restore()];
        let refused = Step::ALL.iter().zip(&answers).find(|(_, (answer, _))| *answer == StepAnswer::No);
        let drop = match refused {
            Some((step, _)) => (StepAnswer::No, format!("first: {}", step.title())),
            None => self.drop_it(),
        };
        let verdicts = Step::ALL.into_iter().zip(answers.into_iter().chain([drop]));
        verdicts.map(|(step, (answer, reason))| StepVerdict { step, answer, reason }).collect()
    }

    /// What nobody knows or decided, in sentences.
    pub(super) fn open_questions(&self) -> Vec<String> {
        let mut open = Vec::new();
        if self.unread() {
            open.push(NOBODY_READS.to_owned());
        }
        match self.declaration {
            None => open.push("dualrun.toml does not declare it".to_owned()),
            Some(declaration) => {
                if declaration.disposition.is_none() {
                    open.push("nobody decided what becomes of it".to_owned());
                }
                if declaration.owner.as_deref().is_none_or(|owner| owner.trim().is_empty()) {
                    open.push("nobody answers for it".to_owned());
                }
                if let Some(day) = self.held_until() {
                    open.push(format!("it is to be dropped, but must stay readable until {day}"));
                }
            }
        }
        open
    }

    fn stop_writes(&self) -> (StepAnswer, String) {
        if self.stays() {
            (StepAnswer::No, "it stays by decision".to_owned())
        } else if !self.needed_by.is_empty() {
            (StepAnswer::No, format!("{} still calculates from it", self.needing()))
        } else if self.unread() {
            (StepAnswer::Unknown, NOBODY_READS.to_owned())
        } else {
            (StepAnswer::Yes, "every pipeline that names it is cut over".to_owned())
        }
    }

    fn revoke_reads(&self) -> (StepAnswer, String) {
        let not_retired = self.released.iter().find(|(_, stage)| *stage < Stage::Retired);
        if self.stays() {
            (StepAnswer::No, "it stays by decision".to_owned())
        } else if !self.needed_by.is_empty() {
            (StepAnswer::No, format!("{} still reads it", self.needing()))
        } else if self.unread() {
            (StepAnswer::Unknown, NOBODY_READS.to_owned())
        } else if let Some((pipeline, stage)) = not_retired {
            (StepAnswer::No, format!("{pipeline} is {stage}: a rollback would read it"))
        } else {
            (StepAnswer::Yes, "every pipeline that names it is retired".to_owned())
        }
    }

    fn test_restore(&self) -> (StepAnswer, String) {
        match self.declaration.and_then(|declaration| declaration.disposition) {
            Some(Disposition::Archive) => {
                (StepAnswer::Unknown, "no test is recorded that its archive can be read back".to_owned())
            }
            Some(Disposition::Migrate) => (
                StepAnswer::Unknown,
                "no test is recorded that its whole content can be read on the new platform".to_owned(),
            ),
            Some(Disposition::Drop) => (StepAnswer::Yes, "nothing of it is to be kept".to_owned()),
            Some(Disposition::Keep) => (StepAnswer::No, "it stays by decision".to_owned()),
            None => (StepAnswer::Unknown, "nobody decided what becomes of it".to_owned()),
        }
    }

    fn drop_it(&self) -> (StepAnswer, String) {
        if let Some(day) = self.held_until() {
            (StepAnswer::No, format!("its content must stay readable until {day}"))
        } else {
            (StepAnswer::Unknown, "the server was not asked who else reads it".to_owned())
        }
    }

    /// The day until which content that nobody archives must stay readable.
    fn held_until(&self) -> Option<Date> {
        let declaration = self.declaration?;
        let dropped = declaration.disposition == Some(Disposition::Drop);
        declaration.retain_until.filter(|day| dropped && *day >= self.as_of)
    }

    fn stays(&self) -> bool {
        self.declaration.and_then(|declaration| declaration.disposition) == Some(Disposition::Keep)
    }

    fn unread(&self) -> bool {
        self.needed_by.is_empty() && self.released.is_empty()
    }

    fn needing(&self) -> String {
        match self.needed_by {
            [] => "nothing".to_owned(),
            [one] => one.pipeline.to_string(),
            [one, rest @ ..] => format!("{} (and {} more)", one.pipeline, rest.len()),
        }
    }
}
