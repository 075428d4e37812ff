use arrow::{
    array::{
        Array, AsArray, Decimal128Array, Float64Array, Int64Array, LargeStringArray, StringArray,
        TimestampMillisecondArray,
    },
    datatypes::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType},
};
use dualrun_core::unit::Unit;

use super::*;

fn rule(rule: Rule, column: &str) -> AlignRule {
    AlignRule { rule, column: column.into(), side: None }
}

fn run(rules: &[AlignRule], array: impl Array + 'static) -> Result<ArrayRef, CompareError> {
    let array: ArrayRef = Arc::new(array);
    let batch = RecordBatch::try_from_iter_with_nullable([("c", array, true)]).unwrap();
    let aligner = Aligner::new(rules, Side::Legacy, batch.schema())?;
    let done = aligner.apply(&batch)?;
    assert_eq!(done.schema(), aligner.schema());
    Ok(done.column(0).clone())
}

fn texts(rules: &[Rule], values: &[&str]) -> Vec<Option<String>> {
    let rules: Vec<_> = rules.iter().map(|r| rule(r.clone(), "c")).collect();
    let done = run(&rules, LargeStringArray::from(values.to_vec())).unwrap();
    done.as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect()
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|v| Some((*v).to_owned())).collect()
}

#[test]
fn texts_are_cleaned() {
    assert_eq!(texts(&[Rule::Trim], &["\u{a0}\u{200b} a b\u{feff}\t"]), some(&["a b"]));
    assert_eq!(texts(&[Rule::Lower], &["ÀB"]), some(&["àb"]));
    assert_eq!(texts(&[Rule::Upper], &["straße"]), some(&["STRASSE"]));
    assert_eq!(texts(&[Rule::Nfc], &["e\u{301}"]), some(&["é"]));
    assert_eq!(texts(&[Rule::StripZeros], &["007", "000", "", "70"]), some(&["7", "0", "", "70"]));
    assert_eq!(texts(&[Rule::PadZeros { width: 3 }], &["7", "1234", "é"]), some(&["007", "1234", "00é"]));
    assert_eq!(texts(&[Rule::Trim, Rule::EmptyIsNull], &["  ", "a"]), [None, Some("a".into())]);
    let values = [("a".to_owned(), "b".to_owned())].into();
    assert_eq!(texts(&[Rule::Map { values }], &["a", "c"]), some(&["b", "c"]));
}

#[test]
fn rules_run_in_order_on_their_side_only() {
    let mut lower = rule(Rule::Lower, "c");
    lower.side = Some(Side::New);
    let done = run(&[lower], StringArray::from(vec!["A"])).unwrap();
    assert_eq!(done.as_string::<i32>().value(0), "A");
    let renamed = [rule(Rule::Trim, "d"), rule(Rule::Rename { from: "c".into() }, "d")];
    let done = run(&renamed, StringArray::from(vec![" A"])).unwrap();
    assert_eq!(done.as_string::<i32>().value(0), "A");
}

#[test]
fn numbers_are_mapped_by_their_text() {
    let values = [("5".to_owned(), "7".to_owned())].into();
    let done =
        run(&[rule(Rule::Map { values }, "c")], Int64Array::from(vec![Some(5), Some(6), None])).unwrap();
    assert_eq!(done.as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(7), Some(6), None]));
}

#[test]
fn casts_refuse_what_does_not_fit() {
    let cast = |to: &str| [rule(Rule::Cast { to: to.into() }, "c")];
    let done = run(&cast("decimal(10,2)"), StringArray::from(vec!["1.10"])).unwrap();
    assert_eq!(done.as_primitive::<Decimal128Type>().value(0), 110);
    let done = run(&cast("text"), Float64Array::from(vec![5.0, 0.1])).unwrap();
    assert_eq!(done.as_string::<i32>(), &StringArray::from(vec!["5", "0.1"]));
    let done = run(&cast("integer"), Float64Array::from(vec![5.0])).unwrap();
    assert_eq!(done.as_primitive::<Int64Type>().value(0), 5);
    assert!(matches!(run(&cast("integer"), Float64Array::from(vec![5.5])), Err(CompareError::Cast { .. })));
    assert!(matches!(run(&cast("integer"), StringArray::from(vec!["x"])), Err(CompareError::Cast { .. })));
    assert!(matches!(
        run(&cast("money"), StringArray::from(vec!["x"])),
        Err(CompareError::RuleSetting { .. })
    ));
    let done = run(&cast("timestamp"), StringArray::from(vec!["2025-03-30T02:00:00+02:00"])).unwrap();
    assert_eq!(done.as_primitive::<TimestampMicrosecondType>().value(0), 1_743_292_800_000_000);
}

