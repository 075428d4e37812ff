//! Which Arrow type a column gets, and which columns the server writes as text.
//!
//! Decoded from their binary form: `bool`, `int2`, `int4`, `int8`, `oid`, `float4`, `float8`, `numeric`, `text`,
//! `varchar`, `bpchar`, `name`, enums, `uuid`, `json`, `jsonb`, `bytea`, `date`, `time`, `timestamp`, `timestamptz`,
//! `interval`, domains over these (the server reports the base type) and one-dimensional arrays of these. Everything
//! else (ranges, network and geometric types, `timetz`, `money`, composites, types of extensions) is cast to text
//! by the server, in the query.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use tokio_postgres::{
    Column,
    types::{Kind, Type},
};

use super::{
    decode::arrow_type,
    options::{NumericForm, ReadOptions},
};

/// How the field bytes of a column are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Int16,
    Int32,
    Int64,
    Oid,
    Float32,
    Float64,
    Decimal { precision: u8, scale: u8 },
    Text,
    Jsonb,
    Uuid,
    Bytes,
    Date,
    Time,
    Timestamp { utc: bool },
    Interval,
    List(Box<Form>),
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) form: Form,
    /// What the server makes of it, with `$` for the column.
    pub(super) cast: Option<&'static str>,
}

/// The columns of a result, in order.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) columns: Vec<Planned>,
    pub(super) schema: SchemaRef,
}

impl Plan {
    pub(super) fn new(columns: &[Column], options: &ReadOptions) -> Self {
        let columns: Vec<Planned> = columns
            .iter()
            .map(|column| {
                let numeric = options.columns.get(column.name()).copied();
                let (form, cast) = form(column.type_(), column.type_modifier(), numeric, options.numeric);
                Planned { name: column.name().to_owned(), form, cast }
            })
            .collect();
        let fields: Vec<Field> =
            columns.iter().map(|c| Field::new(&c.name, arrow_type(&c.form), true)).collect();
        Self { columns, schema: Arc::new(Schema::new(fields)) }
    }

    /// The first name that two columns share.
    pub(super) fn twice(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    /// The query with its casts; none where no column needs one.
    ///
    /// `sql` has been parsed by the server as one whole statement, so that the parenthesis around it closes.
    pub(super) fn with_casts(&self, sql: &str) -> Option<String> {
        if self.columns.iter().all(|c| c.cast.is_none()) {
            return None;
        }
        // Positions rather than names, which may be any text.
        let list: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| match c.cast {
                Some(cast) => cast.replace('$', &format!("c{i}")),
                None => format!("c{i}"),
            })
            .collect();
        let names: Vec<String> = (0..self.columns.len()).map(|i| format!("c{i}")).collect();
        Some(format!("SELECT {} FROM ({sql}\n) AS q({})", list.join(", "), names.join(", ")))
    }
}

fn form(
    ty: &Type,
    modifier: i32,
    chosen: Option<NumericForm>,
    undeclared: NumericForm,
) -> (Form, Option<&'static str>) {
    match ty.kind() {
        Kind::Enum(_) => return (Form::Text, None),
        Kind::Domain(base) => return form(base, modifier, chosen, undeclared),
        Kind::Array(element) => {
            return match form(element, modifier, chosen, undeclared) {
                (form, None) => (Form::List(Box::new(form)), None),
                (Form::Text, Some(_)) => (Form::List(Box::new(Form::Text)), Some(AS_TEXTS)),
                (Form::Float64, Some(_)) => (Form::List(Box::new(Form::Float64)), Some("$::float8[]")),
                // An array of a domain over arrays whose elements are not decoded.
                (_, Some(_)) => (Form::Text, Some(AS_TEXT)),
            };
        }
        _ => {}
    }
    let plain = match *ty {
        Type::BOOL => Form::Bool,
        Type::INT2 => Form::Int16,
        Type::INT4 => Form::Int32,
        Type::INT8 => Form::Int64,
        Type::OID => Form::Oid,
        Type::FLOAT4 => Form::Float32,
        Type::FLOAT8 => Form::Float64,
        Type::NUMERIC => return numeric(modifier, chosen, undeclared),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON => Form::Text,
        Type::JSONB => Form::Jsonb,
        Type::UUID => Form::Uuid,
        Type::BYTEA => Form::Bytes,
        Type::DATE => Form::Date,
        // No rule reads these from their own form: what is declared gets the text of the server.
        Type::TIME | Type::INTERVAL if chosen == Some(NumericForm::Text) => {
            return (Form::Text, Some(AS_TEXT));
        }
        Type::TIME => Form::Time,
        Type::TIMESTAMP => Form::Timestamp { utc: false },
        Type::TIMESTAMPTZ => Form::Timestamp { utc: true },
        Type::INTERVAL => Form::Interval,
        // Its cast writes /32 after every address, other than its output.
        Type::INET => return (Form::Text, Some("textin(inet_out($))")),
        _ => return (Form::Text, Some(AS_TEXT)),
    };
    (plain, None)
}

