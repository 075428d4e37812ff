//! Filters in SQL of PostgreSQL.
//!
//! What is compared there is what the reader makes of it here, and in the same order:
//!
//! - Texts are compared by their bytes, so collations are told to keep away (`COLLATE "C"`); those of a database that is
//!   not in UTF-8 are in another order and stay here.
//! - Floats: here −0 is less than 0, and a NaN is greater or less than all numbers by its sign; there the zeros are
//!   equal, and NaN is greater than all. The server gives both zeros and NaN where they matter.
//! - Infinite days and instants, and instants that 64 bits do not hold, are null here.
//! - A number that a rule of the shape reads as a float is rounded: bounds are one float wider.
//! - Characters filled up with blanks, JSON, ranges, arrays and the like are not compared on the server at all.
//!
//! Values are written out in a form that only they can have, so that nothing is bound and the rows can come by `COPY`.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, DecimalType, SchemaRef};
use datafusion::common::ScalarValue;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::filters::{Compare, Dialect, Like, Pushed, Sure, text};
use crate::{
    LiveRequest, ServerSession, SourceError,
    live::{ShapedColumns, postgres_options},
    postgres::{ColumnType, ColumnTypes, TableName, quoted},
    rules::{Declared, Kind, Ty},
};

/// The columns of a table, as filters see them.
#[derive(Debug)]
pub(super) struct Table {
    columns: BTreeMap<String, Comparable>,
    utf8: bool,
}

/// How the values of a column are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparable {
    Boolean,
    Integer,
    Float,
    Decimal,
    /// Exact numbers that are read as floats.
    Rounded,
    /// Exact numbers that are read as decimals of the shape, and are null where they do not fit.
    Fitted,
    Date,
    /// Instants; where a rule reads them, those that it cannot hold are null.
    Instant {
        utc: bool,
        ruled: bool,
    },
    Text {
        deterministic: bool,
    },
    Uuid,
    /// Text once it is cast.
    LikeText,
    /// Not at all.
    No,
}

impl Table {
    pub(super) async fn open(
        session: &ServerSession,
        request: &LiveRequest,
    ) -> Result<(SchemaRef, Self), SourceError> {
        let (source, _) = session
            .postgres()
            .ok_or_else(|| SourceError::Config("the source is not a PostgreSQL server".into()))?;
        let name = TableName::parse(&request.name)?;
        let raw = source.table(&name, &postgres_options(request)).await?.schema;
        let types = source.column_types(&name).await?;
        let Some(shape) = &request.shape else {
            let columns = types.columns.iter().map(|(name, ty)| {
                let data_type = raw.field_with_name(name).map_or(&DataType::Null, |field| field.data_type());
                (name.clone(), plain(*ty, data_type))
            });
            let columns = columns.collect();
            return Ok((raw, Self { columns, utf8: types.utf8 }));
        };
        let shaped = ShapedColumns::new(&raw, &Declared::of(shape)?)?;
        let columns = under_rules(&shaped, &types);
        Ok((shaped.shaper().schema, Self { columns, utf8: types.utf8 }))
    }
}

/// A column that is read as it is.
fn plain(ty: ColumnType, data_type: &DataType) -> Comparable {
    match ty {
        ColumnType::Boolean => Comparable::Boolean,
        ColumnType::Integer => Comparable::Integer,
        ColumnType::Float => Comparable::Float,
        ColumnType::Numeric if matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
            Comparable::Decimal
        }
        ColumnType::Date => Comparable::Date,
        ColumnType::Timestamp => Comparable::Instant { utc: false, ruled: false },
        ColumnType::TimestampTz => Comparable::Instant { utc: true, ruled: false },
        ColumnType::Text { deterministic } => Comparable::Text { deterministic },
        ColumnType::Uuid => Comparable::Uuid,
        ColumnType::LikeText => Comparable::LikeText,
        ColumnType::Numeric | ColumnType::Other => Comparable::No,
    }
}

