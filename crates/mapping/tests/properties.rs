//! Whatever stands in the files, reading them does not panic.

mod support;

use std::path::PathBuf;

use dualrun_mapping::load;
use proptest::prelude::*;
use support::{good, render};

fn any_file() -> impl Strategy<Value = PathBuf> {
    let files: Vec<PathBuf> = good().files.into_keys().collect();
    prop::sample::select(files)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_text_in_any_file(file in any_file(), text in any::<String>()) {
        let mut files = good();
        files.files.insert(file, text);
        let loaded = load(&files, "default", &|_| None);
        let _ = render(&files, &loaded);
    }

    /// Texts that are nearly right reach further than noise.
    #[test]
    fn a_good_file_with_a_part_replaced(
        file in any_file(),
        from in 0.0..1.0_f64,
        length in 0_usize..30,
        text in "[\\[\\]{}=\"',.$a-z0-9éÀ \n_-]{0,12}",
    ) {
        let mut files = good();
        if let Some(old) = files.files.get_mut(&file) {
            let start = (old.len() as f64 * from) as usize;
            let start = (0..=start).rev().find(|i| old.is_char_boundary(*i)).unwrap_or(0);
            let end = (start + length).min(old.len());
            let end = (end..=old.len()).find(|i| old.is_char_boundary(*i)).unwrap_or(old.len());
            old.replace_range(start..end, &text);
        }
        let loaded = load(&files, "default", &|_| None);
        let failed = loaded.diagnostics.iter().any(dualrun_mapping::Diagnostic::is_error);
        prop_assert_eq!(loaded.project.is_none(), failed);
        let _ = render(&files, &loaded);
    }
}
