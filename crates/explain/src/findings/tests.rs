use dualrun_core::input::Side;
use proptest::prelude::*;

use super::*;
use crate::signatures::testing::{cell, decimals, empty, row};

fn context() -> Context {
    Context { pipeline: "p".into(), period: Some("day".into()), ..Context::default() }
}

/// Cells of `kwh` over 4 customers and the given regions; `bug` makes the new figure.
fn cells(regions: &[&str], bug: impl Fn(&str, f64) -> f64) -> Cells {
    let mut cells = empty();
    for customer in 0..4 {
        for (i, region) in regions.iter().enumerate() {
            for day in 1..=3 {
                let legacy = 1.37 + 7.0 * f64::from(customer) + 0.731 * i as f64 + 0.117 * f64::from(day);
                let new = bug(region, legacy);
                if new != legacy {
                    let (customer, day) = (format!("c{customer}"), format!("2025-03-0{day}"));
                    cells.cells.push(cell("kwh", [&customer, *region, &day], Some(legacy), Some(new)));
                }
            }
        }
    }
    cells.total = cells.cells.len() as u64;
    cells
}

#[test]
fn a_bug_everywhere_is_one_finding() {
    let found = findings(&cells(&["FR", "DE", "US"], |_, x| x * 1000.0), &context());
    assert_eq!(found.len(), 1, "{found:?}");
    let one = &found[0];
    assert_eq!((one.signature.as_str(), one.detail.as_str()), ("unit_scale", "new = 1000 × legacy"));
    assert_eq!((one.segment.as_str(), one.rows, one.customers), ("true", 36, 4));
    assert_eq!(one.share_of_unexplained, 1.0);
    assert_eq!(one.id.len(), 12);
}

#[test]
fn customers_that_the_key_does_not_name_are_not_counted() {
    let mut cells = cells(&["FR"], |_, x| x * 1000.0);
    cells.customer = None;
    cells.cells.iter_mut().for_each(|cell| cell.customer = None);
    assert_eq!(findings(&cells, &context())[0].customers, 0);
}

#[test]
fn a_finding_of_some_cells_says_so() {
    let mut cells = cells(&["FR"], |_, x| x * 1000.0);
    assert_eq!(findings(&cells, &context())[0].sample, None);
    cells.total = 1000;
    assert_eq!(findings(&cells, &context())[0].sample, Some(FindingSample { cells: 12, of: 1000 }));
}

#[test]
fn a_bug_in_one_region_is_named_with_its_region() {
    let cells = cells(&["FR", "DE", "US"], |region, x| if region == "FR" { x * 1000.0 } else { x });
    let mut context = context();
    for region in ["FR", "DE", "US"] {
        context.totals.add(Side::Legacy, "region", Some(region), 12);
    }
    let found = findings(&cells, &context);
    assert_eq!((found.len(), found[0].segment.as_str()), (1, "region = 'FR'"));
}

