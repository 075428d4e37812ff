//! Errors of the command line: what the others report, and its own files and arguments.

use std::path::PathBuf;

use dualrun_core::ExitCode;
use dualrun_engine::EngineError;

/// Why a command ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The engine could not do it.
    #[error(transparent)]
    Engine(Box<EngineError>),
    /// The demo could not do it.
    #[error(transparent)]
    Demo(Box<dualrun_demo::DemoError>),
    /// The project has mistakes; they are printed already.
    #[error("the project has {count} mistake{}", if *count == 1 { "" } else { "s" })]
    Project {
        /// How many.
        count: usize,
        /// All of them as text.
        text: String,
    },
    /// No `dualrun.toml` where one is expected.
    #[error("no dualrun.toml in {}", .0.display())]
    NoProject(PathBuf),
    /// A file of the user's.
    #[error("{}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `init` into a folder with something in it.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// An argument that clap cannot judge.
    #[error("{message}")]
    Argument {
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// A page that could not be rendered.
    #[error(transparent)]
    Page(#[from] dualrun_report::html::HtmlError),
    /// A value that could not be written as JSON.
    #[error("the answer cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Standard output is closed or full.
    #[error("standard output")]
    Stdout(#[source] std::io::Error),
    /// The runtime of the process could not start.
    #[error("the runtime cannot start")]
    Runtime(#[source] std::io::Error),
}

impl CliError {
    /// What the process answers.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Engine(error) => error.exit_code(),
            Self::Demo(error) => error.exit_code(),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ExitCode::Usage,
            Self::File { .. } | Self::Stdout(_) | Self::Runtime(_) | Self::Json(_) | Self::Page(_) => {
                ExitCode::Infrastructure
            }
            Self::Project { .. } | Self::NoProject(_) | Self::NotEmpty(_) | Self::Argument { .. } => {
                ExitCode::Usage
            }
        }
    }

    /// The way out, where one is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Demo(error) => error.hint(),
            Self::NoProject(_) => {
                Some("name the folder with --project, or make a project with `dualrun init DIR`".into())
            }
            Self::NotEmpty(_) => Some("name a folder that does not exist yet".into()),
            Self::Argument { hint, .. } => hint.clone(),
            _ => None,
        }
    }

    /// Whether the same command may succeed later.
    pub(crate) fn retryable(&self) -> bool {
        match self {
            Self::Engine(error) => error.retryable(),
            Self::Demo(error) => error.retryable(),
            _ => false,
        }
    }

    /// The chain of causes in one line.
    pub(crate) fn chain(&self) -> String {
        dualrun_core::chain(self)
    }

    /// As a report says it.
    pub(crate) fn failure(&self) -> dualrun_core::run::Failure {
        let stage = match self {
            Self::Engine(error) => error.stage(),
            _ => "plan",
        };
        dualrun_core::run::Failure {
            stage: stage.to_owned(),
            message: match self {
                Self::Project { text, .. } => text.clone(),
                _ => self.chain(),
            },
            hint: self.hint(),
            retryable: self.retryable(),
        }
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<dualrun_demo::DemoError> for CliError {
    fn from(error: dualrun_demo::DemoError) -> Self {
        Self::Demo(Box::new(error))
    }
}
