//! Sums without an error of their own: every float counts with all of its digits, and rounding happens once, at the
//! end, half away from zero.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Float64Type},
    record_batch::RecordBatch,
};
use bigdecimal::{BigDecimal, RoundingMode};
use dualrun_engine::results::SideResult;

/// The exact sum of a column over the rows with these texts.
pub(crate) fn sum(
    results: &[Arc<SideResult>],
    column: &str,
    rows: &BTreeMap<String, String>,
) -> Result<BigDecimal, String> {
    let (mut sum, mut matched) = (BigDecimal::default(), 0);
    for batch in results.iter().flat_map(|result| &result.batches) {
        let keys = rows
            .iter()
            .map(|(name, text)| Ok((texts(named(batch, name)?)?, text)))
            .collect::<Result<Vec<_>, String>>()?;
        let values = named(batch, column)?;
        for row in 0..batch.num_rows() {
            let same = |(array, text): &(ArrayRef, &String)| {
                let array = array.as_string::<i32>();
                array.is_valid(row) && array.value(row) == text.as_str()
            };
            if keys.iter().all(same) {
                sum += exact(values, row)?.ok_or_else(|| format!("{column} is null in a row"))?;
                matched += 1;
            }
        }
    }
    if matched == 0 {
        return Err("no row".into());
    }
    Ok(sum)
}

/// A number with as many digits behind the point as the printed one has.
pub(crate) fn printed_like(number: &BigDecimal, printed: &str) -> String {
    let digits = printed.split_once('.').map_or(0, |(_, digits)| digits.len());
    number.with_scale_round(digits as i64, RoundingMode::HalfUp).to_plain_string()
}

/// A number as it is printed in a case.
pub(crate) fn parse(text: &str) -> Result<BigDecimal, String> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    match text.parse() {
        Ok(number) if plain => Ok(number),
        _ => Err(format!("{text:?} is not a number in plain digits")),
    }
}

fn named<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a ArrayRef, String> {
    batch.column_by_name(column).ok_or_else(|| format!("the result has no column {column}"))
}

fn texts(array: &ArrayRef) -> Result<ArrayRef, String> {
    cast(array, &DataType::Utf8).map_err(|e| e.to_string())
}

/// The value of a row with all of its digits.
fn exact(array: &ArrayRef, row: usize) -> Result<Option<BigDecimal>, String> {
    if array.is_null(row) {
        return Ok(None);
    }
    let array = array.slice(row, 1);
    if array.data_type().is_floating() {
        let array = cast(&array, &DataType::Float64).map_err(|e| e.to_string())?;
        let value = array.as_primitive::<Float64Type>().value(0);
        return BigDecimal::try_from(value).map(Some).map_err(|_| format!("{value} is not finite"));
    }
    parse(texts(&array)?.as_string::<i32>().value(0)).map(Some)
}

#[test]
fn figures_are_rounded_once_and_half_away_from_zero() {
    let like = |number: f64, printed: &str| printed_like(&BigDecimal::try_from(number).unwrap(), printed);
    assert_eq!(like(0.125, "0.00"), "0.13");
    assert_eq!(like(-0.125, "0.00"), "-0.13");
    assert_eq!(like(2.5, "0"), "3");
    // 1.005 as a float is 1.00499999999999989…
    assert_eq!(like(1.005, "0.00"), "1.00");
    assert_eq!(like(1.0049999, "0.000"), "1.005");
    assert_eq!(like(1.0049999, "0.00"), "1.00");
    assert_eq!(like(184_320.0, "0.000000"), "184320.000000");
    assert_eq!(like(-1e-9, "0.000"), "0.000");
    assert!(parse("1e3").is_err());
}
