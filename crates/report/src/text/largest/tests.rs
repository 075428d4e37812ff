use super::*;
use crate::testing;

fn difference(kind: ColumnKind, legacy: Option<&str>, new: Option<&str>, gap: Option<&str>) -> [String; 3] {
    let text = |side: Option<&str>| side.map(str::to_owned);
    let figure = gap.map(|text| Figure(text.into()));
    let cell = LargestDifference {
        key: Vec::new(),
        legacy: text(legacy),
        new: text(new),
        difference: figure,
        relative: None,
    };
    values(&cell, kind)
}

#[test]
fn values_are_shown_so_that_their_difference_shows() {
    let of = |legacy, new, gap| difference(ColumnKind::Measure, legacy, new, gap);
    assert_eq!(of(Some("100"), Some("101"), Some("1")), ["100", "101", "+1"]);
    assert_eq!(of(Some("100.5"), Some("100.25"), Some("-0.25")), ["100.5", "100.25", "-0.25"]);
    let noise = of(Some("0.30000000000000004"), Some("0.1"), Some("-0.20000000000000004"));
    assert_eq!(noise, ["0.3", "0.1", "-0.2"]);
    let tiny = of(Some("40323.1250000000001"), Some("40321.875"), Some("-1.2500000000001"));
    assert_eq!(tiny, ["40 323.12", "40 321.88", "-1.25"]);
    assert_eq!(
        of(Some("123456789.001"), Some("123456789.002"), Some("0.001")),
        ["123 456 789.001", "123 456 789.002", "+0.001"]
    );
    assert_eq!(of(None, Some("9.5"), Some("9.5")), ["none", "9.5", "+9.5"]);
    assert_eq!(of(Some("0"), None, Some("0")), ["0", "none", "0"]);
    assert_eq!(of(Some("NaN"), Some("1.0000001"), None), ["NaN", "1.0000001", ""]);
    let (last, next) = ("1.000000000000000001", "1.000000000000000002");
    assert_eq!(of(Some(last), Some(next), Some("0.000000000000000001")), [last, next, "+1e-18"]);
    let huge = format!("1{}", "0".repeat(300));
    assert_eq!(of(Some(&huge), Some("1"), Some(&format!("-{huge}"))), ["1e300", "1", "-1e300"]);
}

#[test]
fn texts_are_quoted_and_cannot_steer_the_terminal() {
    let of = |legacy, new| difference(ColumnKind::Attribute, legacy, new, None);
    assert_eq!(of(Some("FR "), Some("")), ["'FR '", "''", ""]);
    assert_eq!(of(None, Some("a\x1b[2J\nb")), ["none", "'a\u{fffd}[2J b'", ""]);
    assert!(of(Some(&"x".repeat(500)), None)[0].chars().count() <= TEXT + 2);
}

fn part(column: &str, value: &str) -> KeyPart {
    KeyPart { column: column.into(), value: Some(value.into()) }
}

#[test]
fn the_customer_is_left_out_of_the_key_only_where_it_is_known() {
    let a = [part("account", "7"), part("customer", "7")];
    let b = [part("account", "7"), part("customer", "8")];
    assert_eq!(customer_column(&[(Some("7"), &a)]), None, "both columns name it");
    assert_eq!(customer_column(&[(Some("7"), &a), (Some("8"), &b)]), Some("customer"));
    assert_eq!(customer_column(&[(Some("9"), &a)]), None);
    assert_eq!(customer_column(&[]), None);
    assert_eq!(
        (key(&a, Some("customer")), key(&a, None)),
        ("account=7".into(), "account=7, customer=7".into())
    );
}

#[test]
fn ten_customers_are_shown_and_long_keys_fit() {
    let mut report = testing::differing();
    let one = report.customers[0].clone();
    report.customers = vec![one; 25];
    for (n, customer) in report.customers.iter_mut().enumerate() {
        customer.customer = Some(format!("customer {n}"));
        let cell = customer.columns[0].largest.as_mut().unwrap();
        cell.key[0].value.clone_from(&customer.customer);
        cell.key[2].value = Some("/checkout".repeat(if n == 3 { 40 } else { 1 }));
    }
    let mut text = String::new();
    largest(&mut text, &report, Style::PLAIN);
    assert_eq!(text.matches("co2e_kg").count(), LINES, "{text}");
    assert!(!text.contains("customer=") && text.contains("day=2025-03-04"), "{text}");
    assert!(text.lines().all(|line| visible(line) <= WIDTH), "{text}");
}

#[test]
fn what_was_cut_off_is_counted() {
    let said = |change: &dyn Fn(&mut RunReport)| {
        let mut report = testing::without_customers();
        change(&mut report);
        let mut text = String::new();
        truncated(&mut text, &report, Style::PLAIN);
        text.replace("\n  ", " ").trim().to_owned()
    };
    assert_eq!(
        said(&|_| ()),
        "truncated: 1 000 rows of differences stored, then the cap was reached; in all 40 015 rows differ, and 4 rows \
         have a key that occurs more than once"
    );
    assert_eq!(
        said(&|r| {
            r.rows = dualrun_core::run::RowCounts { only_new: 1, ..Default::default() };
            r.differences.rows = 0;
        }),
        "truncated: 0 rows of differences stored, then the cap was reached; in all 1 row differs"
    );
    assert_eq!(said(&|r| r.differences.truncated = false), "");
}
