//! `dualrun diff` on objects of a real S3 server: the same answer as on local files, read in ranges.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, sync::Arc};

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use dualrun_e2e::{bucket::Bucket, tables};

fn diff(bucket: &Bucket, legacy: &str, new: &str, secret: &str) -> (i32, String, String) {
    let output = dualrun_testkit::command(["diff", legacy, new, "--key", "customer,row"])
        .args(["--customer", "customer", "--format", "json", "--quiet"])
        .envs(bucket.environment(&bucket.host))
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
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
    let Some(bucket) = Bucket::find("objects") else { return };
    let folder = tempfile::tempdir().unwrap();
    let [legacy, new] = sides(folder.path());
    bucket.put("legacy.parquet", std::fs::read(&legacy).unwrap());
    bucket.put("new/part-0.parquet", std::fs::read(&new).unwrap());
    let url = |name: &str| bucket.url(name);
    let (code, remote, errors) = diff(&bucket, &url("legacy.parquet"), &url("new/"), &bucket.secret);
    assert_eq!(code, 1, "{errors}");
    let (_, local, _) =
        diff(&bucket, &legacy.display().to_string(), &new.display().to_string(), &bucket.secret);
    let report = |text: &str| {
        let mut report: serde_json::Value = serde_json::from_str(text).unwrap();
        report.as_object_mut().unwrap().remove("run_id");
        report
    };
    let remote = report(&remote);
    assert_eq!(remote["rows"]["unexplained"], 200);
    assert_eq!(remote, report(&local));

    let (code, output, errors) = diff(&bucket, &url("legacy.parquet"), &url("new/"), "not-the-secret");
    assert_eq!(code, 3, "{errors}");
    assert!(!(output + &errors).contains("not-the-secret"));
    let (code, _, errors) = diff(&bucket, &url("legacy.parquet"), &url("nothing/"), &bucket.secret);
    assert_ne!(code, 0);
    assert!(errors.contains("nothing"), "{errors}");
}
