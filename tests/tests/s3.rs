//! `dualrun diff` on objects of a real S3 server: the same answer as on local files, read in ranges.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, sync::Arc};

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use dualrun_e2e::{servers::variable, tables};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3Builder};

/// A bucket of the server that `DUALRUN_TEST_S3_URL` names: `http://key:secret@host:port/bucket`.
struct Bucket {
    endpoint: String,
    key: String,
    secret: String,
    name: String,
}

impl Bucket {
    /// None, loudly, where no server is; in CI that is a failure.
    fn find() -> Option<Self> {
        let url = variable("DUALRUN_TEST_S3_URL")?;
        let rest = url.strip_prefix("http://").unwrap();
        let (credentials, place) = rest.split_once('@').unwrap();
        let (key, secret) = credentials.split_once(':').unwrap();
        let (host, name) = place.split_once('/').unwrap();
        let endpoint = format!("http://{host}");
        Some(Self { endpoint, key: key.into(), secret: secret.into(), name: name.into() })
    }

    fn put(&self, name: &str, file: &Path) {
        let store: Arc<dyn ObjectStore> = Arc::new(
            AmazonS3Builder::new()
                .with_endpoint(&self.endpoint)
                .with_allow_http(true)
                .with_region("us-east-1")
                .with_access_key_id(&self.key)
                .with_secret_access_key(&self.secret)
                .with_bucket_name(&self.name)
                .build()
                .unwrap(),
        );
        let content = PutPayload::from(std::fs::read(file).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(store.put(&object_store::path::Path::from(name), content)).unwrap();
    }

    fn diff(&self, legacy: &str, new: &str, secret: &str) -> (i32, String, String) {
        let output = dualrun_testkit::command(["diff", legacy, new, "--key", "customer,row"])
            .args(["--customer", "customer", "--format", "json", "--quiet"])
            .env("AWS_ENDPOINT", &self.endpoint)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", &self.key)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

/// More rows than are read at once; every thousandth differs on the new side.
fn sides(folder: &Path) -> [std::path::PathBuf; 2] {
    [false, true].map(|is_new| {
        let rows = 0..200_000i64;
        let customers: StringArray =
            rows.clone().map(|n| Some(format!("customer-{:03}", n / 1000))).collect();
        let values: Float64Array = rows
            .clone()
            .map(|n| Some(n as f64 * 0.25 + if is_new && n % 1000 == 7 { 1.0 } else { 0.0 }))
            .collect();
        let keys: Int64Array = rows.map(Some).collect();
        let columns: [(&str, ArrayRef); 3] =
            [("customer", Arc::new(customers)), ("row", Arc::new(keys)), ("kwh", Arc::new(values))];
        let path = folder.join(if is_new { "new.parquet" } else { "legacy.parquet" });
        tables::write(&path, &columns);
        path
    })
}

#[test]
fn objects_are_compared_as_files_are() {
    let Some(bucket) = Bucket::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [legacy, new] = sides(folder.path());
    let prefix = format!("diff-{}", std::process::id());
    bucket.put(&format!("{prefix}/legacy.parquet"), &legacy);
    bucket.put(&format!("{prefix}/new/part-0.parquet"), &new);
    let url = |name: &str| format!("s3://{}/{prefix}/{name}", bucket.name);
    let (code, remote, errors) = bucket.diff(&url("legacy.parquet"), &url("new/"), &bucket.secret);
    assert_eq!(code, 1, "{errors}");
    let (_, local, _) =
        bucket.diff(&legacy.display().to_string(), &new.display().to_string(), &bucket.secret);
    let report = |text: &str| {
        let mut report: serde_json::Value = serde_json::from_str(text).unwrap();
        report.as_object_mut().unwrap().remove("run_id");
        report
    };
    let remote = report(&remote);
    assert_eq!(remote["rows"]["unexplained"], 200);
    assert_eq!(remote, report(&local));

    let (code, output, errors) = bucket.diff(&url("legacy.parquet"), &url("new/"), "not-the-secret");
    assert_eq!(code, 3, "{errors}");
    assert!(!(output + &errors).contains("not-the-secret"));
    let (code, _, errors) = bucket.diff(&url("legacy.parquet"), &url("nothing/"), &bucket.secret);
    assert_ne!(code, 0);
    assert!(errors.contains("nothing"), "{errors}");
}