fn under_rules(shaped: &ShapedColumns, types: &ColumnTypes) -> BTreeMap<String, Comparable> {
    let ty = |name: &str| types.columns.iter().find(|(known, _)| known == name).map(|(_, ty)| *ty);
    let rest = shaped
        .rest
        .iter()
        .filter_map(|field| Some((field.name().clone(), plain(ty(field.name())?, field.data_type()))));
    let members = shaped.members.iter().filter_map(|member| {
        let Ty::Leaf(leaf) = &member.ty else { return None };
        Some((member.name.clone(), ruled(leaf.kind, ty(&member.name)?)))
    });
    rest.chain(members).collect()
}

/// A column that is read by a rule: compared where the rule changes nothing, or is known to keep the order.
fn ruled(kind: Kind, ty: ColumnType) -> Comparable {
    match (kind, ty) {
        (Kind::Text, ColumnType::Text { deterministic }) => Comparable::Text { deterministic },
        (Kind::Text, ColumnType::Uuid) => Comparable::Uuid,
        (Kind::Text, ColumnType::LikeText) => Comparable::LikeText,
        (Kind::Integer, ColumnType::Integer) => Comparable::Integer,
        (Kind::Float, ColumnType::Float) => Comparable::Float,
        (Kind::Float, ColumnType::Numeric) => Comparable::Rounded,
        (Kind::Decimal { .. }, ColumnType::Numeric) => Comparable::Fitted,
        (Kind::Boolean, ColumnType::Boolean) => Comparable::Boolean,
        (Kind::Date, ColumnType::Date) => Comparable::Date,
        (Kind::Timestamp, ColumnType::TimestampTz) => Comparable::Instant { utc: true, ruled: true },
        _ => Comparable::No,
    }
}

impl Table {
    fn of(&self, column: &str) -> Option<(Comparable, String)> {
        Some((*self.columns.get(column)?, quoted(column)))
    }

    /// A column as text in the order of its bytes.
    fn as_text(&self, comparable: Comparable, column: &str) -> Option<String> {
        match comparable {
            _ if !self.utf8 => None,
            Comparable::Text { .. } => Some(format!("{column} COLLATE \"C\"")),
            Comparable::Uuid | Comparable::LikeText => Some(format!("{column}::text COLLATE \"C\"")),
            _ => None,
        }
    }

    fn compare_text(
        &self,
        comparable: Comparable,
        column: &str,
        compare: Compare,
        value: &str,
    ) -> Option<String> {
        let ordered = self.as_text(comparable, column)?;
        let equality = matches!(compare, Compare::Equal | Compare::NotEqual);
        let sign = sign(compare);
        Some(match comparable {
            // As an index has it.
            Comparable::Text { deterministic: true } if equality => {
                format!("{column} {sign} {}", literal(value)?)
            }
            Comparable::Uuid if equality && is_uuid(value) => format!("{column} {sign} '{value}'::uuid"),
            _ => format!("{ordered} {sign} {}", literal(value)?),
        })
    }
}

impl Dialect for Table {
    type Filter = String;

