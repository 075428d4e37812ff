//! `dualrun diff` on damaged input and on disks that do not take what it writes: a sentence with file, cause and way
//! out, and nothing half-written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use arrow::array::{ArrayRef, Int32Array};
use dualrun_e2e::{
    sides::{self, KEY, Row},
    tables::{self, floats, integers, text},
};
use dualrun_testkit::{Ran, dualrun, filters, temporary};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a large file that can be read, and empty folders for results and for rows that exceed the memory.
struct Files {
    folder: TempDir,
    rows: Vec<Row>,
}

impl Files {
    fn new() -> Self {
        let folder = temporary();
        let rows = sides::alike();
        sides::write(&folder.path().join("sound.parquet"), &rows, false);
        for name in ["out", "spill"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, rows }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Compares with all files of results asked for. A failure stands on standard error and in the result file, and
    /// leaves nothing else.
    #[track_caller]
    fn refused(&self, legacy: &str, new: &str, args: &[&str], code: i32) -> Ran {
        let paths = ["out/differences.parquet", "spill", "result.json"].map(|name| self.at(name));
        let [differences, spill, result] = &paths;
        let (legacy, new) = (self.at(legacy), self.at(new));
        let mut all = vec!["diff", &legacy, &new, "--result-file", result];
        for (option, value) in [("--differences", differences), ("--spill", spill)] {
            if !args.contains(&option) {
                all.extend([option, value]);
            }
        }
        if !args.contains(&"--key") {
            all.extend(["--key", KEY]);
        }
        all.extend(args);
        let ran = dualrun(all).exits(code);
        assert_eq!(ran.stdout, "", "nothing that looks like an answer");
        for folder in ["out", "spill"] {
            assert_eq!(files(&self.folder.path().join(folder)), [""; 0], "left in {folder}: {}", ran.stderr);
        }
        let report: Value = serde_json::from_str(&std::fs::read_to_string(result).unwrap()).unwrap();
        std::fs::remove_file(result).unwrap();
        assert_eq!((&report["outcome"], &report["schema"]), (&"failed".into(), &"dualrun.run/1".into()));
        let message = report["failure"]["message"].as_str().unwrap();
        assert!(ran.stderr.contains(message), "{message}\n{}", ran.stderr);
        assert!(ran.stderr.contains("hint: "), "no way out: {}", ran.stderr);
        ran
    }
}

/// Where the values of a column stand in a row group.
fn chunk(file: &str, group: usize, column: usize) -> std::ops::Range<usize> {
    let reader = SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
    let (start, length) = reader.metadata().row_group(group).column(column).byte_range();
    start as usize..(start + length) as usize
}

/// The names in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn damaged_parquet_is_named_on_either_side() {
    let files = Files::new();
    let sound = std::fs::read(files.at("sound.parquet")).unwrap();
    let footer =
        sound.len() - 8 - u32::from_le_bytes(sound[sound.len() - 8..][..4].try_into().unwrap()) as usize;
    let with = |range: std::ops::Range<usize>, mask: u8| {
        let mut bytes = sound.clone();
        bytes[range].iter_mut().for_each(|byte| *byte ^= mask);
        bytes
    };
    let middle = footer / 2;
    let (texts, floats) = (chunk(&files.at("sound.parquet"), 7, 0), chunk(&files.at("sound.parquet"), 14, 3));
    files.write("length.parquet", with(sound.len() - 8..sound.len() - 4, 0x7f));
    files.write("footer.parquet", with(footer + 40..footer + 80, 0xff));
    files.write("page.parquet", with(texts.start + 20..texts.end, 0xa5));
    files.write("header.parquet", with(floats.start..floats.start + 16, 0x5a));
    files.write("cut.parquet", &sound[..middle]);
    files.write("headless.parquet", &sound[middle..]);
    files.write("empty.parquet", "");
    files.write("text.parquet", "customer,meter,day,kwh,kg\na,1,2025-01-01,1,1\n".repeat(10_000));
    files.write("magic.parquet", "PAR1PAR1");
    let mut said = String::new();
    for name in ["length", "footer", "page", "header", "cut", "headless", "empty", "text", "magic"] {
        let file = format!("{name}.parquet");
        let ran = files.refused("sound.parquet", &file, &["--customer", "customer"], 2);
        assert!(ran.stderr.contains(&file), "{name}: {}", ran.stderr);
        said.push_str(&format!("{name}\n{}\n", ran.stderr));
        let ran = files.refused(&file, "sound.parquet", &["--threads", "1", "--memory", "16MiB"], 2);
        assert!(ran.stderr.contains(&file), "{name}: {}", ran.stderr);
    }
    // Sizes follow from the version of the compression.
    let filters: Vec<_> = filters().into_iter().chain([(r"\b\d{4,}\b", "[bytes]")]).collect();
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!("damaged parquet", said) });
}

