//! Values as text: customers by their name, cells of the stored differences.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Decimal256Type, Float64Type},
    error::ArrowError,
    util::display::array_value_to_string,
};

use crate::{canonical::Number, cast::strict, types::is_exact_number};

/// The text of a value: numbers as plain decimals without trailing zeros (so that 5, 5.0 and 5.00 read alike), texts
/// as they are, everything else as Arrow shows it. `None` for null.
///
/// # Errors
/// A value that Arrow cannot show.
pub fn value_text(array: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let text = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Float64 => Number::from_f64(array.as_primitive::<Float64Type>().value(row)).to_string(),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) => {
            let one = strict(&array.slice(row, 1), &DataType::Decimal256(*p, *s))?;
            Number::from_decimal(one.as_primitive::<Decimal256Type>().value(0), *s).to_string()
        }
        DataType::Decimal256(_, s) => {
            Number::from_decimal(array.as_primitive::<Decimal256Type>().value(row), *s).to_string()
        }
        DataType::Float16 | DataType::Float32 => {
            let shown = array_value_to_string(array, row)?;
            shown.parse().map(|v| Number::from_f64(v).to_string()).unwrap_or(shown)
        }
        other if is_exact_number(other) => {
            let part = |i: usize| array.as_struct().column(i).as_primitive::<Float64Type>().value(row);
            exact_text(part(0), part(1))
        }
        _ => array_value_to_string(array, row)?,
    };
    Ok(Some(text))
}

pub(crate) fn exact_text(nearest: f64, rest: f64) -> String {
    if rest == 0.0 {
        Number::from_f64(nearest).to_string()
    } else {
        Number::from_i128(nearest as i128 + rest as i128).to_string()
    }
}
