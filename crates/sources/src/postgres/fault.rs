//! Errors of the driver as faults that a person on call understands.

use std::{error::Error as _, io};

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use rustls::CertificateError;
use tokio_postgres::{
    Error,
    error::{DbError, ErrorPosition, SqlState},
};

use super::error::{Fault, PostgresError};

/// Says what the driver met at `server`.
///
/// The texts of the server are kept only where they cannot hold a value of a row: names and syntax, rights,
/// resources. Those about data are named by their code.
pub(super) fn driver(server: &str, error: &Error) -> PostgresError {
    if let Some(answer) = error.as_db_error() {
        return answered(server, answer);
    }
    if error.is_closed() {
        return PostgresError::new(server, Fault::Cut, "the connection was closed");
    }
    let mut cause = error.source();
    while let Some(current) = cause {
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return secured(server, tls);
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            // An input/output error holds its cause without naming it as its source.
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return secured(server, tls);
            }
            return socket(server, error, io);
        }
        cause = current.source();
    }
    // Display of the driver's error names its kind only; the cause may hold values.
    let text = error.to_string();
    match text.as_str() {
        "error performing TLS handshake" => {
            let what = if error.source().is_some_and(|s| s.to_string().contains("does not support")) {
                "the server does not offer TLS"
            } else {
                "the TLS handshake failed"
            };
            PostgresError::new(server, Fault::Encryption, what)
        }
        "authentication error" => PostgresError::new(server, Fault::Login, "the login failed"),
        "invalid configuration" => match error.source() {
            Some(cause) if cause.to_string().contains("password") => {
                PostgresError::new(server, Fault::Login, "a password is needed and none is given")
            }
            _ => PostgresError::new(server, Fault::Login, "the connection is not configured completely"),
        },
        "timeout waiting for server" => {
            PostgresError::new(server, Fault::Unreachable, "no answer within the time to connect")
        }
        _ => PostgresError::new(server, Fault::Protocol, text),
    }
}

/// Says what kept the pool from giving out a connection.
pub(super) fn pool(server: &str, error: PoolError) -> PostgresError {
    match error {
        PoolError::Backend(error) => driver(server, &error),
        PoolError::PostCreateHook(HookError::Backend(error)) => driver(server, &error),
        PoolError::Timeout(TimeoutType::Wait) => {
            PostgresError::new(server, Fault::Busy, "all connections that may be opened are in use")
                .with_hint("raise max_connections, or read less at the same time")
        }
        PoolError::Timeout(_) => {
            PostgresError::new(server, Fault::Unreachable, "no answer within the time to connect")
        }
        PoolError::PostCreateHook(_) | PoolError::Closed | PoolError::NoRuntimeSpecified => {
            PostgresError::new(server, Fault::Cut, "the connection could not be set up")
        }
    }
}

