//! Who may connect, how it is secured, and what an error says.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use arrow::array::AsArray;
use dualrun_sources::postgres::{Fault, PostgresOptions, PostgresSource, ReadOptions, TlsMode};

use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::support::{certificates, fault, in_schema, rows, texts};

async fn refused(options: PostgresOptions) -> (Fault, String) {
    fault(&PostgresSource::connect(options).await.expect_err("should not connect"))
}

#[tokio::test]
async fn a_wrong_password_is_told_without_any_password() {
    in_schema("password", async |place| {
        let (kind, text) = refused(place.options_as(None, Some("wr0ng-s3cret"))).await;
        assert_eq!(kind, Fault::Login);
        assert!(text.contains("check user and password"), "{text}");
        assert!(!text.contains("wr0ng-s3cret") && !text.contains(&place.password()), "{text}");
        let (kind, _) = refused(place.options_as(None, None)).await;
        assert_eq!(kind, Fault::Login, "no password at all");
        let mut options = place.options_as(None, None);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), place.password() + "\n").unwrap();
        options.password_file = Some(file.path().to_owned());
        assert!(PostgresSource::connect(options).await.is_ok(), "the password comes from a file");
    })
    .await;
}

#[tokio::test]
async fn nobody_there_an_unknown_database_and_a_silent_server_are_told_apart() {
    in_schema("unreachable", async |place| {
        let (kind, text) =
            refused(PostgresOptions::new("postgres://u:s3cret@127.0.0.1:1/db?sslmode=disable")).await;
        assert_eq!(kind, Fault::Unreachable);
        assert!(
            text.contains("postgres://127.0.0.1:1/db: nobody listens there") && !text.contains("s3cret"),
            "{text}"
        );

        let (kind, text) = refused(PostgresOptions::new("postgres://u:s3cret@no.such.host.invalid/db")).await;
        assert_eq!(kind, Fault::Unreachable, "{text}");

        let url = place.options().url;
        let (base, parameters) = url.split_once('?').unwrap();
        let other = format!("{}/no_such_database?{parameters}", base.rsplit_once('/').unwrap().0);
        let (kind, text) = refused(PostgresOptions::new(other)).await;
        assert_eq!(kind, Fault::Unknown);
        assert!(text.contains("no_such_database"), "{text}");

        // A listener that never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let mut options = PostgresOptions::new(format!("postgres://u@{address}/db?sslmode=disable"));
        options.connect_timeout = Duration::from_millis(300);
        let started = std::time::Instant::now();
        let (kind, _) = refused(options).await;
        assert_eq!(kind, Fault::Unreachable);
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    })
    .await;
}

#[tokio::test]
async fn certificates_are_checked_as_the_mode_says() {
    in_schema("certificates", async |place| {
        let Some(folder) = certificates("certificates") else { return };
        let connect = async |mode: Option<TlsMode>, ca: Option<&str>, host: &str| {
            let mut options = PostgresOptions::new(place.url("").replace("127.0.0.1", host));
            options.tls = mode;
            options.ca_file = ca.map(|file| folder.join(file));
            PostgresSource::connect(options).await
        };
        let encrypted = async |source: &PostgresSource| {
            let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            rows(source, sql, &[]).await.unwrap().column(0).as_boolean().value(0)
        };
        // Verified by default, for the address as well as for the name.
        for host in ["127.0.0.1", "localhost"] {
            let source = connect(None, Some("ca.pem"), host).await.unwrap();
            assert!(encrypted(&source).await);
            assert_eq!(source.warning(), None);
        }
        for mode in [TlsMode::Require, TlsMode::Prefer] {
            assert!(encrypted(&connect(Some(mode), None, "127.0.0.1").await.unwrap()).await);
        }
        assert!(!encrypted(&connect(Some(TlsMode::Disable), None, "127.0.0.1").await.unwrap()).await);

        assert!(connect(Some(TlsMode::VerifyCa), Some("ca.pem"), "127.0.0.1").await.is_ok());
        for (mode, ca, host, said) in [
            (None, None, "127.0.0.1", "unknown authority"),
            (None, Some("other-ca.pem"), "127.0.0.1", "unknown authority"),
            (Some(TlsMode::VerifyCa), Some("other-ca.pem"), "127.0.0.1", "unknown authority"),
            (Some(TlsMode::Require), Some("other-ca.pem"), "127.0.0.1", "unknown authority"),
        ] {
            let (kind, text) = fault(&connect(mode, ca, host).await.unwrap_err());
            assert_eq!(kind, Fault::Certificate, "{text}");
            assert!(text.contains(said) && text.contains("sslrootcert"), "{text}");
        }
        let error = connect(None, Some("no-such.pem"), "127.0.0.1").await.unwrap_err();
        assert!(error.to_string().contains("no-such.pem"), "{error}");
    })
    .await;
}

