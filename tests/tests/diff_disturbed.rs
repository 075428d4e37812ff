//! `dualrun diff` while others write to its files, and on disks that fill up.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dualrun_e2e::sides::{self, KEY, Row};
use dualrun_testkit::{Ran, command, temporary};
use serde_json::Value;
use tempfile::TempDir;

/// Attempts to catch the process while it reads.
const ATTEMPTS: usize = 25;

/// Two files that agree, and one with the same rows of other values.
struct Disturbed {
    folder: TempDir,
    new: PathBuf,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Disturbed {
    fn of(order: impl Fn(&[Row]) -> Vec<Row>) -> Self {
        let folder = temporary();
        let rows = order(&sides::alike());
        let other: Vec<Row> = rows.iter().map(|row| Row { kwh: row.kwh.map(|v| v + 1.0), ..*row }).collect();
        let at = |name: &str| folder.path().join(name);
        let new = at("new.parquet");
        sides::write(&at("legacy.parquet"), &rows, false);
        sides::write(&at("other.parquet"), &other, false);
        sides::write(&new, &rows, false);
        let (before, after) = (fs::read(&new).unwrap(), fs::read(at("other.parquet")).unwrap());
        Self { folder, new, before, after }
    }

    /// Disturbs runs until one notices. Whatever the moment, the answer is the truth of the old content, that of the new
    /// one where it was opened later, or that there is none; `unreadable`: for a while the file is none of them.
    fn noticed(&self, unreadable: bool, disturb: impl Fn(&Path)) {
        for attempt in 0..ATTEMPTS {
            let out = self.folder.path().join("out");
            let _ = fs::remove_dir_all(&out);
            fs::create_dir(&out).unwrap();
            // A new file, so that a former one that is read still does not change.
            fs::remove_file(&self.new).unwrap();
            fs::write(&self.new, &self.before).unwrap();
            let mut child = self.start(&out);
            wait_until_open(&mut child, &self.new);
            // The file is opened more than once; later attempts wait longer.
            std::thread::sleep(Duration::from_millis(4 * attempt as u64));
            disturb(&self.new);
            let ran = Ran::from(child.wait_with_output().unwrap());
            match ran.code {
                Some(0) => assert_eq!(ran.json()["rows"]["equal"], sides::ROWS),
                Some(1) => assert_eq!(ran.json()["rows"]["unexplained"], sides::ROWS, "a mixture of both"),
                Some(2) if unreadable => assert!(ran.stderr.contains("new.parquet"), "{}", ran.stderr),
                // It was away when it was opened.
                Some(3) if unreadable && !ran.stderr.contains("changed while it was read") => {
                    assert!(ran.stderr.contains("new.parquet"), "{}", ran.stderr);
                }
                _ => {
                    let ran = ran.exits(3);
                    assert!(ran.stderr.contains("new.parquet: changed while it was read"), "{}", ran.stderr);
                    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
                    assert_eq!(ran.stdout, "");
                    assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "results of a file that changed");
                    return;
                }
            }
        }
        panic!("none of {ATTEMPTS} runs noticed the change");
    }

    fn start(&self, out: &Path) -> Child {
        let text = |path: &Path| path.display().to_string();
        let args = [
            "diff".to_owned(),
            text(&self.folder.path().join("legacy.parquet")),
            text(&self.new),
            format!("--key={KEY}"),
            format!("--differences={}", text(&out.join("differences.parquet"))),
            "--threads=1".to_owned(),
            "--memory=16MiB".to_owned(),
            "--format=json".to_owned(),
        ];
        command(args).spawn().unwrap()
    }
}

/// Waits until a process has a file open, or has ended.
fn wait_until_open(child: &mut Child, file: &Path) {
    let file = fs::canonicalize(file).unwrap();
    let descriptors = PathBuf::from(format!("/proc/{}/fd", child.id()));
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(60) {
        let open = fs::read_dir(&descriptors).into_iter().flatten().flatten();
        if open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| target == file) {
            return;
        }
    }
}

fn in_order(rows: &[Row]) -> Vec<Row> {
    rows.to_vec()
}

fn out_of_order(rows: &[Row]) -> Vec<Row> {
    sides::shuffled(rows, 7919)
}

