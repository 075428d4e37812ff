//! What a MongoDB server or the way to it can do wrong, in words for a person on call.

use std::time::Duration;

use dualrun_core::ExitCode;
use mongodb::error::{Error, ErrorKind};

/// Why a MongoDB server did not give what was asked for.
///
/// The server's own message is left out on purpose: it may quote values of documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MongoFault {
    /// The connection string cannot be used.
    #[error("the URL cannot be used: {0}")]
    Url(&'static str),
    /// The file with certificates cannot be read.
    #[error("the certificates of {0} cannot be read")]
    CaFile(String),
    /// No server answers.
    #[error("the server cannot be reached: {0}")]
    Unreachable(&'static str),
    /// The certificate of the server is not one to be trusted.
    #[error("the certificate of the server is not accepted: {0}")]
    Certificate(&'static str),
    /// User name or password are wrong.
    #[error("user name or password is wrong")]
    Login,
    /// The user lacks a right.
    #[error("the user may not do this")]
    NotAuthorised,
    /// There is no collection of this name.
    #[error("there is no such collection")]
    UnknownCollection,
    /// The collection was dropped, renamed or written anew in the meantime.
    #[error("the collection was dropped or replaced while it was read")]
    Dropped,
    /// The server ended a query that took too long.
    #[error("a query ran into its time limit of {} s", .0.as_secs_f64())]
    TimeLimit(Duration),
    /// The server did not answer at all in the time it had.
    #[error("no answer within {} s", .0.as_secs_f64())]
    NoAnswer(Duration),
    /// The connection broke.
    #[error("the connection was cut")]
    NetworkCut,
    /// The server does not know the cursor any more.
    #[error("the server closed the cursor")]
    CursorLost,
    /// The server is going down, starting, or changing its primary.
    #[error("the server is stopping or changing its primary")]
    Stopping,
    /// The snapshot is older than what the server keeps.
    #[error("the snapshot is older than the server keeps")]
    SnapshotTooOld,
    /// The secondaries are too far behind for too long.
    #[error("a replica is {} s behind, {} s are allowed", .lag.as_secs(), .allowed.as_secs())]
    Lagging {
        /// How far the slowest one is behind.
        lag: Duration,
        /// How far it may be.
        allowed: Duration,
    },
    /// The server refused a command for another reason.
    #[error("the server refused the command: {name} ({code})")]
    Refused {
        /// The code of the server.
        code: i32,
        /// The name of the code.
        name: String,
    },
    /// The answer is not one of this protocol, or a document in it is damaged.
    #[error("the answer of the server cannot be read: {0}")]
    Reply(String),
    /// Documents could not be put aside.
    #[error("the temporary file cannot be used: {0}")]
    Spool(std::io::ErrorKind),
    /// Reading stopped with the process.
    #[error("reading was stopped")]
    Stopped,
}

impl MongoFault {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Url(_) => {
                "mongodb://user:password@host:27017/database; signs such as @ : / % in a password are percent-encoded"
            }
            Self::CaFile(_) => "name a PEM file that this process may read",
            Self::Unreachable(_) => {
                "check host, port, firewall and TLS (tls=false in the URL for a server without); a retry may help"
            }
            Self::Certificate(_) => {
                "renew the certificate, or name the authority that signed it with tlsCAFile in the URL"
            }
            Self::Login => "check the user, the password and the authSource of the URL",
            Self::NotAuthorised => "give the user the role `read` on the database, nothing more",
            Self::UnknownCollection => "check the names of database and collection; case counts",
            Self::Dropped => "run again when the job that writes the collection has ended",
            Self::TimeLimit(_) => {
                "an index for the filter is missing, or the server is busy; raise the time limit last"
            }
            Self::NoAnswer(_) | Self::NetworkCut | Self::CursorLost | Self::Stopping | Self::Stopped => {
                "a retry may help"
            }
            Self::SnapshotTooOld => {
                "raise minSnapshotHistoryWindowInSeconds on the server, or read at a quieter hour"
            }
            Self::Lagging { .. } => "wait until the replicas have caught up, then run again",
            Self::Spool(_) => "free space in the temporary folder (TMPDIR), or name another one",
            Self::Refused { .. } | Self::Reply(_) => return None,
        };
        Some(text.to_owned())
    }

    /// Whether the same call may succeed later with nothing else changed.
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Dropped
                | Self::TimeLimit(_)
                | Self::NoAnswer(_)
                | Self::NetworkCut
                | Self::CursorLost
                | Self::Stopping
                | Self::SnapshotTooOld
                | Self::Lagging { .. }
                | Self::Stopped
        )
    }

    /// What the process answers.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Url(_) | Self::CaFile(_) => ExitCode::Usage,
            _ => ExitCode::Infrastructure,
        }
    }

    /// Whether the query may go on after the last document that came.
    pub(super) fn resumable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::NoAnswer(_)
                | Self::NetworkCut
                | Self::CursorLost
                | Self::Stopping
                | Self::TimeLimit(_)
        )
    }

    /// Sorts an error of the driver. `limit` is the time that the command had.
    pub(super) fn of(error: &Error, limit: Duration) -> Self {
        match error.kind.as_ref() {
            ErrorKind::Authentication { .. } => Self::login(error, limit),
            ErrorKind::Command(command) => Self::of_code(command.code, &command.code_name, limit),
            ErrorKind::Io(cause) => Self::of_io(cause),
            ErrorKind::ConnectionPoolCleared { message, .. } => {
                Self::of_text(message).unwrap_or(Self::NetworkCut)
            }
            ErrorKind::ServerSelection { message, .. } => {
                let silent = message.contains("Type: Unknown }");
                let why = if silent { "no answer in time" } else { "no member fits the read preference" };
                Self::of_text(message).unwrap_or(Self::Unreachable(why))
            }
            ErrorKind::DnsResolve { .. } => Self::Unreachable("the name of the host is not known"),
            ErrorKind::InvalidTlsConfig { .. } => Self::Certificate("the certificate files cannot be used"),
            ErrorKind::InvalidArgument { .. } => Self::Url("an option has a wrong value"),
            ErrorKind::InvalidResponse { .. } => Self::Reply("not as the protocol says".to_owned()),
            ErrorKind::Bson(_) => Self::Reply("damaged document".to_owned()),
            ErrorKind::IncompatibleServer { .. } | ErrorKind::SessionsNotSupported => {
                Self::Refused { code: 0, name: "IncompatibleServer".to_owned() }
            }
            ErrorKind::Shutdown => Self::Stopped,
            _ => Self::Reply("the driver gave up".to_owned()),
        }
    }

    /// A network that breaks while the password is checked is no wrong password.
    fn login(error: &Error, limit: Duration) -> Self {
        let source = std::error::Error::source(error).and_then(|s| s.downcast_ref::<Error>());
        match source.map(|e| Self::of(e, limit)) {
            Some(fault @ (Self::NetworkCut | Self::Unreachable(_) | Self::NoAnswer(_))) => fault,
            _ => Self::Login,
        }
    }

    /// By the codes of the server's `error_codes.yml`.
    fn of_code(code: i32, name: &str, limit: Duration) -> Self {
        match code {
            11 | 18 => Self::Login,
            13 => Self::NotAuthorised,
            26 => Self::UnknownCollection,
            // QueryPlanKilled: the collection or an index of the plan was dropped.
            175 => Self::Dropped,
            50 | 262 => Self::TimeLimit(limit),
            43 | 237 => Self::CursorLost,
            239 | 246 => Self::SnapshotTooOld,
            6 | 7 | 89 | 9001 => Self::NetworkCut,
            91 | 189 | 10058 | 10107 | 11600 | 11602 | 13435 | 13436 => Self::Stopping,
            _ => {
                let name: String = name.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
                Self::Refused { code, name: if name.is_empty() { "no name".to_owned() } else { name } }
            }
        }
    }

    fn of_io(cause: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        if let Some(fault) = Self::of_text(&cause.to_string()) {
            return fault;
        }
        match cause.kind() {
            Io::ConnectionRefused => Self::Unreachable("connection refused"),
            Io::TimedOut => Self::Unreachable("no answer in time"),
            Io::HostUnreachable | Io::NetworkUnreachable => Self::Unreachable("no route to the host"),
            Io::NotFound => Self::Unreachable("the name of the host is not known"),
            _ => Self::NetworkCut,
        }
    }

    /// The text of the driver names the cause of a failed connection: rustls and the operating system write it.
    fn of_text(text: &str) -> Option<Self> {
        let causes: [(&str, Self); 13] = [
            ("certificate: Expired", Self::Certificate("it has expired")),
            ("certificate expired", Self::Certificate("it has expired")),
            ("certificate: NotValidYet", Self::Certificate("it is not valid yet")),
            ("certificate not valid yet", Self::Certificate("it is not valid yet")),
            ("certificate: UnknownIssuer", Self::Certificate("nobody who is trusted has signed it")),
            ("UnknownIssuer", Self::Certificate("nobody who is trusted has signed it")),
            ("certificate: NotValidForName", Self::Certificate("it is for another host")),
            ("certificate not valid for name", Self::Certificate("it is for another host")),
            ("invalid peer certificate", Self::Certificate("it is not valid")),
            ("Connection refused", Self::Unreachable("connection refused")),
            ("failed to lookup address", Self::Unreachable("the name of the host is not known")),
            ("timed out", Self::Unreachable("no answer in time")),
            ("unexpected end of file", Self::Unreachable("it closes the connection at once")),
        ];
        causes.into_iter().find(|(sign, _)| text.contains(sign)).map(|(_, fault)| fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(kind: std::io::ErrorKind, text: &str) -> MongoFault {
        MongoFault::of(&Error::from(ErrorKind::from(std::io::Error::new(kind, text))), Duration::from_secs(2))
    }

    #[test]
    fn a_broken_connection_is_told_from_a_server_that_is_not_there() {
        use std::io::ErrorKind as Io;
        assert_eq!(io(Io::ConnectionReset, "reset"), MongoFault::NetworkCut);
        assert_eq!(io(Io::ConnectionRefused, "x"), MongoFault::Unreachable("connection refused"));
        assert_eq!(
            io(Io::InvalidData, "invalid peer certificate: certificate expired: verification time 1"),
            MongoFault::Certificate("it has expired")
        );
        assert_eq!(
            io(Io::InvalidData, "invalid peer certificate: UnknownIssuer").to_string(),
            "the certificate of the server is not accepted: nobody who is trusted has signed it"
        );
    }

    #[test]
    fn codes_of_the_server_have_words_and_none_of_its_message() {
        let of = |code| MongoFault::of_code(code, "Name<script>", Duration::from_secs(30));
        assert_eq!(of(18), MongoFault::Login);
        assert_eq!(of(13), MongoFault::NotAuthorised);
        assert_eq!(of(50).to_string(), "a query ran into its time limit of 30 s");
        assert_eq!(of(241).to_string(), "the server refused the command: Namescript (241)");
        assert!(of(91).retryable() && of(43).resumable() && !of(13).retryable());
        assert_eq!(u8::from(of(13).exit_code()), 3);
        assert_eq!(u8::from(MongoFault::Url("x").exit_code()), 2);
    }
}
