//! What `dualrun doctor` found: is everything there that a night needs?

use serde::Serialize;

use crate::ExitCode;

/// How a check ended. Worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Ok,
    /// It could not be found out.
    Unknown,
    /// A night works, and something should be done.
    Warning,
    /// A night does not work.
    Error,
}

impl Health {
    /// The name used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One check. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, in a word or two: `reachable`, `rights`.
    pub name: String,
    /// How it ended.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What the process answers where this is an error.
    #[serde(skip)]
    pub code: ExitCode,
}

impl Check {
    /// As it should be.
    pub fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Health::Ok, found, None)
    }

    /// It could not be found out.
    pub fn unknown(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Health::Unknown, found, None)
    }

    /// Something should be done.
    pub fn warning(name: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, Health::Warning, found, Some(advice.into()))
    }

    /// A night does not work.
    pub fn error(
        name: impl Into<String>,
        found: impl Into<String>,
        advice: Option<String>,
        code: ExitCode,
    ) -> Self {
        Self { code, ..Self::new(name, Health::Error, found, advice) }
    }

    fn new(
        name: impl Into<String>,
        health: Health,
        found: impl Into<String>,
        advice: Option<String>,
    ) -> Self {
        Self { name: name.into(), health, found: found.into(), advice, code: ExitCode::Infrastructure }
    }

    /// With what to do about it.
    #[must_use]
    pub fn advised(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// A source, the state database, the object store or a folder, with its checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// `source legacy`, `state`, `evidence`, `spill`.
    pub name: String,
    /// What it is: `postgres`, `parquet`, `folder`.
    pub kind: String,
    /// Where it is, without user and password.
    pub place: String,
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// `dualrun.doctor/1`.
    pub schema: String,
    /// The title of the project.
    pub project: String,
    /// The environment.
    pub environment: String,
    /// The worst of all checks.
    pub health: Health,
    /// What was looked at.
    pub examined: Vec<Examined>,
}

impl DoctorReport {
    /// Puts together what was looked at.
    pub fn new(project: &str, environment: &str, examined: Vec<Examined>) -> Self {
        let health = examined.iter().flat_map(|e| &e.checks).map(|c| c.health).max().unwrap_or(Health::Ok);
        Self {
            schema: "dualrun.doctor/1".to_owned(),
            project: project.to_owned(),
            environment: environment.to_owned(),
            health,
            examined,
        }
    }

    /// How many checks ended so.
    pub fn count(&self, health: Health) -> usize {
        self.examined.iter().flat_map(|e| &e.checks).filter(|c| c.health == health).count()
    }

    /// 0 where nothing is an error; else that of the errors, usage before infrastructure.
    pub fn exit_code(&self) -> ExitCode {
        let checks = self.examined.iter().flat_map(|e| &e.checks);
        let errors = checks.filter(|c| c.health == Health::Error).map(|c| c.code);
        match ExitCode::of_many(errors) {
            ExitCode::Nothing => ExitCode::Agree,
            code => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(checks: Vec<Check>) -> DoctorReport {
        let examined = Examined { name: "state".into(), kind: "sqlite".into(), place: "x".into(), checks };
        DoctorReport::new("p", "default", vec![examined])
    }

    #[test]
    fn only_errors_have_a_code() {
        let fine = report(vec![Check::ok("a", "b"), Check::warning("a", "b", "c"), Check::unknown("a", "b")]);
        assert_eq!((fine.exit_code(), fine.health), (ExitCode::Agree, Health::Warning));
        let away = Check::error("reachable", "no", None, ExitCode::Infrastructure);
        assert_eq!(report(vec![away.clone()]).exit_code(), ExitCode::Infrastructure);
        let wrong = Check::error("table", "no", None, ExitCode::Usage);
        assert_eq!(report(vec![away, wrong]).exit_code(), ExitCode::Usage);
        assert_eq!(report(Vec::new()).health, Health::Ok);
    }
}