#[test]
fn units_convert_exactly_where_they_can() {
    let unit = |from: &str, to: &str| [rule(Rule::Unit { from: Unit::new(from), to: Unit::new(to) }, "c")];
    let done = run(&unit("Wh", "kWh"), Float64Array::from(vec![3.0])).unwrap();
    assert_eq!(done.as_primitive::<Float64Type>().value(0), 0.003);
    let done = run(&unit("Wh", "kWh"), Int64Array::from(vec![i64::MAX])).unwrap();
    assert_eq!(done.as_primitive::<Decimal128Type>().value_as_string(0), "9223372036854775.807");
    let decimal = Decimal128Array::from(vec![110]).with_precision_and_scale(10, 2).unwrap();
    let done = run(&unit("tCO2e", "kgCO2e"), decimal).unwrap();
    assert_eq!(done.as_primitive::<Decimal128Type>().value_as_string(0), "1100.00");
    let done = run(&unit("J", "Wh"), Int64Array::from(vec![7200])).unwrap();
    assert_eq!(done.as_primitive::<Float64Type>().value(0), 2.0);
    let wrong = run(&unit("kWh", "kg"), Int64Array::from(vec![1]));
    assert!(matches!(wrong, Err(CompareError::RuleSetting { .. })));
}

#[test]
fn null_is_zero_and_rounding() {
    let done = run(&[rule(Rule::NullIsZero, "c")], Float64Array::from(vec![None, Some(2.0)])).unwrap();
    assert_eq!(done.as_primitive::<Float64Type>(), &Float64Array::from(vec![0.0, 2.0]));
    let done = run(&[rule(Rule::Round { digits: 2 }, "c")], Float64Array::from(vec![1.005])).unwrap();
    assert_eq!(done.as_primitive::<Float64Type>().value(0), 1.01);
}

#[test]
fn times_get_their_zone_on_both_sides_of_a_change_of_clocks() {
    let paris = [rule(Rule::TimeZone { zone: "Europe/Paris".into() }, "c")];
    // Wall clock 2025-07-01 12:00, 2025-03-30 02:30 (skipped), 2025-10-26 02:30 (twice).
    let walls = [1_751_371_200_000, 1_743_301_800_000, 1_761_445_800_000];
    let done = run(&paris, TimestampMillisecondArray::from(walls.to_vec())).unwrap();
    let hour = 3_600_000;
    assert_eq!(
        done.as_primitive::<TimestampMillisecondType>().values().to_vec(),
        [walls[0] - 2 * hour, walls[1] - hour, walls[2] - 2 * hour]
    );
    let texts = StringArray::from(vec![Some("2025-07-01 12:00:00"), Some("2025-07-01T10:00:00Z"), None]);
    let done = run(&paris, texts).unwrap();
    let instants = done.as_primitive::<TimestampMicrosecondType>();
    assert_eq!((instants.value(0), instants.value(1)), (1_751_364_000_000_000, 1_751_364_000_000_000));
    assert!(instants.is_null(2));
    let unknown = [rule(Rule::TimeZone { zone: "Mars/Olympus".into() }, "c")];
    assert!(matches!(run(&unknown, StringArray::from(vec!["x"])), Err(CompareError::RuleSetting { .. })));
}

#[test]
fn rules_on_the_wrong_column_are_errors() {
    let missing = run(&[rule(Rule::Trim, "x")], StringArray::from(vec!["a"]));
    assert!(matches!(missing, Err(CompareError::MissingColumn { side: Some(Side::Legacy), .. })));
    let wrong = run(&[rule(Rule::Trim, "c")], Int64Array::from(vec![1]));
    assert!(matches!(wrong, Err(CompareError::RuleType { rule: "trim", .. })));
}