fn answered(server: &str, error: &DbError) -> PostgresError {
    let code = error.code();
    let class = code.code().get(..2).unwrap_or_default();
    let fault = match code {
        c if *c == SqlState::QUERY_CANCELED || *c == SqlState::LOCK_NOT_AVAILABLE => Fault::TimeLimit,
        c if *c == SqlState::INSUFFICIENT_PRIVILEGE => Fault::Forbidden,
        c if *c == SqlState::READ_ONLY_SQL_TRANSACTION => Fault::Forbidden,
        c if *c == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Fault::Cut,
        c if *c == SqlState::UNDEFINED_TABLE
            || *c == SqlState::UNDEFINED_COLUMN
            || *c == SqlState::UNDEFINED_OBJECT
            || *c == SqlState::UNDEFINED_FUNCTION
            || *c == SqlState::INVALID_SCHEMA_NAME
            || *c == SqlState::INVALID_CATALOG_NAME =>
        {
            Fault::Unknown
        }
        c if *c == SqlState::T_R_SERIALIZATION_FAILURE || *c == SqlState::T_R_DEADLOCK_DETECTED => {
            Fault::Restart
        }
        _ => match class {
            "28" => Fault::Login,
            "08" => Fault::Cut,
            "53" => Fault::Busy,
            "57" | "58" => Fault::Restart,
            "22" | "23" => Fault::Value,
            _ => Fault::Query,
        },
    };
    // Messages of these classes speak of names, rights and resources; all others may quote a value.
    if *code == SqlState::T_R_SERIALIZATION_FAILURE {
        // A session that only reads one snapshot meets this on a standby only.
        return PostgresError::new(server, fault, "the replica gave the query up to follow its primary").with_hint(
            "set hot_standby_feedback = on, or raise max_standby_streaming_delay, on the replica; a retry may help",
        );
    }
    let quotable =
        matches!(class, "08" | "0A" | "25" | "28" | "3D" | "3F" | "42" | "53" | "54" | "55" | "57" | "58");
    let mut what = if quotable {
        error.message().to_owned()
    } else {
        format!("the server answers with SQLSTATE {} ({})", code.code(), meaning(class))
    };
    if let Some(ErrorPosition::Original(position)) = error.position() {
        what.push_str(&format!(" (at character {position})"));
    }
    let found = PostgresError::new(server, fault, what);
    match code {
        c if *c == SqlState::READ_ONLY_SQL_TRANSACTION => {
            found.with_hint("dualrun only reads; take the writing part out of the query")
        }
        c if *c == SqlState::LOCK_NOT_AVAILABLE => found
            .with_hint("somebody else holds a lock on the table, for example to change it; a retry may help"),
        c if *c == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => {
            found.with_hint("the snapshot was held without a sign of life for too long; a retry may help")
        }
        c if *c == SqlState::INSUFFICIENT_PRIVILEGE && error.message().contains("row-level security") => {
            found.with_hint(
                "rows would be left out without a word: give the user BYPASSRLS, or a table without policies",
            )
        }
        _ if fault == Fault::Value => {
            found.with_hint("a value of the data does not fit what the query does with it")
        }
        _ => found,
    }
}

/// The classes of Appendix A of the PostgreSQL manual whose messages are not shown.
fn meaning(class: &str) -> &'static str {
    match class {
        "21" => "cardinality violation",
        "22" => "data exception",
        "23" => "constraint violation",
        "40" => "transaction rollback",
        "P0" => "an exception raised by a function",
        "XX" => "internal error",
        _ => "see appendix A of the PostgreSQL manual",
    }
}

fn secured(server: &str, error: &rustls::Error) -> PostgresError {
    use CertificateError as C;
    let rustls::Error::InvalidCertificate(reason) = error else {
        return PostgresError::new(server, Fault::Encryption, format!("TLS failed: {error}"));
    };
    let (what, hint) = match reason {
        C::Expired | C::ExpiredContext { .. } => {
            ("the certificate of the server has expired", "renew the certificate; is the clock here right?")
        }
        C::NotValidYet | C::NotValidYetContext { .. } => {
            ("the certificate of the server is not valid yet", "is the clock here right?")
        }
        C::UnknownIssuer | C::BadSignature => (
            "the certificate of the server is signed by an unknown authority",
            "name the file of the authority (sslrootcert, ca_file)",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => (
            "the certificate of the server is for another name",
            "connect by the name in the certificate, or choose sslmode=verify-ca to leave the name unchecked",
        ),
        C::Revoked => ("the certificate of the server was revoked", "renew the certificate"),
        C::Other(other) if other.0.to_string().contains("CaUsedAsEndEntity") => (
            "the certificate of the server is that of an authority",
            "give the server a certificate of its own, signed by the authority",
        ),
        _ => ("the certificate of the server is not valid", "renew the certificate"),
    };
    PostgresError::new(server, Fault::Certificate, what).with_hint(hint)
}

fn socket(server: &str, error: &Error, io: &io::Error) -> PostgresError {
    if io.kind() == io::ErrorKind::InvalidInput {
        // What the connector says of `host` before the handshake begins.
        return PostgresError::new(
            server,
            Fault::Certificate,
            "the address is not one that a certificate can name",
        )
        .with_hint("connect by the name in the certificate");
    }
    let connecting = error.to_string() == "error connecting to server";
    let what = match io.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there (connection refused)",
        io::ErrorKind::TimedOut => "no answer within the time to connect",
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => "the connection was cut",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way to that address",
        io::ErrorKind::NotFound => "there is no such socket",
        _ if connecting => "the address cannot be resolved or reached",
        _ => "the connection was cut",
    };
    let fault = match io.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut => Fault::Unreachable,
        _ if connecting => Fault::Unreachable,
        _ => Fault::Cut,
    };
    PostgresError::new(server, fault, what)
}
