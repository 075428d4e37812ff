//! Align rules: the named normalisations of a mapping, applied to the result of one side.

use std::sync::Arc;

use arrow::{
    array::ArrayRef,
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use dualrun_core::{
    align::{AlignRule, Rule},
    input::Side,
};

use crate::{cast::strict, error::CompareError};

mod convert;
mod lists;
mod numbers;
mod texts;
mod times;

use convert::Target;
use numbers::Factor;

/// Applies the rules of one side: renames first, because rules name columns as they are called afterwards, then
/// the others in the order of the mapping.
#[derive(Debug)]
pub struct Aligner {
    schema: SchemaRef,
    steps: Vec<Step>,
}

/// One rule on one column.
#[derive(Debug)]
struct Step {
    position: usize,
    column: String,
    operation: Operation,
    /// The type that the column has afterwards.
    to: DataType,
}

#[derive(Debug)]
enum Operation {
    Text(texts::Edit),
    Map(std::collections::BTreeMap<String, String>),
    Cast(Target),
    NullIsZero,
    Scale(Factor),
    Round(u8),
    Zone(jiff::tz::TimeZone),
    Multiset,
}

impl Aligner {
    /// Settles what the rules do to rows of `schema` on one side.
    ///
    /// # Errors
    /// A column that the side lacks, a rule on a column of another kind, a type, unit or zone that is not known, a
    /// new name that is taken.
    pub fn new(rules: &[AlignRule], side: Side, schema: SchemaRef) -> Result<Self, CompareError> {
        let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        let of_side = || rules.iter().filter(|rule| rule.applies_to(side));
        let position = |fields: &[Field], name: &str| {
            let missing = || CompareError::MissingColumn { side: Some(side), column: name.to_owned() };
            fields.iter().position(|f| f.name() == name).ok_or_else(missing)
        };
        for rule in of_side() {
            if let Rule::Rename { from } = &rule.rule {
                let at = position(&fields, from)?;
                if fields.iter().any(|f| f.name() == &rule.column) {
                    return Err(CompareError::DuplicateColumn(rule.column.clone()));
                }
                fields[at] = fields[at].clone().with_name(&rule.column);
            }
        }
        let mut steps = Vec::new();
        for rule in of_side() {
            let at = position(&fields, &rule.column)?;
            if let Some((operation, to)) = plan(rule, fields[at].data_type())? {
                fields[at] = Field::new(&rule.column, to.clone(), true);
                steps.push(Step { position: at, column: rule.column.clone(), operation, to });
            }
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)), steps })
    }

    /// The schema of aligned rows.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Aligns a batch.
    ///
    /// # Errors
    /// A value that a rule cannot convert.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, CompareError> {
        let mut columns = batch.columns().to_vec();
        for step in &self.steps {
            let column = columns
                .get(step.position)
                .ok_or_else(|| CompareError::MissingColumn { side: None, column: step.column.clone() })?;
            columns[step.position] = step.run(column)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema(), columns, &options)?)
    }
}

impl Step {
    fn run(&self, array: &ArrayRef) -> Result<ArrayRef, CompareError> {
        let failed = |source| CompareError::Cast { column: self.column.clone(), to: self.to.clone(), source };
        let decoded = decode(array).map_err(failed)?;
        let array = &decoded;
        let done = match &self.operation {
            Operation::Text(edit) => texts::edit(array, edit),
            Operation::Map(values) => texts::map(array, values, &self.to),
            Operation::Cast(target) => convert::cast(array, *target, &self.to),
            Operation::NullIsZero => numbers::null_is_zero(array, &self.to),
            Operation::Scale(factor) => numbers::scale(array, *factor, &self.to),
            Operation::Round(digits) => numbers::round(array, *digits, &self.to),
            Operation::Zone(zone) => times::to_instants(array, zone, &self.to),
            Operation::Multiset => lists::sort(array),
        };
        done.map_err(failed)
    }
}

