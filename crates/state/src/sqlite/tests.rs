use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::conformance::{self, sample_run};

/// Runs each function of the suite on a store in memory and on one in a file.
macro_rules! conforms {
    ($($name:ident,)+) => { $(
        #[tokio::test]
        async fn $name() {
            conformance::$name(&SqliteStore::memory().unwrap()).await;
            let folder = TempDir::new().unwrap();
            conformance::$name(&SqliteStore::open(&folder.path().join("new/state.db")).unwrap()).await;
        }
    )+ };
}

conforms! {
    runs_are_found_as_recorded,
    one_run_stands_for_a_key,
    an_attempt_makes_room_for_the_same_command,
    assessments_replace_outcome_and_report,
    runs_are_listed_newest_first,
    calculations_come_and_go,
    nights_begin_and_end,
    decisions_are_kept_and_audited,
    a_lock_has_one_holder,
    an_empty_store_answers,
}

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    Place { _folder: folder, path }
}

#[tokio::test]
async fn another_process_sees_what_was_recorded() {
    let place = place();
    let run = sample_run(1, "k1", Outcome::Agrees);
    let first = SqliteStore::open(&place.path).unwrap();
    let second = SqliteStore::open(&place.path).unwrap();
    first.record_run(&run).await.unwrap();
    assert_eq!(second.run_by_key("k1").await.unwrap(), Some(run.clone()));
    let lock = first.try_lock("night").await.unwrap();
    assert!(second.try_lock("night").await.unwrap().is_none());
    drop((lock, first));
    assert!(second.try_lock("night").await.unwrap().is_some());
    drop(second);
    assert_eq!(SqliteStore::open(&place.path).unwrap().run(run.id).await.unwrap(), Some(run));
}

#[test]
fn a_new_file_may_be_opened_by_many_at_once() {
    let place = place();
    std::thread::scope(|scope| {
        let open = || SqliteStore::open(&place.path).map(|_| ());
        let handles: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        for handle in handles {
            handle.join().unwrap().unwrap();
        }
    });
}

#[tokio::test]
async fn attempts_and_assessments_that_were_replaced_are_kept() {
    let place = place();
    let store = SqliteStore::open(&place.path).unwrap();
    store.record_run(&sample_run(1, "k1", Outcome::Failed)).await.unwrap();
    let run = sample_run(2, "k1", Outcome::ReviewPending);
    store.record_run(&run).await.unwrap();
    store.record_assessment(run.id, Outcome::Agrees, &run.report, run.recorded_at).await.unwrap();
    let db = Connection::open(&place.path).unwrap();
    let kept = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let record = kept("select record from superseded_run");
    let record: RunRecord = serde_json::from_str(&record).unwrap();
    assert_eq!(record, sample_run(1, "k1", Outcome::Failed));
    assert_eq!(kept("select outcome from superseded_assessment"), "review_pending");
}

#[tokio::test]
async fn decisions_cannot_be_changed_and_tampering_is_found() {
    let place = place();
    let store = SqliteStore::open(&place.path).unwrap();
    conformance::decisions_are_kept_and_audited(&store).await;
    let db = Connection::open(&place.path).unwrap();
    for table in ["audit", "review", "stage_event"] {
        for sql in [format!("delete from {table}"), format!("update {table} set at = 'x'")] {
            let refused = db.execute(&sql, []).unwrap_err();
            assert!(refused.to_string().contains("append-only"), "{refused}");
        }
    }
    let tampered = async |sql: &str| {
        db.execute_batch("savepoint before").unwrap();
        let triggers = "select 'drop trigger ' || name from sqlite_schema where type = 'trigger'";
        let drops: Vec<String> = db
            .prepare(triggers)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        db.execute_batch(&drops.join(";")).unwrap();
        db.execute_batch("pragma defer_foreign_keys = on").unwrap();
        db.execute_batch(sql).unwrap();
        let found = match decisions::verify_audit(&db) {
            Err(handle::Fault::State(StateError::TamperedAudit { sequence, .. })) => sequence,
            other => panic!("{sql}: {other:?}"),
        };
        db.execute_batch("rollback to before; release before").unwrap();
        found
    };
    assert_eq!(tampered("update audit set actor = 'mallory' where sequence = 2").await, 2);
    assert_eq!(tampered("update review set reviewer = 'mallory' where change = 'MC-2'").await, 2);
    assert_eq!(tampered("update stage_event set reason = 'x' where audit = 5").await, 5);
    assert_eq!(
        tampered("delete from stage_event where audit = 6; delete from audit where sequence = 5").await,
        5
    );
    assert_eq!(tampered("delete from review where audit = 3").await, 3);
    assert_eq!(tampered("delete from stage_event where audit = 6").await, 6);
    assert_eq!(store.verify_audit().await.unwrap(), 6);
}