#[test]
fn two_bugs_in_one_column_are_two_findings() {
    let cells = cells(&["FR", "DE", "US"], |region, x| match region {
        "FR" => x * 1000.0,
        "DE" => -x,
        _ => x + 0.01 * x * x,
    });
    let found = findings(&cells, &context());
    let said: Vec<_> = found.iter().map(|f| (f.signature.as_str(), f.segment.as_str(), f.rows)).collect();
    assert_eq!(
        said,
        [
            ("unit_scale", "region = 'FR'", 12),
            ("sign_flip", "region = 'DE'", 12),
            ("unknown", "region = 'US'", 12)
        ]
    );
    assert!((found.iter().map(|f| f.share_of_unexplained).sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn scattered_cells_of_a_narrow_pattern_are_taken_out_of_the_rest() {
    let mut cells = cells(&["FR", "DE"], |_, x| x * 1.37);
    for i in (0..cells.cells.len()).step_by(5) {
        cells.cells[i].with_fixes = None;
        cells.cells[i].without_changes = Some(0.0);
    }
    let found = findings(&cells, &context());
    let said: Vec<_> = found.iter().map(|f| (f.signature.as_str(), f.rows)).collect();
    assert_eq!(said, [("constant_ratio", 19), ("null_as_zero", 5)]);
}

#[test]
fn the_bug_shows_after_declared_changes_are_taken_out() {
    // A change halves the figure and a bug multiplies it by 1000: the findings speak of the bug only.
    let mut cells = cells(&["FR"], |_, x| x * 500.0);
    for cell in &mut cells.cells {
        cell.without_changes = cell.new.map(|new| new * 2.0);
    }
    assert_eq!(findings(&cells, &context())[0].detail, "new = 1000 × legacy");
}

#[test]
fn rows_and_measures_have_findings_of_their_own() {
    let mut cells = cells(&["FR"], |_, x| x * 2.0);
    cells.cells.push(row(CellKind::OnlyLegacy, ["x", "eu-west-1 ", "2025-03-01"]));
    cells.cells.push(row(CellKind::OnlyNew, ["x", "eu-west-1", "2025-03-01"]));
    let found = findings(&cells, &context());
    let said: Vec<_> = found.iter().map(|f| (f.column.as_str(), f.signature.as_str(), f.rows)).collect();
    assert_eq!(said, [("kwh", "fan_out", 12), ("presence", "key_normalisation", 2)]);
    assert_eq!(found[1].gross, None);
}

#[test]
fn ids_stay_the_same_from_night_to_night() {
    let one = findings(&cells(&["FR"], |_, x| x * 2.0), &context());
    let other = findings(&cells(&["FR"], |_, x| (x + 1.0) * 2.0 - 2.0), &context());
    assert_eq!(one[0].id, other[0].id);
    let elsewhere = Context { pipeline: "q".into(), ..context() };
    assert_ne!(one[0].id, findings(&cells(&["FR"], |_, x| x * 2.0), &elsewhere)[0].id);
}

#[test]
fn the_size_of_decimals_is_exact() {
    let large = 10_i128.pow(37);
    let found = findings(&decimals(&[(large, large + 1), (large, large - 12)], 18), &context());
    assert_eq!((found.len(), found[0].gross.as_ref().unwrap().as_str()), (1, "0.000000000000000013"));
}

#[test]
fn nothing_unexplained_gives_no_finding() {
    assert!(findings(&empty(), &context()).is_empty());
}

proptest! {
    #[test]
    fn every_cell_is_in_exactly_one_finding(
        pairs in proptest::collection::vec((-1e6..1e6f64, prop_oneof![Just(1000.0), Just(2.0), Just(-1.0), 0.1..5.0f64]), 1..60),
    ) {
        let mut cells = empty();
        for (i, (legacy, ratio)) in pairs.iter().enumerate() {
            let key = [format!("c{i}"), ["FR", "DE", "US"][i % 3].to_owned()];
            cells.cells.push(cell("kwh", [&key[0], &key[1], "2025-03-01"], Some(*legacy), Some(legacy * ratio)));
        }
        let found = findings(&cells, &context());
        prop_assert_eq!(found.iter().map(|f| f.rows).sum::<u64>(), pairs.len() as u64);
        let share: f64 = found.iter().map(|f| f.share_of_unexplained).sum();
        prop_assert!((share - 1.0).abs() < 1e-9);
        // The order of the cells changes nothing.
        cells.cells.reverse();
        let mut turned = findings(&cells, &context());
        let mut found = found;
        found.sort_by(|a, b| a.id.cmp(&b.id));
        turned.sort_by(|a, b| a.id.cmp(&b.id));
        prop_assert_eq!(found, turned);
    }
}

#[test]
fn measures_of_a_row_on_one_side_belong_to_the_finding_of_the_row() {
    let mut cells = cells(&["FR"], |_, x| x * 2.0);
    let gross: f64 = cells.cells.iter().map(|c| c.unexplained()).sum();
    cells.cells.push(row(CellKind::OnlyLegacy, ["x", "DE", "2025-03-01"]));
    cells.cells.push(cell("kwh", ["x", "DE", "2025-03-01"], Some(gross), Some(0.0)));
    let found = findings(&cells, &context());
    let said: Vec<_> = found.iter().map(|f| (f.column.as_str(), f.signature.as_str(), f.rows)).collect();
    assert_eq!(said, [("presence", "unknown", 1), ("kwh", "fan_out", 12)]);
    assert!((found[1].share_of_unexplained - 0.5).abs() < 1e-9);
}

#[test]
fn large_groups_are_tried_on_a_sample_and_named_as_a_whole() {
    let mut cells = empty();
    for i in 0..4_000u32 {
        let legacy = f64::from(i) + 1.37;
        let region = ["FR", "DE", "US", "IE"][(i % 4) as usize];
        let new = if region == "FR" { legacy * 1000.0 } else { legacy + legacy.sqrt() };
        let key = [format!("c{i}"), format!("2025-03-{:02}", i % 28 + 1)];
        cells.cells.push(cell("kwh", [&key[0], region, &key[1]], Some(legacy), Some(new)));
    }
    let found = findings(&cells, &context());
    let said: Vec<_> = found.iter().map(|f| (f.signature.as_str(), f.segment.as_str(), f.rows)).collect();
    assert_eq!(
        said,
        [("unit_scale", "region = 'FR'", 1000), ("unknown", "region IN ('DE', 'IE', 'US')", 3000)]
    );
}