/// A column without dictionary and run ends.
fn decode(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match decoded(array.data_type()) {
        to if to == array.data_type() => Ok(Arc::clone(array)),
        to => strict(array, to),
    }
}

fn decoded(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => decoded(values),
        DataType::RunEndEncoded(_, values) => decoded(values.data_type()),
        other => other,
    }
}

/// What a rule does to a column of this type, and the type that comes out; `None` where nothing is left to do.
fn plan(rule: &AlignRule, from: &DataType) -> Result<Option<(Operation, DataType)>, CompareError> {
    use texts::Edit;
    let from = decoded(from);
    let setting = |rule_name: &'static str, reason: String| CompareError::RuleSetting {
        rule: rule_name,
        column: rule.column.clone(),
        reason,
    };
    let wrong_type = |rule_name: &'static str| CompareError::RuleType {
        rule: rule_name,
        column: rule.column.clone(),
        found: from.clone(),
    };
    let text = |name: &'static str, edit: Edit| {
        if texts::is_text(from) || from == &DataType::Null {
            Ok(Some((Operation::Text(edit), DataType::Utf8)))
        } else {
            Err(wrong_type(name))
        }
    };
    match &rule.rule {
        Rule::Rename { .. } => Ok(None),
        Rule::Trim => text("trim", Edit::Trim),
        Rule::Lower => text("lower", Edit::Lower),
        Rule::Upper => text("upper", Edit::Upper),
        Rule::Nfc => text("nfc", Edit::Nfc),
        Rule::StripZeros => text("strip_zeros", Edit::StripZeros),
        Rule::PadZeros { width } => text("pad_zeros", Edit::PadZeros(usize::from(*width))),
        Rule::StripNul => text("strip_nul", Edit::StripNul),
        Rule::EmptyIsNull => text("empty_is_null", Edit::EmptyIsNull),
        Rule::Map { values } => {
            let to = if texts::is_text(from) { DataType::Utf8 } else { from.clone() };
            Ok(Some((Operation::Map(values.clone()), to)))
        }
        Rule::Cast { to } => {
            let target = Target::parse(to).map_err(|reason| setting("cast", reason))?;
            let to = target.data_type(from);
            Ok(Some((Operation::Cast(target), to)))
        }
        Rule::NullIsZero => match from {
            DataType::Null => Ok(Some((Operation::NullIsZero, DataType::Int64))),
            t if t.is_numeric() => Ok(Some((Operation::NullIsZero, t.clone()))),
            _ => Err(wrong_type("null_is_zero")),
        },
        Rule::Unit { from: unit, to } => {
            let ratio = unit
                .ratio_to(to)
                .ok_or_else(|| setting("unit", format!("{unit} does not convert to {to}")))?;
            if from != &DataType::Null && !from.is_numeric() {
                return Err(wrong_type("unit"));
            }
            let (factor, to) = Factor::new(ratio, from);
            Ok(Some((Operation::Scale(factor), to)))
        }
        Rule::Round { digits } => {
            let to = numbers::rounded(from).map_err(|()| wrong_type("round"))?;
            Ok(to.map(|to| (Operation::Round(*digits), to)))
        }
        Rule::TimeZone { zone } => {
            let found = jiff::tz::TimeZone::get(zone).map_err(|e| setting("time_zone", e.to_string()))?;
            match from {
                DataType::Timestamp(_, Some(_)) => Ok(None),
                DataType::Timestamp(unit, None) => {
                    Ok(Some((Operation::Zone(found), DataType::Timestamp(*unit, Some("UTC".into())))))
                }
                t if texts::is_text(t) => Ok(Some((Operation::Zone(found), times::instant()))),
                _ => Err(wrong_type("time_zone")),
            }
        }
        Rule::Multiset => match lists::item(from) {
            Some(item) => Ok(Some((Operation::Multiset, DataType::List(Arc::clone(item))))),
            None if from == &DataType::Null => Ok(None),
            None => Err(wrong_type("multiset")),
        },
    }
}

#[cfg(test)]
mod tests;