#[tokio::test]
async fn damaged_files_give_errors() {
    let place = place();
    fs::write(&place.path, "this is a letter, not a database, and it is long enough".repeat(40)).unwrap();
    let error = SqliteStore::open(&place.path).unwrap_err();
    assert!(matches!(error, StateError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().ends_with("is damaged or not a state database") && error.hint().is_some());

    fs::remove_file(&place.path).unwrap();
    drop(SqliteStore::open(&place.path).unwrap());
    let db = Connection::open(&place.path).unwrap();
    db.execute("update refinery_schema_history set applied_on = 'yesterday'", []).unwrap();
    drop(db);
    assert!(matches!(SqliteStore::open(&place.path), Err(StateError::Damaged { .. })));
}

#[tokio::test]
async fn every_cut_and_flip_of_a_file_is_an_error_or_harmless() {
    let place = place();
    let store = SqliteStore::open(&place.path).unwrap();
    conformance::decisions_are_kept_and_audited(&store).await;
    drop(store);
    let whole = fs::read(&place.path).unwrap();
    for step in 1..40 {
        let mut bytes = whole.clone();
        let at = whole.len() * step / 40;
        if step % 2 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at..].iter_mut().take(700).for_each(|byte| *byte ^= 0x5a);
        }
        fs::write(&place.path, &bytes).unwrap();
        if let Ok(store) = SqliteStore::open(&place.path) {
            // What is left may be whole by chance; it must only not panic.
            let checked = store.verify_audit().await;
            assert!(checked.as_ref().is_err() || checked.is_ok_and(|lines| lines <= 6));
        }
    }
}

#[tokio::test]
async fn a_record_that_dualrun_never_writes_is_named() {
    let place = place();
    let store = SqliteStore::open(&place.path).unwrap();
    let run = sample_run(1, "k1", Outcome::Agrees);
    store.record_run(&run).await.unwrap();
    let db = Connection::open(&place.path).unwrap();
    db.execute("update run set period = 'spring'", []).unwrap();
    let error = store.run(run.id).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("run {}", run.id)), "{error}");
    assert!(matches!(error, StateError::CorruptRecord { .. }) && !error.retryable());
}

#[test]
fn a_place_that_cannot_be_written_is_said() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SqliteStore::open(&file.join("state.db")).unwrap_err();
    assert!(matches!(error, StateError::NotWritable { .. }), "{error:?}");
    assert_eq!(error.exit_code(), dualrun_core::ExitCode::Infrastructure);

    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    let mut rights = fs::metadata(&locked).unwrap().permissions();
    rights.set_readonly(true);
    fs::set_permissions(&locked, rights).unwrap();
    // The super user may write anywhere, so only what the system really refuses is looked at.
    if fs::write(locked.join("probe"), "").is_err() {
        let error = SqliteStore::open(&locked.join("state.db")).unwrap_err();
        assert!(matches!(error, StateError::NotWritable { .. }), "{error:?}");
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let place = place();
    drop(SqliteStore::open(&place.path).unwrap());
    let db = Connection::open(&place.path).unwrap();
    let newer = "insert into refinery_schema_history values (999, 'newer', '2030-01-01T00:00:00Z', '1')";
    db.execute(newer, []).unwrap();
    let error = SqliteStore::open(&place.path).unwrap_err();
    assert!(matches!(error, StateError::Migration { .. }), "{error:?}");
}

#[test]
fn what_sqlite_says_is_sorted_by_what_to_do() {
    let failure = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
    let busy = handle::explain(failure(rusqlite::ffi::SQLITE_BUSY), "x");
    assert!(matches!(busy, StateError::Busy { .. }) && busy.retryable());
    let read_only = handle::explain(failure(rusqlite::ffi::SQLITE_READONLY), "x");
    assert!(matches!(read_only, StateError::NotWritable { .. }) && !read_only.retryable());
    assert!(matches!(
        handle::explain(failure(rusqlite::ffi::SQLITE_CORRUPT), "x"),
        StateError::Damaged { .. }
    ));
}

const HOLDER: &str = "DUALRUN_TEST_LOCK_HOLDER";

/// Takes a lock and waits to be killed; only as the child of the test below.
#[tokio::test]
async fn holder_of_a_lock() {
    let Some(path) = std::env::var_os(HOLDER) else {
        assert!(std::env::var_os(HOLDER).is_none());
        return;
    };
    let store = SqliteStore::open(Path::new(&path)).unwrap();
    let lock = store.try_lock("night").await.unwrap();
    println!("\nheld: {}", lock.is_some());
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[tokio::test]
async fn a_killed_process_frees_its_locks() {
    let place = place();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "sqlite::tests::holder_of_a_lock"])
        .env(HOLDER, &place.path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held: true"));
    let store = SqliteStore::open(&place.path).unwrap();
    assert!(store.try_lock("night").await.unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(store.try_lock("night").await.unwrap().is_some());
}
