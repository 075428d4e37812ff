//! What stands in the columns, in a form that programs in other languages can compute of the same values.

use std::collections::{BTreeMap, HashMap};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType},
    error::ArrowError,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Sums and digests by the path of a leaf, `site.country` or `lines[].qty`.
#[derive(Default)]
pub(crate) struct Columns(BTreeMap<String, Leaf>);

#[derive(Default)]
struct Leaf {
    values: u64,
    nulls: u64,
    scale: i8,
    /// Whole numbers, unscaled decimals, days, microseconds, flags.
    whole: i128,
    float: f64,
    texts: HashMap<String, u64>,
    kind: &'static str,
}

impl Columns {
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            self.array(field.name(), array)?;
        }
        Ok(())
    }

    /// `sum` of numbers, `digest` of texts: SHA-256 over the sorted values and how often each came.
    pub(crate) fn report(&self) -> Value {
        self.0
            .iter()
            .map(|(path, leaf)| (path.clone(), leaf.report()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn array(&mut self, path: &str, array: &ArrayRef) -> Result<(), ArrowError> {
        match array.data_type() {
            DataType::Struct(fields) => {
                for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                    self.array(&format!("{path}.{}", field.name()), column)?;
                }
                Ok(())
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let (first, last) = (list.value_offsets().first(), list.value_offsets().last());
                let (first, last) = (first.map_or(0, |o| *o as usize), last.map_or(0, |o| *o as usize));
                self.array(&format!("{path}[]"), &list.values().slice(first, last - first))
            }
            _ => self.0.entry(path.to_owned()).or_default().add(array),
        }
    }
}

impl Leaf {
    fn add(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        self.values += array.len() as u64;
        self.nulls += array.null_count() as u64;
        match array.data_type() {
            DataType::Float32 | DataType::Float64 => {
                self.kind = "sum";
                let array = cast(array, &DataType::Float64)?;
                self.float += array.as_primitive::<Float64Type>().iter().flatten().sum::<f64>();
            }
            DataType::Decimal128(_, scale) => {
                (self.kind, self.scale) = ("sum", *scale);
                self.whole += array.as_primitive::<Decimal128Type>().iter().flatten().sum::<i128>();
            }
            DataType::Boolean => {
                self.kind = "sum";
                self.whole += array.as_boolean().iter().flatten().filter(|flag| *flag).count() as i128;
            }
            DataType::Date32 => {
                self.kind = "sum";
                self.whole +=
                    array.as_primitive::<Date32Type>().iter().flatten().map(i128::from).sum::<i128>();
            }
            DataType::Timestamp(..) => {
                self.kind = "sum";
                let values = array.as_primitive::<TimestampMicrosecondType>().iter().flatten();
                self.whole += values.map(i128::from).sum::<i128>();
            }
            DataType::Utf8 => {
                self.kind = "digest";
                for text in array.as_string::<i32>().iter().flatten() {
                    match self.texts.get_mut(text) {
                        Some(count) => *count += 1,
                        None => _ = self.texts.insert(text.to_owned(), 1),
                    }
                }
            }
            _ => {
                self.kind = "sum";
                let array = cast(array, &DataType::Int64)?;
                self.whole +=
                    array.as_primitive::<Int64Type>().iter().flatten().map(i128::from).sum::<i128>();
            }
        }
        Ok(())
    }

    fn report(&self) -> Value {
        let mut told = json!({"values": self.values, "nulls": self.nulls});
        told[self.kind] = match self.kind {
            "digest" => self.digest().into(),
            _ if self.float != 0.0 => self.float.into(),
            _ => decimal(self.whole, self.scale).into(),
        };
        told
    }

    fn digest(&self) -> String {
        let mut sorted: Vec<_> = self.texts.iter().collect();
        sorted.sort_unstable();
        let mut hash = Sha256::new();
        for (text, count) in sorted {
            hash.update(format!("{text}\0{count}\n"));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// An unscaled number as text with a point.
fn decimal(unscaled: i128, scale: i8) -> String {
    let scale = usize::from(scale.max(0).unsigned_abs());
    let digits = format!("{:0>1$}", unscaled.unsigned_abs(), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}
