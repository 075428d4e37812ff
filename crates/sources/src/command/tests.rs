//! Jobs that really run: small shell scripts.

use std::{fs, path::Path, time::Instant};

use arrow::array::{Array, AsArray};
use dualrun_core::ExitCode;

use super::*;

struct Shell {
    folder: tempfile::TempDir,
    format: Format,
    result: Option<&'static str>,
    timeout: Duration,
    pass: Vec<String>,
}

impl Shell {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            format: Format::Csv,
            result: None,
            timeout: Duration::from_secs(20),
            pass: Vec::new(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn run(&self, script: &str) -> Result<InputTable, SourceError> {
        let line = ["sh", "-c", script].map(str::to_owned);
        self.run_line(&line).await
    }

    async fn run_line(&self, line: &[String]) -> Result<InputTable, SourceError> {
        run(Job {
            line,
            folder: self.path(),
            variables: BTreeMap::from([("DUALRUN_EDITION".to_owned(), "2024".into())]),
            pass: &self.pass,
            timeout: self.timeout,
            format: self.format,
            result: self.result,
            shape: &Shape::default(),
            scratch: self.path(),
            mask: |text| text.replace("masked-by-caller", "***"),
        })
        .await
    }

    async fn fails(&self, script: &str) -> (CommandError, String) {
        match self.run(script).await.unwrap_err() {
            SourceError::Command(error) => {
                let text = dualrun_core::chain(error.as_ref());
                (*error, text)
            }
            other => panic!("{other}"),
        }
    }
}

fn texts(table: &InputTable, column: &str) -> Vec<String> {
    let of = |batch: &arrow::array::RecordBatch| {
        let column =
            arrow::compute::cast(batch.column_by_name(column).unwrap(), &arrow::datatypes::DataType::Utf8);
        let column = column.unwrap();
        (0..column.len()).map(|i| column.as_string::<i32>().value(i).to_owned()).collect::<Vec<_>>()
    };
    table.batches.iter().flat_map(of).collect()
}

#[tokio::test]
async fn the_result_is_read_from_the_named_file() {
    let script =
        "echo noise; printf 'edition,here\\n%s,%s\\n' \"$DUALRUN_EDITION\" \"$(pwd)\" > \"$DUALRUN_RESULT\"";
    let mut shell = Shell::new();
    let table = shell.run(script).await.unwrap();
    assert_eq!(texts(&table, "edition"), ["2024"]);
    assert_eq!(Path::new(&texts(&table, "here")[0]), shell.path().canonicalize().unwrap());
    assert_eq!(fs::read_dir(shell.path()).unwrap().count(), 0, "no temporary file is left");

    // A result of the night before is not taken for that of this one.
    shell.result = Some("result.csv");
    fs::write(shell.path().join("result.csv"), "edition\nold\n").unwrap();
    let (error, _) = shell.fails("true").await;
    assert!(matches!(error, CommandError::NoResult { .. }));
    assert_eq!(error.exit_code(), ExitCode::Usage);
    let table = shell.run("printf 'edition\\nnew\\n' > result.csv").await.unwrap();
    assert_eq!(texts(&table, "edition"), ["new"]);

    shell.result = None;
    shell.format = Format::JsonLines;
    let table = shell.run("echo '{\"a\": \"x\"}' > \"$DUALRUN_RESULT\"").await.unwrap();
    assert_eq!(texts(&table, "a"), ["x"]);
}

#[tokio::test]
async fn the_environment_holds_what_is_listed_and_nothing_else() {
    let mut shell = Shell::new();
    let print = "env | cut -d= -f1 | sort | paste -sd' ' > all; printf 'n\\n1\\n' > \"$DUALRUN_RESULT\"";
    shell.run(print).await.unwrap();
    let names = fs::read_to_string(shell.path().join("all")).unwrap();
    for name in names.split_whitespace() {
        // The shell itself adds the last three.
        let known = PASSED.contains(&name) || ["PWD", "SHLVL", "_"].contains(&name);
        assert!(known || ["DUALRUN_EDITION", "DUALRUN_RESULT"].contains(&name), "{name} in {names}");
    }
    // cargo sets this one for every test.
    shell.pass = vec!["CARGO_MANIFEST_DIR".to_owned()];
    shell.run("test -n \"$CARGO_MANIFEST_DIR\" && printf 'n\\n1\\n' > \"$DUALRUN_RESULT\"").await.unwrap();
    shell.pass = vec!["DUALRUN_TEST_NEVER_SET".to_owned()];
    let error = shell.run("true").await.unwrap_err();
    assert!(error.to_string().contains("DUALRUN_TEST_NEVER_SET"), "{error}");
    assert_eq!(error.exit_code(), ExitCode::Usage);
}

#[tokio::test]
async fn a_failure_shows_the_last_lines_without_secrets() {
    let mut shell = Shell::new();
    shell.pass = vec!["CARGO_MANIFEST_DIR".to_owned()];
    let (error, text) = shell
        .fails("seq 100; echo \"token $CARGO_MANIFEST_DIR\" >&2; echo masked-by-caller; echo no such column; exit 7")
        .await;
    assert_eq!((error.exit_code(), error.retryable()), (ExitCode::Infrastructure, true));
    assert!(text.starts_with("\"sh\" failed with exit status: 7: it printed last\n"), "{text}");
    assert!(text.contains("\n    token ***") && text.contains("no such column"), "{text}");
    assert!(!text.contains(env!("CARGO_MANIFEST_DIR")) && !text.contains("masked-by-caller"), "{text}");
    assert!(!text.contains("\n    50\n"), "{text}");
    let (_, text) = shell.fails("exit 1").await;
    assert_eq!(text, "\"sh\" failed with exit status: 1: it printed nothing");
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_a_mistake_of_the_mapping() {
    let shell = Shell::new();
    for name in ["dualrun-no-such-program", "./no-such-script", ""] {
        let error = shell.run_line(&[name.to_owned()]).await.unwrap_err();
        assert_eq!((error.exit_code(), error.retryable()), (ExitCode::Usage, false), "{name}");
        assert!(error.hint().unwrap().contains("PATH"));
    }
    fs::write(shell.path().join("not-executable"), "x").unwrap();
    let error = shell.run_line(&["./not-executable".to_owned()]).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Usage);
    assert!(error.to_string().contains("cannot be started"), "{error}");
}

/// Whether a process with this marker among its arguments is there.
fn alive(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|line| line.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes()))
}