#[test]
fn damage_is_found_while_unsorted_rows_are_spilled() {
    let files = Files::new();
    let path = files.folder.path().join("shuffled.parquet");
    sides::write(&path, &sides::shuffled(&files.rows, 7919), false);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() * 3 / 4;
    bytes[at..at + 3000].iter_mut().for_each(|byte| *byte ^= 0xa5);
    std::fs::write(&path, bytes).unwrap();
    for threads in ["1", "2"] {
        let args = ["--memory", "16MiB", "--threads", threads];
        files.refused("sound.parquet", "shuffled.parquet", &args, 2).complains("shuffled.parquet");
    }
}

#[test]
fn one_damaged_file_of_a_folder_is_named() {
    let files = Files::new();
    let third = files.rows.len() / 3;
    for part in 0..3 {
        let path = files.folder.path().join(format!("parts/part-{part}.parquet"));
        sides::write(&path, &files.rows[part * third..(part + 1) * third], false);
    }
    let sound = std::fs::read(files.at("parts/part-1.parquet")).unwrap();
    files.write("parts/part-1.parquet", &sound[..sound.len() - 100]);
    files.refused("sound.parquet", "parts", &[], 2).complains("part-1.parquet");
    let mut flipped = sound.clone();
    flipped[30_000..33_000].iter_mut().for_each(|byte| *byte ^= 0xa5);
    files.write("parts/part-1.parquet", flipped);
    files.refused("sound.parquet", "parts", &[], 2).complains("part-1.parquet");
    files.write("parts/part-1.parquet", "");
    files.refused("sound.parquet", "parts", &[], 2).complains("part-1.parquet");

    files.write("parts/part-1.parquet", sound);
    files.write("parts/notes.txt", "remember to delete");
    files.refused("sound.parquet", "parts", &[], 2).complains("notes.txt");
    std::fs::remove_file(files.at("parts/notes.txt")).unwrap();
    let (sound, parts, key) = (files.at("sound.parquet"), files.at("parts"), KEY);
    dualrun(["diff", &sound, &parts, "--key", key]).exits(0);
}

#[test]
fn types_that_drift_within_a_side_widen_or_are_refused() {
    let files = Files::new();
    let narrow: ArrayRef = std::sync::Arc::new(Int32Array::from(vec![Some(1), Some(2)]));
    let write = |name: &str, columns: &[(&str, ArrayRef)]| tables::write(Path::new(&files.at(name)), columns);
    let kwh = || floats(&[Some(1.0), Some(2.0)]);
    write("wide/a.parquet", &[("id", narrow), ("kwh", kwh())]);
    write("wide/b.parquet", &[("id", integers(&[Some(3), Some(1 << 40)])), ("kwh", kwh())]);
    write(
        "whole.parquet",
        &[
            ("id", integers(&[Some(1 << 40), Some(3), Some(2), Some(1)])),
            ("kwh", floats(&[Some(2.0), Some(1.0), Some(2.0), Some(1.0)])),
        ],
    );
    let (wide, whole) = (files.at("wide"), files.at("whole.parquet"));
    let report = dualrun(["diff", &wide, &whole, "--key", "id", "--format", "json"]).exits(0).json();
    assert_eq!(report["rows"]["equal"], 4);

    write("drift/a.parquet", &[("id", integers(&[Some(1), Some(2)])), ("kwh", kwh())]);
    write("drift/b.parquet", &[("id", text(&[Some("3"), Some("4")])), ("kwh", kwh())]);
    let ran = files.refused("drift", "whole.parquet", &["--key", "id"], 2);
    assert!(ran.stderr.contains("a.parquet") && ran.stderr.contains("b.parquet"), "{}", ran.stderr);
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("drifting types", ran.stderr) });
}

#[test]
fn columns_that_are_not_there_and_table_formats_are_refused_before_rows_are_read() {
    let files = Files::new();
    let mut said = String::new();
    for args in [&["--key", "customer,counter"][..], &["--key", KEY, "--customer", "client"]] {
        said.push_str(&files.refused("sound.parquet", "sound.parquet", args, 2).stderr);
    }
    insta::with_settings!({filters => filters()}, { insta::assert_snapshot!("missing columns", said) });
    for (folder, log, kind) in [
        ("delta", "_delta_log/00000000000000000000.json", "Delta"),
        ("ice", "metadata/v1.metadata.json", "Iceberg"),
    ] {
        files.write(&format!("{folder}/{log}"), "{}");
        std::fs::copy(files.at("sound.parquet"), files.at(&format!("{folder}/part-0.parquet"))).unwrap();
        files.refused("sound.parquet", folder, &[], 2).complains(kind);
    }
}

