//! Which pages of a table have been read, by whom they are being read, and how many rows they hold.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_postgres::types::Oid;

use crate::Misfit;

/// Pages from the first to before the second; without a second to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pages(pub(super) u64, pub(super) Option<u64>);

/// What the readers of a table share.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    /// The next page that nobody has taken.
    next: u64,
    /// Whether all pages have been taken.
    taken: bool,
    /// Pages at the start.
    pages: u64,
    rows_per_page: f64,
    /// The file in which the rows stand.
    file: Option<Option<Oid>>,
    misfits: Vec<Misfit>,
    queries: u64,
    /// Chunks that somebody reads.
    open: u64,
}

impl Shared {
    /// How many pages there are, and about how many rows.
    pub(super) fn start(&self, pages: u64, estimated_rows: Option<u64>) {
        let mut progress = self.lock();
        progress.pages = pages;
        progress.rows_per_page = match estimated_rows {
            Some(rows) => rows as f64 / pages.max(1) as f64,
            // Rows of about 160 bytes, until the first chunk has been read.
            None => 50.0,
        };
    }

    /// The next pages for about so many rows; none where all have been taken.
    pub(super) fn take(&self, rows: u64) -> Option<Pages> {
        let mut progress = self.lock();
        if progress.taken {
            return None;
        }
        progress.open += 1;
        let start = progress.next;
        let end = start.saturating_add(progress.pages_of(rows));
        if end >= progress.pages {
            // Open at its end: pages added since hold nothing that the snapshot sees, and none can be missed.
            progress.taken = true;
            return Some(Pages(start, None));
        }
        progress.next = end;
        Some(Pages(start, Some(end)))
    }

    /// A chunk in two parts, the first of about so many rows; none where it has no more.
    pub(super) fn split(&self, pages: Pages, rows: u64) -> Option<(Pages, Pages)> {
        let progress = self.lock();
        let middle = pages.0.saturating_add(progress.pages_of(rows));
        let end = pages.1.unwrap_or(progress.pages);
        (middle < end).then_some((Pages(pages.0, Some(middle)), Pages(middle, pages.1)))
    }

    /// What a chunk, or a part of it, turned out to hold.
    pub(super) fn measured(&self, pages: Pages, rows: u64, misfits: Vec<Misfit>) {
        let mut progress = self.lock();
        progress.queries += 1;
        if let Pages(start, Some(end)) = pages
            && rows > 0
        {
            progress.rows_per_page = rows as f64 / (end - start) as f64;
        }
        crate::misfit::add(&mut progress.misfits, misfits);
    }

    /// A chunk that was taken has been read and given.
    pub(super) fn closed(&self) {
        self.lock().open -= 1;
    }

    /// Whether every page has been read.
    pub(super) fn is_complete(&self) -> bool {
        let progress = self.lock();
        progress.taken && progress.open == 0
    }

    /// Whether the rows still stand in the file in which they stood at first.
    pub(super) fn same_file(&self, file: Option<Oid>) -> bool {
        *self.lock().file.get_or_insert(file) == file
    }

    pub(super) fn misfits(&self) -> Vec<Misfit> {
        self.lock().misfits.clone()
    }

    /// Queries that have been answered in full.
    pub(super) fn queries(&self) -> u64 {
        self.lock().queries
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // Nothing in here can be left half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// On how many pages so many rows stand; at least 1.
    fn pages_of(&self, rows: u64) -> u64 {
        (rows as f64 / self.rows_per_page.max(0.01)).ceil().max(1.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(pages: u64, rows: u64) -> Shared {
        let shared = Shared::default();
        shared.start(pages, Some(rows));
        shared
    }

    #[test]
    fn chunks_cover_every_page_once_and_the_last_is_open() {
        let shared = shared(10, 1000);
        let taken: Vec<Pages> = std::iter::from_fn(|| shared.take(400)).collect();
        assert_eq!(taken, [Pages(0, Some(4)), Pages(4, Some(8)), Pages(8, None)]);
        assert!(!shared.is_complete(), "nobody has read them yet");
        taken.iter().for_each(|_| shared.closed());
        assert!(shared.is_complete());
    }

    #[test]
    fn a_chunk_that_took_too_long_is_split_until_it_is_one_page() {
        let shared = shared(10, 1000);
        assert_eq!(shared.split(Pages(0, Some(8)), 200), Some((Pages(0, Some(2)), Pages(2, Some(8)))));
        assert_eq!(shared.split(Pages(8, None), 100), Some((Pages(8, Some(9)), Pages(9, None))));
        assert_eq!(shared.split(Pages(9, None), 100), None);
        assert_eq!(shared.split(Pages(8, Some(9)), 1), None);
    }

    #[test]
    fn measured_rows_size_the_next_chunk() {
        let shared = shared(1000, 100_000);
        let pages = shared.take(1000).unwrap();
        assert_eq!(pages, Pages(0, Some(10)));
        shared.measured(pages, 100, Vec::new());
        assert_eq!(shared.take(1000), Some(Pages(10, Some(110))));
    }

    #[test]
    fn a_table_without_pages_is_one_open_chunk() {
        let shared = Shared::default();
        shared.start(0, None);
        assert_eq!((shared.take(100), shared.take(100)), (Some(Pages(0, None)), None));
    }

    #[test]
    fn a_rewritten_table_is_noticed() {
        let shared = shared(10, 1000);
        assert!(shared.same_file(Some(7)) && shared.same_file(Some(7)));
        assert!(!shared.same_file(Some(8)) && !shared.same_file(None));
    }
}
