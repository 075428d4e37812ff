//! How to reach a server, how gently to treat it, and how to read a result.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use crate::{Say, SourceError};

/// How the connection is secured. The names are those of libpq's `sslmode`; the default is stricter than libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// Where the server offers it; the certificate is not looked at.
    Prefer,
    /// Always; the certificate is not looked at, unless a file of authorities is given.
    Require,
    /// Always; the certificate must be signed by a known authority, for whatever name.
    VerifyCa,
    /// Always; the certificate must be signed by a known authority, and for this server.
    #[default]
    VerifyFull,
}

impl TlsMode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// How to reach a server and how gently to treat it.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`. Of libpq's parameters those of the
    /// driver are known, and `sslmode`, `sslrootcert`, `sslcert` and `sslkey`.
    pub url: String,
    /// A file that holds the password, for one that is not in the URL. A line break at its end does not count.
    pub password_file: Option<PathBuf>,
    /// How the connection is secured; none: as the URL says, else [`TlsMode::VerifyFull`].
    pub tls: Option<TlsMode>,
    /// The authorities that are trusted (PEM), instead of those of the system and of Mozilla; none: as the URL says.
    pub ca_file: Option<PathBuf>,
    /// A query that takes longer is given up by the server. Includes the time in which its rows are fetched.
    pub statement_timeout: Duration,
    /// How long a query waits for a lock.
    pub lock_timeout: Duration,
    /// A transaction in which nothing happens for longer is ended by the server.
    pub idle_timeout: Duration,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How many connections may be open at a time, the one that holds a snapshot included.
    pub max_connections: usize,
    /// The time zone of the session: of casts between instants and dates in the SQL that runs there.
    pub time_zone: String,
    /// On a standby, reading pauses while it is further behind its primary than this.
    pub max_lag: Option<Duration>,
    /// How long it pauses at most.
    pub lag_wait: Duration,
    /// Who is told why a reading waits.
    pub say: Say,
}

impl PostgresOptions {
    /// The defaults for a URL: 10 minutes a query, 5 seconds for a lock, 5 minutes idle, 10 seconds to connect,
    /// 4 connections, UTC; reading pauses while a standby is 30 seconds behind, for 5 minutes.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password_file: None,
            tls: None,
            ca_file: None,
            statement_timeout: Duration::from_secs(600),
            lock_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            max_connections: 4,
            time_zone: "UTC".to_owned(),
            max_lag: Some(Duration::from_secs(30)),
            lag_wait: Duration::from_secs(300),
            say: Say::default(),
        }
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("PostgresOptions")
            .field("tls", &self.tls)
            .field("ca_file", &self.ca_file)
            .field("statement_timeout", &self.statement_timeout)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

/// How a column of exact numbers is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumericForm {
    /// A decimal of `precision` digits, `scale` of them after the point. A value that does not fit is an error, never
    /// rounded.
    Decimal {
        /// 1 to 76.
        precision: u8,
        /// 0 to the precision.
        scale: u8,
    },
    /// A 64-bit float: rounds, holds NaN and the infinities.
    Float64,
    /// The digits as the server writes them; holds NaN and the infinities.
    Text,
}

/// How a result is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// A batch has at most this many rows.
    pub batch_rows: usize,
    /// A batch ends with the row that brings it to this many bytes of values.
    pub batch_bytes: usize,
    /// How `numeric` without declared precision is read (results of `sum` and `avg`, for example).
    pub numeric: NumericForm,
    /// How single columns of `numeric` are read, whatever their declaration.
    pub columns: BTreeMap<String, NumericForm>,
}

impl Default for ReadOptions {
    /// 8,192 rows or 16 MiB; undeclared `numeric` as decimal(76,38), which holds every number of up to 38 digits on
    /// each side of the point.
    fn default() -> Self {
        Self {
            batch_rows: 8192,
            batch_bytes: 16 << 20,
            numeric: NumericForm::Decimal { precision: 76, scale: 38 },
            columns: BTreeMap::new(),
        }
    }
}

/// What the URL and the options say together.
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: TlsMode,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) client_certificate: Option<(PathBuf, PathBuf)>,
    /// The server without credentials.
    pub(super) label: String,
    /// Whether the URL sets the time zone itself.
    pub(super) own_time_zone: bool,
}

