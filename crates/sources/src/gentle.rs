//! How much to ask a production server for at once, and how long to leave it alone in between.
//!
//! [`Pace`] sizes the next chunk so that one query takes about a set time, and says how long to pause so that a
//! ceiling on rows per second holds. It does no I/O and reads no clock: the reader tells it what a chunk took.

use std::{fmt, sync::Arc, time::Duration};

/// How a server is spared, as its settings say; what is not given is as its kind has it.
#[derive(Debug, Clone, Default)]
pub struct Gentle {
    /// Rows per second at most.
    pub max_rows_per_second: Option<u64>,
    /// The time limit of a query on the server. Of MongoDB; that of PostgreSQL belongs to its connections.
    pub query_time: Option<Duration>,
    /// How long a query should take: queries are made longer or shorter to meet it.
    pub chunk_time: Option<Duration>,
    /// Reading pauses while a replica is further behind. Of MongoDB; PostgreSQL has it with its connections.
    pub max_lag: Option<Duration>,
    /// How long it pauses at most.
    pub lag_wait: Option<Duration>,
    /// Who is told why a reading waits or begins anew.
    pub say: Say,
}

impl Gentle {
    /// How large the chunks of a reader are.
    #[must_use]
    pub fn pace(&self) -> PaceOptions {
        let base = PaceOptions::default();
        PaceOptions {
            target: self.chunk_time.unwrap_or(base.target),
            max_rows_per_second: self.max_rows_per_second,
            ..base
        }
    }
}

/// Who is told why a reading waits; nobody by default.
#[derive(Clone)]
pub struct Say(Arc<dyn Fn(&str) + Send + Sync>);

impl Say {
    /// Tells it to a function.
    pub fn to(listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    pub(crate) fn say(&self, text: &str) {
        (self.0)(text);
    }
}

impl Default for Say {
    fn default() -> Self {
        Self::to(|_| {})
    }
}

impl fmt::Debug for Say {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Say")
    }
}

/// What a reader aims at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaceOptions {
    /// How long one query should take.
    pub target: Duration,
    /// Rows of the first chunk, before anything is known.
    pub first: u64,
    /// Fewer rows are never asked for, except at the end.
    pub smallest: u64,
    /// More rows are never asked for.
    pub largest: u64,
    /// The ceiling of this reader; parallel readers share theirs with [`PaceOptions::shared_by`].
    pub max_rows_per_second: Option<u64>,
}

impl Default for PaceOptions {
    /// Two seconds a query, 10,000 rows at first, between 100 and 5 million, no ceiling.
    fn default() -> Self {
        Self {
            target: Duration::from_secs(2),
            first: 10_000,
            smallest: 100,
            largest: 5_000_000,
            max_rows_per_second: None,
        }
    }
}

impl PaceOptions {
    /// The options of each of `readers` that work at the same time, so that together they keep the ceiling.
    #[must_use]
    pub fn shared_by(&self, readers: usize) -> Self {
        let readers = u64::try_from(readers).unwrap_or(u64::MAX).max(1);
        Self { max_rows_per_second: self.max_rows_per_second.map(|r| (r / readers).max(1)), ..self.clone() }
    }

    /// In how many chunks so many rows come from a server that is never slow; more from one that is.
    pub fn queries(&self, rows: u64) -> u64 {
        let mut pace = Pace::new(self.clone());
        let (mut left, mut queries) = (rows, 0);
        loop {
            let chunk = pace.next_chunk();
            queries += 1;
            if left < chunk {
                return queries;
            }
            left -= chunk;
            pace.done(chunk, Duration::ZERO);
            if pace.next_chunk() == chunk {
                return queries + left / chunk + 1;
            }
        }
    }
}

/// The size of the next chunk, from what the last ones took.
#[derive(Debug, Clone)]
pub struct Pace {
    options: PaceOptions,
    chunk: u64,
}

impl Pace {
    /// Starts with [`PaceOptions::first`].
    pub fn new(options: PaceOptions) -> Self {
        let mut pace = Self { chunk: 0, options };
        pace.chunk = pace.bounded(pace.options.first);
        pace
    }

    /// How many rows to ask for now; at least 1.
    pub fn next_chunk(&mut self) -> u64 {
        self.chunk
    }

    /// Tells what the last chunk took on the server, and answers how long to pause before the next one.
    ///
    /// The size follows the measured rate. It at most doubles at a step, so that one lucky (cached) chunk does not
    /// lead to a query that hurts, and falls at once.
    pub fn done(&mut self, rows: u64, elapsed: Duration) -> Duration {
        if rows == 0 {
            return Duration::ZERO;
        }
        self.learn(rows, elapsed);
        self.pause_after(rows, elapsed)
    }