#[test]
fn a_result_never_replaces_what_it_was_made_of() {
    let files = Files::new();
    let changed: Vec<Row> = files.rows.iter().map(|row| Row { kg: None, ..*row }).collect();
    sides::write(&files.folder.path().join("new.parquet"), &changed, false);
    sides::write(&files.folder.path().join("parts/a.parquet"), &changed, false);
    std::fs::copy(files.at("new.parquet"), files.at("x.customers.parquet")).unwrap();
    let before = std::fs::read(files.at("new.parquet")).unwrap();
    let (same, inside, beside) =
        (files.at("new.parquet"), files.at("parts/b.parquet"), files.at("x.parquet"));
    files.refused("sound.parquet", "new.parquet", &["--differences", &same], 2).complains("new.parquet");
    files.refused("new.parquet", "sound.parquet", &["--differences", &same], 2);
    files.refused("sound.parquet", "parts", &["--differences", &inside], 2).complains("parts");
    let args = ["--customer", "customer", "--differences", &beside];
    files.refused("sound.parquet", "x.customers.parquet", &args, 2).complains("x.customers.parquet");
    for name in ["new.parquet", "x.customers.parquet"] {
        assert_eq!(std::fs::read(files.at(name)).unwrap(), before);
    }
    assert_eq!(self::files(&files.folder.path().join("parts")), ["a.parquet"]);
    let args = ["diff", &files.at("sound.parquet"), &same, "--key", KEY, "--result-file", &same];
    dualrun(args).exits(2).complains("--result-file");
    assert_eq!(std::fs::read(&same).unwrap(), before);
    // Nor another result.
    let result = files.at("result.json");
    files.refused("sound.parquet", "new.parquet", &["--differences", &result], 2).complains("result.json");
}

#[test]
fn a_place_for_results_that_takes_none_is_named() {
    let files = Files::new();
    let changed: Vec<Row> = files.rows.iter().map(|row| Row { kg: None, ..*row }).collect();
    sides::write(&files.folder.path().join("new.parquet"), &changed, false);
    let customer = ["--customer", "customer", "--differences"];
    let missing = files.at("nowhere/differences.parquet");
    let ran = files.refused("sound.parquet", "new.parquet", &[&customer[..], &[&missing]].concat(), 3);
    assert!(ran.stderr.contains(&missing) && !files.folder.path().join("nowhere").exists(), "{}", ran.stderr);

    std::fs::create_dir(files.at("taken.parquet")).unwrap();
    let taken = files.at("taken.parquet");
    files.refused("sound.parquet", "new.parquet", &[&customer[..], &[&taken]].concat(), 3).complains(&taken);
    assert!(!Path::new(&files.at("taken.customers.parquet")).exists(), "half of the results");
    std::fs::create_dir(files.at("half.customers.parquet")).unwrap();
    let half = files.at("half.parquet");
    files.refused("sound.parquet", "new.parquet", &[&customer[..], &[&half]].concat(), 3);
    assert!(!Path::new(&half).exists(), "half of the results");
    let all = self::files(files.folder.path());
    assert!(all.iter().all(|name| !name.starts_with('.')), "a temporary file is left: {all:?}");

    // What stood there before a failure still stands there.
    let kept = files.at("kept.parquet");
    std::fs::write(&kept, "yesterday").unwrap();
    files.write("cut.parquet", &std::fs::read(files.at("new.parquet")).unwrap()[..9999]);
    files.refused("sound.parquet", "cut.parquet", &["--differences", &kept], 2);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "yesterday");
}

#[cfg(unix)]
#[test]
fn pipes_are_neither_waited_for_nor_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let files = Files::new();
    let (pipe, out) = (files.at("pipe.parquet"), files.at("out.parquet"));
    for path in [&pipe, &out] {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    files.refused("sound.parquet", "pipe.parquet", &[], 2).complains("pipe.parquet");
    files.refused("sound.parquet", "sound.parquet", &["--differences", &out], 3).complains("out.parquet");
    assert!(std::fs::metadata(&out).unwrap().file_type().is_fifo());
}

#[test]
fn a_spill_folder_that_takes_nothing_is_named() {
    let files = Files::new();
    sides::write(&files.folder.path().join("new.parquet"), &sides::shuffled(&files.rows, 7919), false);
    files.write("file", "");
    for name in ["missing", "file"] {
        let folder = files.at(name);
        let args = ["--memory", "16MiB", "--spill", &folder];
        let ran = files.refused("sound.parquet", "new.parquet", &args, 3);
        assert!(ran.stderr.contains(&format!("cannot spill to {folder}")), "{}", ran.stderr);
    }
    // Where nothing has to be spilled the folder is not asked for.
    let (sound, new, missing) = (files.at("sound.parquet"), files.at("new.parquet"), files.at("missing"));
    dualrun(["diff", &sound, &new, "--key", KEY, "--memory", "1GiB", "--spill", &missing]).exits(0);
    assert!(!Path::new(&missing).exists());
}
