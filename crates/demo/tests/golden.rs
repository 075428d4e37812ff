//! The golden cases: printed figures of published worked results, reached to the last digit by the pipelines of the
//! reference project.
//!
//! A case is a folder of `golden/cases` with `case.toml`, documents in Extended JSON, and files that stand in for those
//! of the reference project or are added to it. Every figure goes the way of a nightly run: the plan is checked, the
//! documents are typed by the shape of their input, the models run, the result is aligned and cut to the period.

#[path = "golden/agreement.rs"]
mod agreement;
#[path = "golden/bugs.rs"]
mod bugs;
#[path = "golden/calculation.rs"]
mod calculation;
#[path = "golden/case.rs"]
mod case;
#[path = "golden/figure.rs"]
mod figure;
#[path = "golden/inputs.rs"]
mod inputs;
#[path = "golden/project.rs"]
mod project;
#[path = "golden/verify.rs"]
mod verify;

macro_rules! cases {
    ($($name:ident: $folder:literal,)+) => {
        const FOLDERS: &[&str] = &[$($folder),+];

        $(
            #[tokio::test]
            async fn $name() {
                let failures = verify::folder(&case::root().join($folder)).await;
                assert!(failures.is_empty(), "{}: {} wrong\n\n{}", $folder, failures.len(), failures.join("\n\n"));
            }
        )+
    };
}

cases! {
    aws_compute_d3: "aws-compute-d3",
    aws_compute_traps: "aws-compute-traps",
    aws_compute_waterfall: "aws-compute-waterfall",
    cloud_cost_credit_day: "cloud-cost-credit-day",
    device_embodied: "device-embodied",
    device_embodied_traps: "device-embodied-traps",
    device_use: "device-use",
    device_use_traps: "device-use-traps",
    electricity_invoices_d7: "electricity-invoices-d7",
    electricity_invoices_d7_by_year: "electricity-invoices-d7-by-year",
    electricity_invoices_d7_day: "electricity-invoices-d7-day",
    electricity_invoices_traps: "electricity-invoices-traps",
    gcp_memory_d5: "gcp-memory-d5",
    saas_spend_d8: "saas-spend-d8",
    saas_spend_d8_ademe: "saas-spend-d8-ademe",
    saas_spend_traps: "saas-spend-traps",
    server_power_d2_day_1: "server-power-d2-day-1",
    server_power_d2_day_2: "server-power-d2-day-2",
    telecom_lines: "telecom-lines",
    web_page_views_d10: "web-page-views-d10",
    web_page_views_traps: "web-page-views-traps",
}

#[test]
fn every_folder_has_a_test() {
    let mut found: Vec<String> = std::fs::read_dir(case::root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, FOLDERS);
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A copy of a case in which one part of `case.toml` is replaced.
#[expect(clippy::unwrap_used, reason = "a test that cannot copy its files has failed")]
async fn changed(folder: &str, from: &str, to: &str) -> Vec<String> {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(case::root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let file = copy.path().join("case.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
    verify::folder(copy.path()).await
}

#[tokio::test]
async fn a_wrong_figure_is_told_with_the_right_one() {
    let failures = changed("gcp-memory-d5", "\"0.075264\"", "\"0.075265\"").await;
    assert_eq!(failures.len(), 1, "{failures:?}");
    for part in ["legacy kwh", "wanted 0.075265", "found  0.075264"] {
        assert!(failures[0].contains(part), "{part} in {}", failures[0]);
    }
    let failures = changed("gcp-memory-d5", "\"0.075264\"", "\"0.0752640\"").await;
    assert!(failures.is_empty(), "trailing zeros of an exact figure: {failures:?}");
}

#[tokio::test]
async fn what_a_case_gets_wrong_is_told() {
    for (from, to, told) in [
        ("side = \"legacy\"", "sdie = \"legacy\"", "unknown field `sdie`"),
        ("period = ", "periode = ", "unknown field `periode`"),
        ("period = \"2025-03-01\"", "", "a case needs `period`, or `periods_from` and `periods_to`"),
        ("period = \"2025-03-01\"", "period = \"2025-03\"", "days"),
        ("pipeline = \"gcp-memory\"", "pipeline = \"gcp-memories\"", "gcp-memories"),
        (
            "collection = \"cloudUsage.gcp\"",
            "collection = \"cloudUsage.aws\"",
            "no input of gcp-memory reads",
        ),
        ("cloudUsage.gcp.jsonl\"", "usage.jsonl\"", "cloudUsage.gcp.jsonl is not used by the case"),
        (
            "[[documents]]",
            "[[documents]]\ncollection = \"cloudUsage.gcp\"\nfile = \"x.jsonl\"\n[[documents]]",
            "x.jsonl",
        ),
        ("changes = []", "changes = [\"MC-01\"]", "MC-01 switches nothing"),
        ("column = \"gb_h\"", "column = \"gbh\"", "no column gbh"),
        ("column = \"gb_h\"", "column = \"gb_h\"\nwhere = { customer_id = \"nobody\" }", "no row"),
        ("value = \"192\"", "value = \"192 GB\"", "192 GB"),
    ] {
        let failures = changed("gcp-memory-d5", from, to).await;
        assert!(failures.iter().any(|f| f.contains(told)), "{to}: {failures:?}");
    }
}

#[tokio::test]
async fn a_case_without_an_expectation_fails() {
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(
        copy.path().join("case.toml"),
        "pipeline = \"gcp-memory\"\nperiod = \"2025-03-01\"\nsource = \"none\"\n",
    )
    .unwrap();
    let failures = verify::folder(copy.path()).await;
    assert!(failures.iter().any(|f| f.contains("expectation")), "{failures:?}");
}