async fn gone(marker: &str) -> bool {
    for _ in 0..100 {
        if !alive(marker) {
            return true;
        }
        sleep_ms(20).await;
    }
    false
}

async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test]
async fn a_job_that_takes_too_long_dies_with_all_its_processes() {
    let mut shell = Shell::new();
    shell.timeout = Duration::from_secs(1);
    let started = Instant::now();
    let (error, text) = shell.fails("echo waiting; sleep 86411 & sleep 86411; true").await;
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(matches!(error, CommandError::TimedOut { .. }), "{text}");
    assert_eq!(error.exit_code(), ExitCode::Infrastructure);
    assert!(text.contains("was stopped after 1 s: it printed last\n    waiting"), "{text}");
    assert!(gone("86411").await);
}

#[tokio::test]
async fn a_job_that_is_cancelled_dies_with_all_its_processes() {
    let shell = Shell::new();
    {
        let run = shell.run("sleep 86412 & sleep 86412; true");
        tokio::pin!(run);
        for _ in 0..100 {
            assert!(tokio::time::timeout(Duration::from_millis(20), &mut run).await.is_err());
            if alive("86412") {
                break;
            }
        }
        assert!(alive("86412"));
    }
    assert!(gone("86412").await);
}

#[tokio::test]
async fn what_a_job_leaves_behind_does_not_hold_it_up() {
    let shell = Shell::new();
    let started = Instant::now();
    shell.run("sleep 86413 & printf 'n\\n1\\n' > \"$DUALRUN_RESULT\"").await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(15));
    assert!(gone("86413").await);
}

#[tokio::test]
async fn a_lot_of_output_is_no_trouble() {
    let shell = Shell::new();
    let table =
        shell.run("seq 200000; seq 200000 >&2; printf 'n\\n1\\n' > \"$DUALRUN_RESULT\"").await.unwrap();
    assert_eq!(texts(&table, "n"), ["1"]);
}

#[test]
fn names_become_variables() {
    let day = ParameterValue::Date("2025-03-01".parse().unwrap());
    let start = ParameterValue::Timestamp("2025-02-28T23:00:00Z".parse().unwrap());
    let inputs = BTreeMap::from([("meter-lines".to_owned(), PathBuf::from("/x/input-0.parquet"))]);
    let variables = variables([("period_start", &start), ("day.x", &day)], &inputs);
    let pairs: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(
        pairs,
        [
            ("DUALRUN_DAY_X", "2025-03-01"),
            ("DUALRUN_INPUT_METER_LINES", "/x/input-0.parquet"),
            ("DUALRUN_PERIOD_START", "2025-02-28T23:00:00Z"),
        ]
    );
}