impl Target {
    pub(super) fn new(options: &PostgresOptions) -> Result<Self, SourceError> {
        let not_a_url = || {
            SourceError::Config(
                "not a PostgreSQL address; it looks like postgres://user:password@host:5432/database, with special \
                 characters of user and password percent-encoded"
                    .to_owned(),
            )
        };
        if !options.url.starts_with("postgres://") && !options.url.starts_with("postgresql://") {
            return Err(not_a_url());
        }
        let (base, query) = options.url.split_once('?').unwrap_or((&options.url, ""));
        let (mut tls, mut ca_file) = (options.tls, options.ca_file.clone());
        let (mut certificate, mut key) = (None, None);
        let mut kept = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "sslmode" => {
                    let mode = TlsMode::parse(&value).ok_or_else(|| {
                        SourceError::Config(format!(
                            "sslmode={value}: known are disable, prefer, require, verify-ca and verify-full"
                        ))
                    })?;
                    tls = tls.or(Some(mode));
                }
                "sslrootcert" if value != "system" => {
                    ca_file = ca_file.or_else(|| Some(PathBuf::from(value.as_ref())));
                }
                "sslrootcert" => {}
                "sslcert" => certificate = Some(PathBuf::from(value.as_ref())),
                "sslkey" => key = Some(PathBuf::from(value.as_ref())),
                _ => {
                    kept.append_pair(&name, &value);
                }
            }
        }
        // The serializer writes a space as +, which the driver does not read back.
        let kept = kept.finish().replace('+', "%20");
        let separator = if kept.is_empty() { "" } else { "?" };
        // The driver's own error is left out: it may quote a part of the password.
        let mut config: Config = format!("{base}{separator}{kept}").parse().map_err(|_| not_a_url())?;
        let named = config.get_hosts().iter().any(|host| !matches!(host, Host::Tcp(name) if name.is_empty()));
        if !named && config.get_hostaddrs().is_empty() {
            return Err(not_a_url());
        }
        if let Some(file) = &options.password_file {
            let text = std::fs::read_to_string(file).map_err(|e| {
                SourceError::Config(format!("{}: cannot be read: {}", file.display(), e.kind()))
            })?;
            config.password(text.trim_end_matches(['\r', '\n']));
        }
        let tls = match tls.unwrap_or_default() {
            // As libpq does for those who gave the file and expect it to be used.
            TlsMode::Require if ca_file.is_some() => TlsMode::VerifyCa,
            mode => mode,
        };
        config.ssl_mode(match tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        config.application_name("dualrun");
        config.connect_timeout(options.connect_timeout);
        config.keepalives_idle(Duration::from_secs(30));
        config.keepalives_interval(Duration::from_secs(10));
        config.keepalives_retries(3);
        config.tcp_user_timeout(Duration::from_secs(60));
        let own_time_zone = config.get_options().is_some_and(|o| o.to_ascii_lowercase().contains("timezone"));
        let client_certificate = certificate.zip(key);
        Ok(Self { label: label(&config), config, tls, ca_file, client_certificate, own_time_zone })
    }

    /// What is unsafe about the connection, for the log.
    pub(super) fn warning(&self) -> Option<String> {
        let local = self.config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => {
                name == "localhost" || name.parse().is_ok_and(|a: std::net::IpAddr| a.is_loopback())
            }
            #[cfg(unix)]
            Host::Unix(_) => true,
        });
        match self.tls {
            _ if local => None,
            TlsMode::Disable => Some("the connection is not encrypted".to_owned()),
            TlsMode::Prefer => {
                Some("the connection may not be encrypted, and the certificate is not checked".to_owned())
            }
            TlsMode::Require => Some("the certificate of the server is not checked".to_owned()),
            TlsMode::VerifyCa => Some("the name in the certificate of the server is not checked".to_owned()),
            TlsMode::VerifyFull => None,
        }
        .map(|what| format!("{}: {what}; choose sslmode=verify-full", self.label))
    }
}

fn label(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(i, host)| {
            let host = match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            };
            let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
            format!("{host}:{port}")
        })
        .collect();
    let hosts = if hosts.is_empty() {
        config.get_hostaddrs().iter().map(ToString::to_string).collect()
    } else {
        hosts
    };
    format!(
        "postgres://{}/{}",
        hosts.join(","),
        config.get_dbname().or(config.get_user()).unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, SourceError> {
        Target::new(&PostgresOptions::new(url))
    }

    #[test]
    fn certificates_are_verified_unless_the_address_says_otherwise() {
        for (url, expected) in [
            ("postgres://u:p@h/db", TlsMode::VerifyFull),
            ("postgres://u:p@h/db?sslmode=disable", TlsMode::Disable),
            ("postgresql://u:p@h/db?sslmode=prefer", TlsMode::Prefer),
            ("postgres://u:p@h/db?sslmode=require", TlsMode::Require),
            ("postgres://u:p@h/db?sslmode=verify-ca", TlsMode::VerifyCa),
            ("postgres://u:p@h/db?sslmode=require&sslrootcert=%2Fca.pem", TlsMode::VerifyCa),
        ] {
            assert_eq!(target(url).unwrap().tls, expected, "{url}");
        }
        let ca = target("postgres://u:p@h/db?sslmode=require&sslrootcert=%2Fa%20b%2Fca.pem").unwrap();
        assert_eq!(ca.ca_file.as_deref(), Some(std::path::Path::new("/a b/ca.pem")));
        assert!(matches!(target("postgres://u:p@h/db?sslmode=maybe"), Err(SourceError::Config(_))));
    }

    #[test]
    fn an_unchecked_certificate_is_told_of_except_on_this_machine() {
        let warning = |url| target(url).unwrap().warning();
        assert!(warning("postgres://u:p@db.example/x?sslmode=require").unwrap().contains("not checked"));
        assert!(warning("postgres://u:p@db.example/x?sslmode=disable").unwrap().contains("not encrypted"));
        assert_eq!(warning("postgres://u:p@db.example/x"), None);
        assert_eq!(warning("postgres://u:p@127.0.0.1/x?sslmode=disable"), None);
    }

    #[test]
    fn the_label_and_the_errors_hold_no_password() {
        let good = target("postgres://bob:s3cret@db.example:6432/core?sslmode=require").unwrap();
        assert_eq!(good.label, "postgres://db.example:6432/core");
        for bad in [
            "postgres://bob:s3cret@db:x/core",
            "mysql://bob:s3cret@db/core",
            "postgres://bob:s3c%ret#@/?host=",
        ] {
            let error = target(bad).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("s3c"), "{bad}: {error}");
        }
        let options = PostgresOptions::new("postgres://bob:s3cret@db.example/core");
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn a_password_can_come_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3 cret\n").unwrap();
        let mut options = PostgresOptions::new("postgres://bob@db.example/core");
        options.password_file = Some(file.path().to_owned());
        assert_eq!(Target::new(&options).unwrap().config.get_password(), Some("s3 cret".as_bytes()));
    }
}