const AS_TEXT: &str = "$::text";
/// By way of the text of the whole array, which holds its elements as the server writes them.
const AS_TEXTS: &str = "$::text::text[]";

/// Declared precision decides; none, or more than 76 digits, is read as the options say.
fn numeric(
    modifier: i32,
    chosen: Option<NumericForm>,
    undeclared: NumericForm,
) -> (Form, Option<&'static str>) {
    match chosen.or_else(|| declared(modifier)).unwrap_or(undeclared) {
        NumericForm::Decimal { precision, scale } => (Form::Decimal { precision, scale }, None),
        NumericForm::Float64 => (Form::Float64, Some("$::float8")),
        NumericForm::Text => (Form::Text, Some(AS_TEXT)),
    }
}

/// Precision and scale out of the type modifier (`numeric_typmod_precision` of the server's `numeric.c`: 4 more than
/// precision in the high half and scale, 11 bits with sign, in the low one).
fn declared(modifier: i32) -> Option<NumericForm> {
    let bits = modifier.checked_sub(4).filter(|b| *b >= 0)?;
    let (precision, low) = ((bits >> 16) & 0xffff, bits & 0x7ff);
    let scale = (low ^ 1024) - 1024;
    // A scale below zero rounds before the point; one above the precision only has zeros after it.
    let (precision, scale) = if scale < 0 { (precision - scale, 0) } else { (precision.max(scale), scale) };
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision @ 1..=76), Ok(scale)) => Some(NumericForm::Decimal { precision, scale }),
        _ => Some(NumericForm::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modifier(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn declared_precision_and_scale_become_those_of_the_decimal() {
        let decimal = |precision, scale| Some(NumericForm::Decimal { precision, scale });
        assert_eq!(declared(-1), None);
        assert_eq!(declared(modifier(10, 2)), decimal(10, 2));
        assert_eq!(declared(modifier(3, -2)), decimal(5, 0));
        assert_eq!(declared(modifier(2, 5)), decimal(5, 5));
        assert_eq!(declared(modifier(76, 38)), decimal(76, 38));
        assert_eq!(declared(modifier(1000, 2)), Some(NumericForm::Text));
    }

    #[test]
    fn types_without_a_binary_reader_are_cast_to_text() {
        let form = |ty: &Type| form(ty, -1, None, NumericForm::Text);
        assert_eq!(form(&Type::CIDR), (Form::Text, Some("$::text")));
        assert_eq!(form(&Type::INET_ARRAY), (Form::List(Box::new(Form::Text)), Some("$::text::text[]")));
        assert_eq!(form(&Type::INT4_ARRAY), (Form::List(Box::new(Form::Int32)), None));
        assert_eq!(form(&Type::NUMERIC), (Form::Text, Some("$::text")));
        assert_eq!(form(&Type::TIMETZ), (Form::Text, Some("$::text")));
        assert_eq!(form(&Type::INTERVAL), (Form::Interval, None));
        for ty in [Type::TIME, Type::INTERVAL] {
            let declared = super::form(&ty, -1, Some(NumericForm::Text), NumericForm::Text);
            assert_eq!(declared, (Form::Text, Some("$::text")));
        }
    }

    #[test]
    fn a_choice_for_a_column_wins_over_its_declaration() {
        let chosen = Some(NumericForm::Float64);
        assert_eq!(
            form(&Type::NUMERIC, modifier(10, 2), chosen, NumericForm::Text),
            (Form::Float64, Some("$::float8"))
        );
    }
}
