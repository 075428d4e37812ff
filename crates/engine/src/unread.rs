//! Tables of which only some columns are known before they are read.

use std::collections::BTreeSet;

use datafusion::{common::SchemaError, error::DataFusionError};
use dualrun_mapping::plan::Model;

use crate::{error::EngineError, inputs::Tables};

/// Inputs whose columns only a shape tells, and the models that pass all columns of one on.
pub(crate) struct Unread(BTreeSet<String>);

impl Unread {
    pub(crate) fn of(tables: &Tables, models: &[Model]) -> Self {
        let unread = tables.iter().filter(|(_, table)| table.report.files.is_empty());
        let mut found = Self(unread.map(|(name, _)| name.clone()).collect());
        for model in models {
            if found.reaches(model) && takes_all(&model.sql) {
                found.0.insert(model.name.clone());
            }
        }
        found
    }

    /// Whether it is one of them.
    pub(crate) fn holds(&self, table: &str) -> bool {
        self.0.contains(table)
    }

    /// Whether an error is that of a column that one of them may have all the same.
    pub(crate) fn may_have(&self, error: &EngineError, models: &[Model]) -> bool {
        let EngineError::Model { file, source } = error else { return false };
        let model = models.iter().find(|model| model.file.display().to_string() == *file);
        is_missing(source) && model.is_some_and(|model| self.reaches(model))
    }

    fn reaches(&self, model: &Model) -> bool {
        model.reads.iter().any(|table| self.holds(table))
    }
}

/// Whether a column is missing, or a field of one.
fn is_missing(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => matches!(**error, SchemaError::FieldNotFound { .. }),
        DataFusionError::Plan(said) | DataFusionError::Execution(said) => {
            said.contains("not found in struct")
        }
        _ => false,
    }
}

/// Whether a model takes all columns of a table, as `select *` and `t.*` do.
fn takes_all(sql: &str) -> bool {
    sql.match_indices('*').any(|(at, _)| {
        let before = sql[..at].trim_end();
        let word = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        before.ends_with(['.', ','])
            || ["select", "distinct", "all"].iter().any(|known| word.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_told_from_a_product() {
        for sql in ["select * from t", "SELECT\n  *\nfrom t", "select a, t.* from t", "select a, * from t"] {
            assert!(takes_all(sql), "{sql}");
        }
        for sql in ["select a * b from t", "select count(*) from t", "select sum(a) * 2, 3 * b from t"] {
            assert!(!takes_all(sql), "{sql}");
        }
    }
}
