//! What is known beside the unexplained cells: how many rows there are, factors, neighbouring periods.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::{
    array::{Array, RecordBatch, StringArray, StructArray},
    compute::cast,
    datatypes::DataType,
};
use dualrun_core::{Tolerance, input::Side};

use crate::error::ExplainError;

/// What the search for signatures knows beside the cells.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The pipeline, part of the ids of findings.
    pub pipeline: String,
    /// The tolerance of each measure.
    pub tolerances: BTreeMap<String, Tolerance>,
    /// The key column that names the period.
    pub period: Option<String>,
    /// Rows of both sides by the values of their key columns.
    pub totals: SegmentTotals,
    /// Factor inputs with all their editions.
    pub factors: Vec<FactorTable>,
    /// Figures of the same series in the periods before and after; may be empty.
    pub neighbours: Vec<Neighbour>,
    /// The legacy rows of the unexplained cells with all their columns; may be empty.
    pub rows: RowValues,
}

/// Attributes and measures of the legacy rows that have unexplained cells: w(all).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowValues {
    /// Columns that are compared for equality.
    pub attributes: Vec<String>,
    rows: HashMap<Vec<Option<String>>, BTreeMap<String, Option<String>>>,
}

impl RowValues {
    /// Keeps the rows of a batch whose key is among `wanted`, with these columns where the batch has them.
    ///
    /// # Errors
    /// A key column that is missing, or a column that cannot be read as text.
    pub fn keep(
        &mut self,
        batch: &RecordBatch,
        key: &[String],
        columns: &[String],
        wanted: &HashSet<&[Option<String>]>,
    ) -> Result<(), ExplainError> {
        let keys = key
            .iter()
            .map(|name| texts(batch, name)?.ok_or_else(|| ExplainError::MissingColumn(name.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        let mut values = Vec::with_capacity(columns.len());
        for name in columns {
            values.extend(texts(batch, name)?.map(|column| (name, column)));
        }
        let text =
            |column: &StringArray, row: usize| column.is_valid(row).then(|| column.value(row).to_owned());
        for row in 0..batch.num_rows() {
            let key: Vec<Option<String>> = keys.iter().map(|column| text(column, row)).collect();
            if wanted.contains(key.as_slice()) {
                let figures = values.iter().map(|(name, column)| ((*name).clone(), text(column, row)));
                self.rows.insert(key, figures.collect());
            }
        }
        Ok(())
    }

    /// The value of a column in the row with this key; `None` where the row is not known.
    pub fn text(&self, key: &[Option<String>], column: &str) -> Option<&Option<String>> {
        self.rows.get(key)?.get(column)
    }

    /// The same as a number.
    pub fn figure(&self, key: &[Option<String>], column: &str) -> Option<f64> {
        self.text(key, column)?.as_ref()?.parse().ok()
    }
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Option<StringArray>, ExplainError> {
    let Some(mut column) = batch.column_by_name(name) else { return Ok(None) };
    // Figures that no single type holds come as the nearest float and what is left.
    if let Some(parts) = column.as_any().downcast_ref::<StructArray>() {
        let Some(nearest) = parts.columns().first() else { return Ok(None) };
        column = nearest;
    }
    let column = cast(column, &DataType::Utf8).map_err(|source| ExplainError::Type {
        column: name.to_owned(),
        wanted: "text",
        source,
    })?;
    Ok(column.as_any().downcast_ref::<StringArray>().cloned())
}

/// One factor input.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FactorTable {
    /// Its name in the mapping.
    pub name: String,
    /// Its values.
    pub values: Vec<FactorValue>,
}

/// One value of one edition.
#[derive(Debug, Clone, PartialEq)]
pub struct FactorValue {
    /// What the factor is of, for example `pue/aws/fleet`.
    pub key: String,
    /// The edition or data year.
    pub edition: String,
    /// The value in its own unit.
    pub value: f64,
}

/// One figure of a period beside the one that is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// The measure.
    pub column: String,
    /// The key with the neighbouring period in it, in the order of the key columns.
    pub key: Vec<Option<String>>,
    /// w(all).
    pub legacy: Option<f64>,
    /// v(∅).
    pub new: Option<f64>,
}

/// How many rows each side has for each value of each key column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SegmentTotals {
    legacy: BTreeMap<String, BTreeMap<Option<String>, u64>>,
    new: BTreeMap<String, BTreeMap<Option<String>, u64>>,
}

impl SegmentTotals {
    /// Counts `rows` more.
    pub fn add(&mut self, side: Side, column: &str, value: Option<&str>, rows: u64) {
        let side = match side {
            Side::Legacy => &mut self.legacy,
            Side::New => &mut self.new,
        };
        let values = match side.get_mut(column) {
            Some(values) => values,
            None => side.entry(column.to_owned()).or_default(),
        };
        *values.entry(value.map(str::to_owned)).or_default() += rows;
    }

