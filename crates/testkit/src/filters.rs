//! What differs from run to run, taken out of snapshots.

/// Patterns and their replacements for `insta`: temporary folders, run ids, hashes, instants, durations.
pub fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r#"[^\s"'=]*/tmp/e2e-\w+"#, "[dir]"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[run]"),
        (r"\b[0-9a-f]{64}\b", "[hash]"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[instant]"),
        // A year from the day on which the test runs.
        (r"\bends on \d{4}-\d\d-\d\d", "ends on [day]"),
        (r"\b\d+(\.\d+)? s\b", "[n] s"),
        (r"\S*/dualrun[\w.-]* ", "dualrun "),
    ]
}
