//! Sorts order values, which are spread evenly, at least within a customer: by their upper bits into as many buckets as
//! there are few values in each.

/// An order value as an unsigned number, and the row that has it.
pub(super) type Place = (u64, u32);

/// So few values are sorted by comparing them.
const FEW: usize = 48;
/// Values that a bucket should get.
const BUCKET: usize = 8;
/// More buckets than this do not stay in the cache while they are filled.
const MOST_BITS: u32 = 11;

/// Sorts by value, then by row; the rows ascend. `other` is room for as many places.
pub(super) fn sort(places: &mut [Place], other: &mut [Place]) {
    if places.len() <= FEW {
        places.sort_unstable();
        return;
    }
    let (least, most) =
        places.iter().fold((u64::MAX, 0), |(least, most), place| (least.min(place.0), most.max(place.0)));
    let range = most - least;
    if range == 0 {
        return;
    }
    let bits = (places.len() / BUCKET).ilog2().clamp(1, MOST_BITS);
    let shift = (range.ilog2() + 1).saturating_sub(bits);
    let bucket = |place: &Place| ((place.0 - least) >> shift) as usize;
    let mut ends = vec![0u32; bucket(&(most, 0)) + 1];
    places.iter().for_each(|place| ends[bucket(place)] += 1);
    let mut sum = 0;
    for end in &mut ends {
        let count = *end;
        *end = sum;
        sum += count;
    }
    for place in places.iter() {
        let end = &mut ends[bucket(place)];
        other[*end as usize] = *place;
        *end += 1;
    }
    places.copy_from_slice(other);
    let mut from = 0;
    for end in ends {
        let end = end as usize;
        if end - from > 1 && shift > 0 {
            sort(&mut places[from..end], &mut other[from..end]);
        }
        from = end;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_come_in_order_and_rows_of_one_value_as_they_were(
            customers in prop::collection::vec(any::<u32>(), 1..6),
            keys in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), 0u8..4), 0..3000),
        ) {
            let mut places: Vec<Place> = (0..).zip(&keys).map(|(row, (customer, key, many))| {
                let key = if *many == 0 { 7 } else { *key };
                ((u64::from(*customer.get(&customers)) << 32) | u64::from(key), row)
            }).collect();
            let mut expected = places.clone();
            expected.sort_unstable();
            let mut other = places.clone();
            sort(&mut places, &mut other);
            prop_assert_eq!(places, expected);
        }

        #[test]
        fn any_values(values in prop::collection::vec(any::<u64>(), 0..500), ends in any::<bool>()) {
            let ends = if ends { vec![0, u64::MAX] } else { Vec::new() };
            let mut places: Vec<Place> = values.into_iter().chain(ends).zip(0..).collect();
            let mut expected = places.clone();
            expected.sort_unstable();
            let mut other = places.clone();
            sort(&mut places, &mut other);
            prop_assert_eq!(places, expected);
        }
    }
}