#[test]
fn a_file_that_is_replaced_is_noticed() {
    for order in [in_order, out_of_order] {
        let disturbed = Disturbed::of(order);
        disturbed.noticed(false, |file| {
            let beside = file.with_extension("tmp");
            fs::write(&beside, &disturbed.after).unwrap();
            fs::rename(beside, file).unwrap();
        });
    }
}

#[test]
fn a_file_that_is_removed_is_noticed() {
    let disturbed = Disturbed::of(out_of_order);
    // Away for a moment, then empty for another.
    disturbed.noticed(true, |file| {
        fs::rename(file, file.with_extension("gone")).unwrap();
        fs::write(file, &disturbed.after).unwrap();
    });
}

#[test]
fn a_file_that_is_written_to_in_place_is_noticed() {
    for order in [in_order, out_of_order] {
        let disturbed = Disturbed::of(order);
        // Cut to nothing first, as most programs do.
        disturbed.noticed(true, |file| fs::write(file, &disturbed.after).unwrap());
        // Byte by byte over what is there.
        disturbed.noticed(true, |file| {
            let mut open = fs::OpenOptions::new().write(true).open(file).unwrap();
            open.write_all(&disturbed.after).unwrap();
        });
        disturbed.noticed(true, |file| {
            fs::OpenOptions::new().append(true).open(file).unwrap().write_all(b"more").unwrap();
        });
        disturbed.noticed(true, |file| {
            let open = fs::OpenOptions::new().write(true).open(file).unwrap();
            open.set_len(disturbed.before.len() as u64 / 2).unwrap();
        });
    }
}

/// A small file system of its own, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where the tests may not mount, which is told.
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        fs::create_dir(folder).unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(folder).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(folder.to_owned()));
        }
        // Not through the captured output: who reads the log of the tests should see it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: a full disk needs the right to mount, run as root");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn full_disk(disturbed: &Disturbed, args: &[&str]) -> Ran {
    let at = |name: &str| disturbed.folder.path().join(name).display().to_string();
    let (legacy, other, result) = (at("legacy.parquet"), at("other.parquet"), at("result.json"));
    let fixed = ["diff", &legacy, &other, "--key", KEY, "--customer", "customer", "--result-file", &result];
    let ran = command(fixed.iter().chain(args)).output().unwrap();
    let ran = Ran::from(ran).exits(3);
    assert_eq!(ran.stdout, "");
    let report: Value = serde_json::from_str(&fs::read_to_string(result).unwrap()).unwrap();
    assert_eq!(report["outcome"], "failed");
    assert_eq!(report["failure"]["retryable"], true);
    ran
}

#[test]
fn a_disk_that_fills_up_while_rows_are_spilled_is_said() {
    let disturbed = Disturbed::of(out_of_order);
    let folder = disturbed.folder.path().join("small");
    let Some(_disk) = SmallDisk::mount(&folder, "2m") else { return };
    let (small, out) = (folder.display().to_string(), disturbed.folder.path().join("out"));
    fs::create_dir(&out).unwrap();
    let differences = out.join("differences.parquet").display().to_string();
    for threads in ["1", "4"] {
        let args = ["--memory=16MiB", "--spill", &small, "--differences", &differences, "--threads", threads];
        let ran = full_disk(&disturbed, &args);
        assert!(ran.stderr.contains(&format!("cannot spill to {small}")), "{}", ran.stderr);
        assert!(ran.stderr.contains("No space left") && ran.stderr.contains("hint: "), "{}", ran.stderr);
        assert_eq!(fs::read_dir(&folder).unwrap().count() + fs::read_dir(&out).unwrap().count(), 0);
    }
}

#[test]
fn a_disk_that_fills_up_with_results_is_said() {
    let disturbed = Disturbed::of(in_order);
    let folder = disturbed.folder.path().join("small");
    let Some(_disk) = SmallDisk::mount(&folder, "512k") else { return };
    let differences = folder.join("differences.parquet").display().to_string();
    for threads in ["1", "4"] {
        let ran = full_disk(&disturbed, &["--differences", &differences, "--threads", threads]);
        assert!(ran.stderr.contains(&format!("cannot write {differences}")), "{}", ran.stderr);
        assert!(ran.stderr.contains("No space left") && ran.stderr.contains("hint: "), "{}", ran.stderr);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "something is left on the full disk");
    }
}
