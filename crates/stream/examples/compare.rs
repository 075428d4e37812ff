//! `compare LEGACY NEW KEY,… CUSTOMER [THREADS] [MEGABYTES] [DIFFERENCES]`: the comparison alone, to measure it.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

use std::{collections::BTreeMap, path::Path, time::Instant};

use dualrun_compare::{Options, common_for_diff};
use dualrun_core::{Tolerance, input};
use dualrun_stream::{Limits, OutputFiles, Request, Side, Watch, compare_sides};

struct Quiet;
impl Watch for Quiet {
    fn rows(&self, _done: u64, _total: u64) {}
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let key: Vec<String> = args[3].split(',').map(str::to_owned).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let open = |side, path: &str| {
        let scan = runtime
            .block_on(dualrun_sources::open_scan(path, Path::new("."), &BTreeMap::new()))
            .unwrap()
            .unwrap();
        Side::scan(side, scan, None)
    };
    let (legacy, new) = (open(input::Side::Legacy, &args[1]), open(input::Side::New, &args[2]));
    let tolerance = Tolerance::new(1e-9, 1e-9).unwrap();
    let common = common_for_diff(legacy.schema(), new.schema(), &key, Some(&args[4]), tolerance).unwrap();
    let threads = args.get(5).map_or(2, |t| t.parse().unwrap());
    let megabytes: u64 = args.get(6).map_or(512, |megabytes| megabytes.parse().unwrap());
    let limits = Limits { threads, memory: megabytes << 20, spill: std::env::temp_dir() };
    let options = Options { worst_customers: Some(100), ..Options::default() };
    let outputs = args.get(7).map(|path| OutputFiles {
        differences: path.into(),
        customers: Some(format!("{path}.customers").into()),
    });
    let start = Instant::now();
    let request = Request {
        common: &common,
        options: &options,
        outputs: outputs.as_ref(),
        sample: 20_000,
        limits: &limits,
        watch: &Quiet,
        confirm: &|| Ok(()),
    };
    let found = compare_sides(&legacy, &new, &request).unwrap();
    let took = start.elapsed();
    let rows = found.comparison.rows;
    println!("{took:?} {:?} {rows:?} differences {}", found.way, found.comparison.differences);
}
