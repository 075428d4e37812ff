//! What a PostgreSQL server, or the way to it, does wrong.

use dualrun_core::ExitCode;

use crate::SourceError;

/// The kinds that a person on call tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody answers at the address: refused, unknown name, no route, too slow.
    Unreachable,
    /// The certificate of the server is expired, unknown or for another name.
    Certificate,
    /// The server does not offer TLS, or speaks it in a way that cannot be used.
    Encryption,
    /// User or password are refused.
    Login,
    /// The user is known but may not do this.
    Forbidden,
    /// A table, column, function, schema or database that does not exist.
    Unknown,
    /// The server gave up at the time limit that it was given.
    TimeLimit,
    /// The connection ended in the middle.
    Cut,
    /// The server has no room: connections, memory, disk.
    Busy,
    /// The server stops, starts, or gave way to replication.
    Restart,
    /// A standby is too far behind its primary, for too long.
    Lagging,
    /// The query is not one that the server can run.
    Query,
    /// A value that cannot be brought into its column.
    Value,
    /// An answer that does not follow the protocol.
    Protocol,
}

/// An error at a PostgreSQL server. Holds no password, no parameter and no value of a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{server}: {what}")]
pub struct PostgresError {
    /// The server without credentials, for example `postgres://db.example:5432/core`.
    pub server: String,
    /// Which kind it is.
    pub fault: Fault,
    /// What happened, in words.
    pub what: String,
    /// A hint that is closer than that of the kind.
    pub hint: Option<String>,
}

impl PostgresError {
    pub(crate) fn new(server: &str, fault: Fault, what: impl Into<String>) -> Self {
        Self { server: server.to_owned(), fault, what: what.into(), hint: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        if self.hint.is_some() {
            return self.hint.clone();
        }
        let hint = match self.fault {
            Fault::Unreachable => "is the server up, and is the address right? a retry may help",
            Fault::Certificate => {
                "name the file of the authority that signed it (sslrootcert, ca_file), or renew the certificate"
            }
            Fault::Encryption => {
                "switch TLS on at the server, or choose sslmode=disable for a network that you trust"
            }
            Fault::Login => "check user and password",
            Fault::Forbidden => "grant the user the right to read it",
            Fault::Unknown => "was it dropped or renamed? check the name, the schema and the database",
            Fault::TimeLimit => {
                "ask for less at once, add an index, or raise the time limit; a retry may help"
            }
            Fault::Cut => "the server or the network ended the connection; a retry may help",
            Fault::Busy => "wait for other work to end, or use fewer connections; a retry may help",
            Fault::Restart => "the server restarts or catches up with its primary; a retry may help",
            Fault::Lagging => "wait until the replica has caught up, or read another one; a retry may help",
            Fault::Query => return None,
            Fault::Value => "choose another type for the column",
            Fault::Protocol => "is that the right kind of server?",
        };
        Some(hint.to_owned())
    }

    /// Whether the same call may succeed later with nothing else changed.
    pub fn retryable(&self) -> bool {
        matches!(
            self.fault,
            Fault::Unreachable
                | Fault::TimeLimit
                | Fault::Cut
                | Fault::Busy
                | Fault::Restart
                | Fault::Lagging
        )
    }

    /// Whether a new reading, of a later state, may go where this one did not: the server or the way to it broke off.
    pub fn broke_off(&self) -> bool {
        matches!(self.fault, Fault::Unreachable | Fault::Cut | Fault::Restart)
    }

    /// Infrastructure, except where the query or a value is at fault.
    pub fn exit_code(&self) -> ExitCode {
        match self.fault {
            Fault::Query | Fault::Value => ExitCode::Usage,
            _ => ExitCode::Infrastructure,
        }
    }
}

impl From<PostgresError> for SourceError {
    fn from(error: PostgresError) -> Self {
        Self::Postgres(Box::new(error))
    }
}
