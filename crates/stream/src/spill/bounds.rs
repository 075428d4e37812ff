//! Where the order values are cut, so that parts are about as large as each other and hold whole customers if they can.

use dualrun_compare::Scope;

/// Parts of the order values, found from a sample of them.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// The first value of each part but the first.
    starts: Vec<i64>,
    /// By the upper bits of a value: the first part that may hold it.
    table: Vec<u16>,
    by_customer: bool,
}

/// Upper bits by which the table is looked up.
const TABLE_BITS: u32 = 12;
/// Values of one customer have their upper half in common.
const CUSTOMER_BITS: u32 = 32;

impl Bounds {
    /// About `parts` parts of the same size. A customer, or a key, with more rows than a part should have is cut out.
    /// `by_customer` says whether the upper half of the values belongs to the customer.
    pub(super) fn new(mut sample: Vec<i64>, parts: usize, by_customer: bool) -> Self {
        sample.sort_unstable();
        let mut starts = Vec::new();
        if parts > 1 {
            cut(&sample, (sample.len() / parts).max(1), &mut starts);
        }
        let first_of = |bucket: u64| ((bucket << (64 - TABLE_BITS)) ^ (1 << 63)).cast_signed();
        let table = (0..1 << TABLE_BITS)
            .map(|bucket| {
                u16::try_from(starts.partition_point(|start| *start <= first_of(bucket))).unwrap_or(0)
            })
            .collect();
        Self { starts, table, by_customer }
    }

    /// How many parts there are.
    pub(super) fn parts(&self) -> usize {
        self.starts.len() + 1
    }

    /// The part of a value.
    pub(super) fn part(&self, value: i64) -> usize {
        let bucket = (value.cast_unsigned() ^ (1 << 63)) >> (64 - TABLE_BITS);
        let mut part = usize::from(self.table[bucket as usize]);
        while self.starts.get(part).is_some_and(|start| *start <= value) {
            part += 1;
        }
        part
    }

    /// Whether a part holds whole customers.
    pub(super) fn scope(&self, part: usize) -> Scope {
        let is_edge = |start: Option<&i64>| start.is_none_or(|start| customer_of(*start) == *start);
        let from = part.checked_sub(1).and_then(|before| self.starts.get(before));
        if self.by_customer && is_edge(from) && is_edge(self.starts.get(part)) {
            Scope::Customers
        } else {
            Scope::Keys
        }
    }
}

/// The first value that a customer may have.
fn customer_of(value: i64) -> i64 {
    (value >> CUSTOMER_BITS) << CUSTOMER_BITS
}

/// Cuts sorted values so that no part has more than `share` of them, where that can be.
fn cut(sample: &[i64], share: usize, starts: &mut Vec<i64>) {
    let mut start = |value: i64| {
        if starts.last().is_none_or(|last| *last < value) {
            starts.push(value);
        }
    };
    let mut held = 0;
    for customer in sample.chunk_by(|a, b| customer_of(*a) == customer_of(*b)) {
        let first = customer_of(customer[0]);
        if held + customer.len() > share {
            start(first);
            held = 0;
        }
        if customer.len() <= share {
            held += customer.len();
            continue;
        }
        for key in customer.chunk_by(|a, b| a == b) {
            if held + key.len() > share {
                start(key[0]);
                held = 0;
            }
            held += key.len();
            if held > share {
                if let Some(next) = key[0].checked_add(1) {
                    start(next);
                }
                held = 0;
            }
        }
        if let Some(next) = first.checked_add(1 << CUSTOMER_BITS) {
            start(next);
        }
        held = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_customers_stay_whole_and_a_giant_is_cut_out() {
        let customer = |c: i64, rows: i64| (0..rows).map(move |k| (c << 32) + k * 1000);
        let sample: Vec<i64> = (-50..50).flat_map(|c| customer(c, if c == 7 { 5000 } else { 10 })).collect();
        let bounds = Bounds::new(sample.clone(), 10, true);
        let mut counts = vec![0; bounds.parts()];
        sample.iter().for_each(|value| counts[bounds.part(*value)] += 1);
        assert!(counts.iter().all(|count| *count <= 599), "{counts:?}");
        for value in sample {
            let scope = bounds.scope(bounds.part(value));
            assert_eq!(scope, if value >> 32 == 7 { Scope::Keys } else { Scope::Customers });
        }
    }

    #[test]
    fn a_key_with_very_many_rows_stands_alone() {
        let mut sample: Vec<i64> = (0..100).map(|k| (3 << 32) + k).collect();
        sample.extend(vec![(3 << 32) + 50; 1000]);
        let bounds = Bounds::new(sample, 10, true);
        let part = bounds.part((3 << 32) + 50);
        assert_ne!(bounds.part((3 << 32) + 49), part);
        assert_ne!(bounds.part((3 << 32) + 51), part);
    }

    proptest! {
        #[test]
        fn every_value_has_the_part_that_its_bounds_say(
            sample in prop::collection::vec(any::<i64>(), 0..200),
            values in prop::collection::vec(any::<i64>(), 1..100),
            parts in 1usize..40,
        ) {
            let bounds = Bounds::new(sample, parts, true);
            prop_assert!(bounds.starts.is_sorted_by(|a, b| a < b));
            for value in values.into_iter().chain([i64::MIN, i64::MAX]).chain(bounds.starts.clone()) {
                let expected = bounds.starts.iter().filter(|start| **start <= value).count();
                prop_assert_eq!(bounds.part(value), expected);
            }
        }
    }
}