    fn compare(&self, column: &str, compare: Compare, value: &ScalarValue) -> Option<Pushed<String>> {
        let (comparable, column) = self.of(column)?;
        let plainly = |value: String| format!("{column} {} {value}", sign(compare));
        Some(match comparable {
            Comparable::Boolean => match value {
                ScalarValue::Boolean(Some(value)) => Pushed::new(plainly(value.to_string()), Sure::Same),
                _ => return None,
            },
            Comparable::Integer => Pushed::new(plainly(format!("'{}'::int8", integer(value)?)), Sure::Same),
            Comparable::Float => float(&column, compare, number(value)?)?,
            Comparable::Decimal => Pushed::new(plainly(decimal(value)?), Sure::Same),
            Comparable::Fitted => Pushed::new(plainly(decimal(value)?), Sure::Over),
            Comparable::Rounded => Pushed::new(rounded(&column, compare, number(value)?)?, Sure::Over),
            Comparable::Date => {
                let ScalarValue::Date32(Some(days)) = value else { return None };
                let day = plainly(format!("'{}'::date", day(*days)?));
                let finite = format!("{day} AND isfinite({column})");
                Pushed::new(if compare == Compare::Equal { day } else { finite }, Sure::True)
            }
            Comparable::Instant { utc, ruled } => {
                let at = plainly(instant(value, utc)?);
                let ty = if utc { "timestamptz" } else { "timestamp" };
                // What is at or beyond these is null here.
                let held =
                    format!("{column} > '-infinity'::{ty} AND {column} < '294247-01-01 00:00:00Z'::{ty}");
                let at = if compare == Compare::Equal { at } else { format!("{at} AND {held}") };
                Pushed::new(at, if ruled { Sure::Over } else { Sure::True })
            }
            Comparable::Text { .. } | Comparable::Uuid | Comparable::LikeText => {
                Pushed::new(self.compare_text(comparable, &column, compare, text(value)?)?, Sure::Same)
            }
            Comparable::No => return None,
        })
    }

    fn one_of(&self, column: &str, values: &[&ScalarValue]) -> Option<Pushed<String>> {
        let equal: Vec<Pushed<String>> =
            values.iter().map(|value| self.compare(column, Compare::Equal, value)).collect::<Option<_>>()?;
        let sure = equal.iter().map(|pushed| pushed.sure).min()?;
        let terms: Vec<String> = equal.into_iter().map(|pushed| pushed.filter).collect();
        Some(Pushed::new(format!("({})", terms.join(" OR ")), sure))
    }

    fn like(&self, column: &str, like: &Like<'_>) -> Option<Pushed<String>> {
        let (comparable, column) = self.of(column)?;
        let text = self.as_text(comparable, &column)?;
        Some(Pushed::new(format!("{text} LIKE {}", literal(like.pattern)?), Sure::Same))
    }

    fn null(&self, column: &str, null: bool) -> Option<Pushed<String>> {
        let (comparable, column) = self.of(column)?;
        let same = match comparable {
            // Some values are null here only.
            Comparable::Rounded
            | Comparable::Fitted
            | Comparable::Date
            | Comparable::Instant { .. }
            | Comparable::No => false,
            _ => true,
        };
        match (null, same) {
            (true, true) => Some(Pushed::new(format!("{column} IS NULL"), Sure::Same)),
            (true, false) => None,
            (false, true) => Some(Pushed::new(format!("{column} IS NOT NULL"), Sure::Same)),
            (false, false) => Some(Pushed::new(format!("{column} IS NOT NULL"), Sure::Over)),
        }
    }

    fn truth(&self, column: &str) -> Option<Pushed<String>> {
        let (comparable, column) = self.of(column)?;
        (comparable == Comparable::Boolean).then(|| Pushed::new(column, Sure::Same))
    }

    fn and(&self, [one, other]: [String; 2]) -> String {
        format!("({one} AND {other})")
    }

    fn or(&self, [one, other]: [String; 2]) -> String {
        format!("({one} OR {other})")
    }

    fn not(&self, filter: String) -> String {
        format!("NOT ({filter})")
    }
}

fn sign(compare: Compare) -> &'static str {
    match compare {
        Compare::Equal => "=",
        Compare::NotEqual => "<>",
        Compare::Less => "<",
        Compare::LessOrEqual => "<=",
        Compare::Greater => ">",
        Compare::GreaterOrEqual => ">=",
    }
}

fn integer(value: &ScalarValue) -> Option<i64> {
    Some(match value {
        ScalarValue::Int16(Some(value)) => i64::from(*value),
        ScalarValue::Int32(Some(value)) => i64::from(*value),
        ScalarValue::Int64(Some(value)) => *value,
        _ => return None,
    })
}

/// A float that is a number.
fn number(value: &ScalarValue) -> Option<f64> {
    let value = match value {
        ScalarValue::Float32(Some(value)) => f64::from(*value),
        ScalarValue::Float64(Some(value)) => *value,
        _ => return None,
    };
    value.is_finite().then_some(value)
}