    /// Counts the rows of a batch by the values of these columns.
    ///
    /// # Errors
    /// A column that is missing or cannot be read as text.
    pub fn count(&mut self, side: Side, batch: &RecordBatch, columns: &[String]) -> Result<(), ExplainError> {
        for name in columns {
            let column =
                batch.column_by_name(name).ok_or_else(|| ExplainError::MissingColumn(name.clone()))?;
            let texts = cast(column, &DataType::Utf8).map_err(|source| ExplainError::Type {
                column: name.clone(),
                wanted: "text",
                source,
            })?;
            let Some(texts) = texts.as_any().downcast_ref::<StringArray>() else { continue };
            // Rows are sorted by the key: equal values often follow each other.
            let mut run: Option<(Option<&str>, u64)> = None;
            for value in texts.iter() {
                match &mut run {
                    Some((current, rows)) if *current == value => *rows += 1,
                    _ => {
                        if let Some((current, rows)) = run.replace((value, 1)) {
                            self.add(side, name, current, rows);
                        }
                    }
                }
            }
            if let Some((current, rows)) = run {
                self.add(side, name, current, rows);
            }
        }
        Ok(())
    }

    /// Rows of a side with this value in this column.
    pub fn rows(&self, side: Side, column: &str, value: &Option<String>) -> u64 {
        self.values(side).get(column).and_then(|values| values.get(value)).copied().unwrap_or(0)
    }

    /// The larger of both sides' rows with this value in this column.
    pub fn most(&self, column: &str, value: &Option<String>) -> u64 {
        self.rows(Side::Legacy, column, value).max(self.rows(Side::New, column, value))
    }

    /// How many rows the larger side has.
    pub fn total(&self) -> u64 {
        let most = |side: &BTreeMap<String, BTreeMap<Option<String>, u64>>| {
            side.values().map(|values| values.values().sum::<u64>()).max().unwrap_or(0)
        };
        most(&self.legacy).max(most(&self.new))
    }

    /// All values of a column on either side.
    pub fn all_values(&self, column: &str) -> Vec<&Option<String>> {
        let mut values: Vec<&Option<String>> = [Side::Legacy, Side::New]
            .iter()
            .filter_map(|s| self.values(*s).get(column))
            .flat_map(|v| v.keys())
            .collect();
        values.sort();
        values.dedup();
        values
    }

    fn values(&self, side: Side) -> &BTreeMap<String, BTreeMap<Option<String>, u64>> {
        match side {
            Side::Legacy => &self.legacy,
            Side::New => &self.new,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn wanted_rows_are_kept_with_their_values() {
        use arrow::array::{Float64Array, StructArray};
        use arrow::datatypes::Field;

        let region: ArrayRef = Arc::new(StringArray::from(vec![Some("FR"), Some("DE")]));
        let kwh: ArrayRef = Arc::new(Float64Array::from(vec![1.5, 2.25]));
        let part = |name: &str, figures: Vec<f64>| {
            let column: ArrayRef = Arc::new(Float64Array::from(figures));
            (Arc::new(Field::new(name, DataType::Float64, true)), column)
        };
        let wide = StructArray::from(vec![part("nearest", vec![7.0, 8.5]), part("rest", vec![0.0, 0.0])]);
        let gb: ArrayRef = Arc::new(wide);
        let batch = RecordBatch::try_from_iter([("region", region), ("kwh", kwh), ("gb", gb)]).unwrap();
        let wanted = [Some("DE".to_owned())];
        let columns = ["kwh".to_owned(), "gb".to_owned(), "absent".to_owned()];
        let mut rows = RowValues::default();
        rows.keep(&batch, &["region".into()], &columns, &HashSet::from([wanted.as_slice()])).unwrap();
        assert_eq!((rows.figure(&wanted, "kwh"), rows.figure(&wanted, "gb")), (Some(2.25), Some(8.5)));
        assert_eq!((rows.text(&wanted, "absent"), rows.text(&[Some("FR".into())], "kwh")), (None, None));
        assert!(rows.keep(&batch, &["day".into()], &columns, &HashSet::new()).is_err());
    }

    #[test]
    fn rows_are_counted_by_value_on_each_side() {
        let region: ArrayRef =
            Arc::new(StringArray::from(vec![Some("FR"), Some("FR"), None, Some("DE"), Some("FR")]));
        let month: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 2, 2]));
        let batch = RecordBatch::try_from_iter([("region", region), ("month", month)]).unwrap();
        let mut totals = SegmentTotals::default();
        totals.count(Side::Legacy, &batch, &["region".into(), "month".into()]).unwrap();
        assert_eq!(totals.rows(Side::Legacy, "region", &Some("FR".into())), 3);
        assert_eq!(totals.rows(Side::Legacy, "region", &None), 1);
        assert_eq!(totals.rows(Side::New, "region", &None), 0);
        assert_eq!(totals.most("month", &Some("2".into())), 2);
        assert_eq!(totals.all_values("region").len(), 3);
        assert!(totals.count(Side::New, &batch, &["nowhere".into()]).is_err());
    }
}