/// A server that only shakes hands, with a certificate of the folder.
fn handshaker(folder: &Path, name: &str) -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The request for TLS, and the answer that it may begin.
            stream.read_exact(&mut [0; 8]).unwrap();
            stream.write_all(b"S").unwrap();
            let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
        }
    });
    address
}

#[tokio::test]
async fn an_expired_certificate_and_one_for_another_name_are_told() {
    let Some(folder) = certificates("expired") else { return };
    let connect = async |address: String, mode: TlsMode| {
        let mut options =
            PostgresOptions::new(format!("postgres://u:s3cret@{address}/db?hostaddr=127.0.0.1"));
        options.ca_file = Some(folder.join("ca.pem"));
        options.tls = Some(mode);
        refused(options).await
    };
    let expired = handshaker(&folder, "expired");
    for mode in [TlsMode::VerifyFull, TlsMode::VerifyCa] {
        let (kind, text) = connect(format!("localhost:{}", expired.port()), mode).await;
        assert_eq!(kind, Fault::Certificate, "{text}");
        assert!(text.contains("has expired") && text.contains("renew the certificate"), "{text}");
    }
    // The same machine by a name that is not in its certificate.
    let good = handshaker(&folder, "server");
    let other = format!("db.example:{}", good.port());
    let (kind, text) = connect(other.clone(), TlsMode::VerifyFull).await;
    assert_eq!(kind, Fault::Certificate, "{text}");
    assert!(text.contains("for another name") && text.contains("verify-ca"), "{text}");
    let (kind, _) = connect(other, TlsMode::VerifyCa).await;
    assert_eq!(kind, Fault::Cut, "after a handshake that went well nobody speaks");
}

#[tokio::test]
async fn a_session_is_read_only_and_says_who_it_is() {
    in_schema("session", async |place| {
        place.sql("CREATE TABLE t (a int); CREATE SEQUENCE s").await;
        let source = place.source().await;
        let sql = "SELECT current_setting('application_name') AS a, current_setting('default_transaction_read_only') AS b, \
                   current_setting('statement_timeout') AS c, current_setting('TimeZone') AS d";
        let batch = rows(&source, sql, &[]).await.unwrap();
        let settings: Vec<String> = (0..4).map(|i| texts(&batch, i)[0].clone().unwrap()).collect();
        assert_eq!(settings, ["dualrun", "on", "10min", "UTC"]);
        assert!(source.version() >= 120_000);
        for sql in [
            "WITH w AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM w",
            "INSERT INTO t VALUES (1) RETURNING a",
            "SELECT nextval('s')",
        ] {
            let error = rows(&source, sql, &[]).await.unwrap_err();
            let (kind, text) = fault(&error);
            // COPY of a statement that writes is refused before its right to write is looked at.
            let refused = kind == Fault::Forbidden || text.contains("COPY") || text.contains("syntax");
            assert!(refused, "{sql}: {text}");
        }
        let mut options = place.options();
        options.time_zone = "Europe/Paris".to_owned();
        let paris = PostgresSource::connect(options).await.unwrap();
        let batch = rows(&paris, "SELECT '2025-01-01 00:30Z'::timestamptz::date::text AS d", &[]).await.unwrap();
        assert_eq!(texts(&batch, 0), [Some("2025-01-01".to_owned())]);
        let batch = rows(&paris, "SELECT '2025-01-01 23:30Z'::timestamptz::date::text AS d", &[]).await.unwrap();
        assert_eq!(texts(&batch, 0), [Some("2025-01-02".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn an_sql_that_holds_more_than_one_statement_or_no_rows_is_refused() {
    in_schema("statements", async |place| {
        let source = place.source().await;
        for sql in [
            "SELECT 1 AS a; SELECT 2 AS b",
            "SELECT 1 AS a) TO STDOUT; SELECT (2",
            "SET statement_timeout = 0",
            "",
        ] {
            let error = source.query(None, sql, &[], &ReadOptions::default()).await.err().unwrap();
            assert_eq!(fault(&error).0, Fault::Query, "{sql}");
        }
        let error = rows(&source, "SELECT 1 AS a, 2 AS a", &[]).await.unwrap_err();
        assert!(error.to_string().ends_with("two columns are named \"a\""), "{error}");
        let ok = rows(&source, "SELECT ';' AS a -- that is all\n;  ", &[]).await.unwrap();
        assert_eq!(texts(&ok, 0), [Some(";".to_owned())]);
    })
    .await;
}