fn float(column: &str, compare: Compare, value: f64) -> Option<Pushed<String>> {
    // Its shortest text is read as the same float again.
    let (literal, zero) = (format!("'{value:?}'::float8"), value == 0.0);
    Some(match compare {
        Compare::Equal => {
            let sure = if zero { Sure::Over } else { Sure::Same };
            Pushed::new(format!("{column} = {literal}"), sure)
        }
        Compare::NotEqual if zero => return None,
        Compare::NotEqual => Pushed::new(format!("{column} <> {literal}"), Sure::Same),
        Compare::Greater | Compare::GreaterOrEqual => {
            let sign = if zero { ">=" } else { sign(compare) };
            Pushed::new(format!("{column} {sign} {literal}"), Sure::Over)
        }
        Compare::Less | Compare::LessOrEqual => {
            let sign = if zero { "<=" } else { sign(compare) };
            let sql = format!("({column} {sign} {literal} OR {column} = 'NaN'::float8)");
            Pushed::new(sql, Sure::Over)
        }
    })
}

/// Exact numbers whose nearest float is compared with a float.
fn rounded(column: &str, compare: Compare, value: f64) -> Option<String> {
    let (below, above) = (value.next_down(), value.next_up());
    if !(below.is_finite() && above.is_finite()) {
        return None;
    }
    let at_least = format!("{column} >= '{below:?}'::numeric");
    let at_most = format!("{column} <= '{above:?}'::numeric");
    Some(match compare {
        Compare::Equal => format!("({at_least} AND {at_most})"),
        Compare::NotEqual => return None,
        Compare::Greater | Compare::GreaterOrEqual => at_least,
        Compare::Less | Compare::LessOrEqual => at_most,
    })
}

fn decimal(value: &ScalarValue) -> Option<String> {
    let digits = match value {
        ScalarValue::Decimal128(Some(value), precision, scale) => {
            Decimal128Type::format_decimal(*value, *precision, *scale)
        }
        ScalarValue::Decimal256(Some(value), precision, scale) => {
            Decimal256Type::format_decimal(*value, *precision, *scale)
        }
        _ => return None,
    };
    Some(format!("'{digits}'::numeric"))
}

/// A day after the year 0, which is written in one way only.
fn day(days: i32) -> Option<Date> {
    crate::instant::civil_day(days).filter(|day| day.year() > 0)
}

fn instant(value: &ScalarValue, utc: bool) -> Option<String> {
    let ScalarValue::TimestampMicrosecond(Some(micros), zone) = value else { return None };
    if zone.is_some() != utc {
        return None;
    }
    let at = Timestamp::from_microsecond(*micros).ok()?;
    let civil = at.to_zoned(TimeZone::UTC).datetime();
    if civil.year() <= 0 {
        return None;
    }
    Some(if utc { format!("'{at:.6}'::timestamptz") } else { format!("'{civil:.6}'::timestamp") })
}

/// A text as a value of SQL, whatever is in it; none where the server can hold no such text.
fn literal(text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_.,:/@%".contains(c);
    if text.chars().all(plain) {
        return Some(format!("'{text}'::text"));
    }
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("convert_from(decode('{hex}', 'hex'), 'UTF8')"))
}

