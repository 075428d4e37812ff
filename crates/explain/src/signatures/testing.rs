//! Builders for the tests of the detectors.

use arrow::datatypes::i256;

use super::{Detector, Facts, Group, Match};
use crate::{
    cells::{
        CellKind, Cells, PRESENCE, UnexplainedCell,
        exact::{Exact, to_f64},
    },
    context::Context,
};

/// Cells over the key (customer, region, day).
pub(crate) fn empty() -> Cells {
    Cells {
        key_columns: vec!["customer".into(), "region".into(), "day".into()],
        customer: Some("customer".into()),
        texts: ["customer", "region", "day", "source", "country"].map(Into::into).into(),
        ..Cells::default()
    }
}

/// A cell of a column with the given key.
pub(crate) fn cell(column: &str, key: [&str; 3], legacy: Option<f64>, new: Option<f64>) -> UnexplainedCell {
    UnexplainedCell {
        key: key.iter().map(|part| Some((*part).to_owned())).collect(),
        customer: Some(key[0].to_owned()),
        column: column.into(),
        kind: CellKind::Measure,
        legacy,
        new,
        without_changes: new,
        with_fixes: legacy,
        exact: None,
        legacy_text: None,
        new_text: None,
    }
}

/// A row on one side only.
pub(crate) fn row(kind: CellKind, key: [&str; 3]) -> UnexplainedCell {
    UnexplainedCell { kind, ..cell(PRESENCE, key, None, None) }
}

/// Cells of the column `kwh`, each on a row of its own.
pub(crate) fn kwh(pairs: &[(f64, f64)]) -> Cells {
    let mut cells = empty();
    for (i, (legacy, new)) in pairs.iter().enumerate() {
        cells.cells.push(cell("kwh", [&format!("c{i}"), "FR", "2025-03-01"], Some(*legacy), Some(*new)));
    }
    cells
}

/// Cells of decimals of the column `kwh`, in units of the last digit.
pub(crate) fn decimals(pairs: &[(i128, i128)], scale: u32) -> Cells {
    let units = i256::from_i128;
    let float = |value: i128| to_f64(units(value), scale);
    let floats: Vec<_> = pairs.iter().map(|(legacy, new)| (float(*legacy), float(*new))).collect();
    let mut cells = kwh(&floats);
    for (cell, (legacy, new)) in cells.cells.iter_mut().zip(pairs) {
        cell.exact = Some(Exact { legacy: units(*legacy), new: units(*new), scale });
    }
    cells
}

/// What a detector says of all cells of the column of the first one.
pub(crate) fn detect_in(detector: &dyn Detector, cells: &Cells, context: &Context) -> Option<Match> {
    let column = &cells.cells.first()?.column;
    let rows = (0..cells.cells.len()).filter(|i| cells.cells[*i].column == *column).collect();
    detector.detect(&Group { cells, column, rows }, &Facts::new(cells, context))
}

/// The same without anything known beside the cells.
pub(crate) fn detect(detector: &dyn Detector, cells: &Cells) -> Option<Match> {
    detect_in(detector, cells, &Context::default())
}

/// The detail where every cell fits.
pub(crate) fn whole(detector: &dyn Detector, pairs: &[(f64, f64)]) -> Option<String> {
    detect(detector, &kwh(pairs)).filter(|m| m.matched.len() == pairs.len()).map(|m| m.detail)
}
