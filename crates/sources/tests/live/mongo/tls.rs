//! Certificates: trusted ones are needed, and said loudly where they are not asked for.

use std::{path::PathBuf, time::Duration};

use dualrun_sources::{
    SourceError,
    mongo::{MongoFault, MongoOptions, MongoSource},
};

use super::support::url;

fn options(url: String) -> MongoOptions {
    let wait = Duration::from_secs(3);
    MongoOptions { database: Some("x".to_owned()), server_selection_timeout: wait, ..MongoOptions::new(url) }
}

fn fault(error: SourceError) -> MongoFault {
    assert_eq!(u8::from(error.exit_code()), 3);
    match error {
        SourceError::Mongo { fault, .. } => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_nobody_trusts_is_refused() {
    let Some(url) = url("DUALRUN_TEST_MONGODB_TLS_URL") else { return };
    let error = MongoSource::connect(options(url)).await.unwrap_err();
    assert!(!error.retryable() && error.hint().unwrap().contains("tlsCAFile"));
    assert_eq!(fault(error), MongoFault::Certificate("nobody who is trusted has signed it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_of_the_server_can_be_named() {
    let (Some(url), Some(folder)) = (url("DUALRUN_TEST_MONGODB_TLS_URL"), url("DUALRUN_TEST_TLS")) else {
        return;
    };
    let ca_file = Some(PathBuf::from(folder).join("ca.pem"));
    let source = MongoSource::connect(MongoOptions { ca_file, ..options(url.clone()) }).await.unwrap();
    assert!(source.warnings().is_empty() && !source.server().version.is_empty());
    let ca_file = Some(PathBuf::from("/nowhere/ca.pem"));
    let error = MongoSource::connect(MongoOptions { ca_file, ..options(url) }).await.unwrap_err();
    assert_eq!(u8::from(error.exit_code()), 2, "a wrong setting, not a broken server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_verified_is_said() {
    let Some(url) = url("DUALRUN_TEST_MONGODB_TLS_URL") else { return };
    let source = MongoSource::connect(MongoOptions { insecure: true, ..options(url) }).await.unwrap();
    assert_eq!(source.warnings(), ["the certificate of the MongoDB server is not verified"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_told() {
    let Some(url) = url("DUALRUN_TEST_MONGODB_URL") else { return };
    let url = format!("{}{}tls=true", url, if url.contains('?') { "&" } else { "?" });
    let error = MongoSource::connect(options(url)).await.unwrap_err();
    assert!(error.retryable() && error.hint().unwrap().contains("tls=false"), "{error}");
}
