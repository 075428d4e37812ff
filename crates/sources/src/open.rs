//! What is still open on servers, so that a process that ends can wait until they have been told.
//!
//! A reading that is dropped tells its server in the background: a query is cancelled, a cursor is closed. A process that
//! ended before would leave the server to find out by itself.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Counts as open until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(());

impl Open {
    pub(crate) fn new() -> Self {
        OPEN.fetch_add(1, SeqCst);
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, SeqCst);
    }
}

/// Waits until no query, transaction or cursor is open on any server, at most so long; says whether it is so. Readings
/// must have been dropped before.
pub async fn settled(limit: Duration) -> bool {
    let started = Instant::now();
    while OPEN.load(SeqCst) > 0 {
        if started.elapsed() >= limit {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_waits_for_what_is_open_and_not_for_ever() {
        let open = Open::new();
        assert!(!settled(Duration::from_millis(30)).await);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            drop(open);
        });
        assert!(settled(Duration::from_secs(10)).await);
    }
}