    /// How long to pause after rows of which the size of the next chunk is to know nothing.
    #[must_use]
    pub fn pause_after(&self, rows: u64, elapsed: Duration) -> Duration {
        match self.options.max_rows_per_second {
            Some(ceiling) => {
                let due = Duration::try_from_secs_f64(rows as f64 / ceiling.max(1) as f64);
                due.unwrap_or(Duration::MAX).saturating_sub(elapsed)
            }
            None => Duration::ZERO,
        }
    }

    /// Tells that the server gave up on the last chunk for its time. Whether a smaller one may be tried.
    pub fn timed_out(&mut self) -> bool {
        let smaller = self.bounded(self.chunk / 4);
        let changed = smaller < self.chunk;
        self.chunk = smaller;
        changed
    }

    fn learn(&mut self, rows: u64, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64().max(1e-6);
        // A float of rows is exact far beyond any chunk; the cast back saturates.
        let ideal = (rows as f64 / seconds * self.options.target.as_secs_f64()) as u64;
        let full = rows >= self.chunk / 2;
        if ideal < self.chunk || full {
            self.chunk = self.bounded(ideal.min(self.chunk.saturating_mul(2)));
        }
    }

    fn bounded(&self, rows: u64) -> u64 {
        let mut largest = self.options.largest;
        if let Some(ceiling) = self.options.max_rows_per_second {
            // More in one query than the ceiling allows within the target would be a burst.
            largest = largest.min((ceiling as f64 * self.options.target.as_secs_f64()) as u64);
        }
        rows.max(self.options.smallest).min(largest).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options() -> PaceOptions {
        PaceOptions {
            target: Duration::from_secs(1),
            first: 1000,
            smallest: 10,
            largest: 100_000,
            max_rows_per_second: None,
        }
    }

    #[test]
    fn a_fast_server_is_asked_for_twice_as_much_at_a_step() {
        let mut pace = Pace::new(options());
        assert_eq!(pace.next_chunk(), 1000);
        pace.done(1000, Duration::from_millis(10));
        assert_eq!(pace.next_chunk(), 2000);
    }

    #[test]
    fn a_slow_server_is_asked_for_less_at_once() {
        let mut pace = Pace::new(options());
        pace.done(1000, Duration::from_secs(10));
        assert_eq!(pace.next_chunk(), 100);
    }

    #[test]
    fn the_size_settles_at_the_target_time() {
        let mut pace = Pace::new(options());
        for _ in 0..20 {
            let rows = pace.next_chunk();
            pace.done(rows, Duration::from_secs_f64(rows as f64 / 7000.0));
        }
        assert_eq!(pace.next_chunk(), 7000);
    }

    #[test]
    fn a_short_last_chunk_does_not_make_the_next_one_larger() {
        let mut pace = Pace::new(options());
        pace.done(3, Duration::from_nanos(1));
        assert_eq!(pace.next_chunk(), 1000);
    }

    #[test]
    fn the_ceiling_is_kept_by_pauses_and_by_small_chunks() {
        let mut pace = Pace::new(PaceOptions { max_rows_per_second: Some(500), ..options() });
        assert_eq!(pace.next_chunk(), 500, "no burst above the ceiling");
        assert_eq!(pace.done(500, Duration::from_millis(200)), Duration::from_millis(800));
        assert_eq!(pace.done(500, Duration::from_secs(3)), Duration::ZERO);
    }

    #[test]
    fn chunks_are_counted_beforehand() {
        // 1000, 2000, 4000, and what is left.
        assert_eq!(options().queries(8000), 4);
        assert_eq!(options().queries(0), 1);
        let capped = PaceOptions { max_rows_per_second: Some(500), ..options() };
        assert_eq!((capped.queries(2000), capped.queries(2001), capped.queries(499)), (5, 5, 1));
    }

    #[test]
    fn parallel_readers_share_the_ceiling() {
        let shared = PaceOptions { max_rows_per_second: Some(1000), ..options() }.shared_by(4);
        assert_eq!(shared.max_rows_per_second, Some(250));
        assert_eq!(options().shared_by(4).max_rows_per_second, None);
    }

    #[test]
    fn a_timeout_makes_the_chunk_smaller_until_it_cannot_be() {
        let mut pace = Pace::new(options());
        let mut tries = 0;
        while pace.timed_out() {
            tries += 1;
        }
        assert_eq!((tries, pace.next_chunk()), (4, 10));
    }

    proptest! {
        #[test]
        fn the_size_stays_within_its_bounds(steps in proptest::collection::vec((0u64..1_000_000, 0u64..100_000), 1..50)) {
            let mut pace = Pace::new(options());
            for (rows, millis) in steps {
                let before = pace.next_chunk();
                pace.done(rows, Duration::from_millis(millis));
                let after = pace.next_chunk();
                prop_assert!((10..=100_000).contains(&after));
                prop_assert!(after <= before.saturating_mul(2));
            }
        }
    }
}