/// Whether it is a UUID as it is read.
fn is_uuid(text: &str) -> bool {
    let hyphen = |place| matches!(place, 8 | 13 | 18 | 23);
    let fits = |(place, c): (usize, u8)| match c {
        b'-' => hyphen(place),
        c => !hyphen(place) && (c.is_ascii_digit() || (b'a'..=b'f').contains(&c)),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{Expr, col, lit};

    use super::{super::filters::push, *};

    fn table() -> Table {
        let columns = [
            ("n", Comparable::Integer),
            ("x", Comparable::Float),
            ("kwh", Comparable::Rounded),
            ("day", Comparable::Date),
            ("name", Comparable::Text { deterministic: true }),
            ("odd", Comparable::Text { deterministic: false }),
            ("id", Comparable::Uuid),
            ("paid", Comparable::Boolean),
            ("tags", Comparable::No),
        ];
        let columns = columns.into_iter().map(|(name, how)| (name.to_owned(), how)).collect();
        Table { columns, utf8: true }
    }

    fn sql(filter: &Expr) -> Option<(String, Sure)> {
        push(&table(), filter).map(|pushed| (pushed.filter, pushed.sure))
    }

    fn is(filter: &Expr, expected: &str, sure: Sure) {
        assert_eq!(sql(filter), Some((expected.to_owned(), sure)));
    }

    #[test]
    fn what_is_the_same_there_is_exact() {
        is(&col("n").gt(lit(5i64)), "\"n\" > '5'::int8", Sure::Same);
        is(&lit(5i32).lt_eq(col("n")), "\"n\" >= '5'::int8", Sure::Same);
        is(&!col("n").eq(lit(5i64)), "NOT (\"n\" = '5'::int8)", Sure::Same);
        is(&col("name").eq(lit("acme-fr")), "\"name\" = 'acme-fr'::text", Sure::Same);
        is(&col("name").lt(lit("b")), "\"name\" COLLATE \"C\" < 'b'::text", Sure::Same);
        is(&col("odd").eq(lit("b")), "\"odd\" COLLATE \"C\" = 'b'::text", Sure::Same);
        is(&col("paid"), "\"paid\"", Sure::Same);
        is(&col("name").like(lit("ac%")), "\"name\" COLLATE \"C\" LIKE 'ac%'::text", Sure::Same);
        let one_of = col("n").in_list(vec![lit(1i64), lit(2i64)], false);
        is(&one_of, "(\"n\" = '1'::int8 OR \"n\" = '2'::int8)", Sure::Same);
        let day = ScalarValue::Date32(Some(20_148));
        is(&col("day").gt_eq(lit(day)), "\"day\" >= '2025-03-01'::date AND isfinite(\"day\")", Sure::True);
    }

    #[test]
    fn what_may_be_more_there_is_asked_again_here() {
        is(&col("x").lt(lit(1.5)), "(\"x\" < '1.5'::float8 OR \"x\" = 'NaN'::float8)", Sure::Over);
        is(&col("x").gt(lit(0.0)), "\"x\" >= '0.0'::float8", Sure::Over);
        let (sql, sure) = sql(&col("kwh").gt(lit(1.0))).unwrap();
        assert_eq!((sql.as_str(), sure), ("\"kwh\" >= '0.9999999999999999'::numeric", Sure::Over));
        let part = col("n").gt(lit(5i64)).and(col("tags").eq(lit("a")));
        is(&part, "\"n\" > '5'::int8", Sure::Over);
    }

    #[test]
    fn what_cannot_be_said_there_stays_here() {
        for filter in [
            col("tags").eq(lit("a")),
            col("x").not_eq(lit(0.0)),
            col("x").eq(lit(f64::NAN)),
            col("name").eq(lit("a\0b")),
            col("name").like(lit("a_c")),
            col("day").is_null(),
            !col("x").lt(lit(1.0)),
            col("n").gt(lit(5i64)).or(col("tags").eq(lit("a"))),
            col("nowhere").eq(lit(1i64)),
        ] {
            assert_eq!(sql(&filter), None, "{filter}");
        }
    }

    #[test]
    fn a_text_leads_nowhere_else() {
        assert_eq!(literal("a'b\\").unwrap(), "convert_from(decode('6127625c', 'hex'), 'UTF8')");
        assert_eq!(literal("Zürich").unwrap(), "convert_from(decode('5ac3bc72696368', 'hex'), 'UTF8')");
        assert!(is_uuid("0e37df36-f698-11e6-8dd4-cb9ced3df976"));
        assert!(!is_uuid("0E37df36-f698-11e6-8dd4-cb9ced3df976") && !is_uuid("0e37df36"));
    }
}
