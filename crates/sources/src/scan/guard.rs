//! Damaged files must not end the process: the decoder has places where it panics instead of telling.

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a step of the decoder; none where it panicked. What it worked on must not be used again then.
///
/// The panic is not reported as one: its text may hold content of the file.
pub(super) fn guarded<T>(step: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !DECODING.get() {
                report(info);
            }
        }));
    });
    let outer = DECODING.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(step));
    DECODING.set(outer);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_result() {
        assert_eq!(guarded(|| 1), Some(1));
        assert_eq!(guarded(|| Vec::<u8>::new()[0]), None);
        assert!(!DECODING.get());
    }
}
