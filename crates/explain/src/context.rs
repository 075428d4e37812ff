//! What is known beside the unexplained cells: how many rows there are, factors, neighbouring periods.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, RecordBatch, StringArray},
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
