//! Values that are bound to `$1`, `$2`, … of a query, never written into its text.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use dualrun_core::parameter::ParameterValue;
use jiff::{Timestamp, civil::Date};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// A value for a parameter of a query.
#[derive(Clone, PartialEq)]
pub enum Param {
    /// SQL null, of the type that the query asks for.
    Null,
    /// Text that stands for a value of whatever type the query asks for, as a quoted literal does: a text, a member
    /// of an enum, a UUID, a number.
    Text(String),
    /// `int8`.
    Integer(i64),
    /// `float8`.
    Float(f64),
    /// `bool`.
    Boolean(bool),
    /// `date`.
    Date(Date),
    /// `timestamptz`, to the microsecond.
    Timestamp(Timestamp),
}

impl std::fmt::Debug for Param {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A value may be that of a row (the end of a chunk), which must not reach a log.
        f.write_str(self.ty().name())
    }
}

impl From<ParameterValue> for Param {
    fn from(value: ParameterValue) -> Self {
        match value {
            ParameterValue::Text(v) => Self::Text(v),
            ParameterValue::Integer(v) => Self::Integer(v),
            ParameterValue::Float(v) => Self::Float(v),
            ParameterValue::Boolean(v) => Self::Boolean(v),
            ParameterValue::Date(v) => Self::Date(v),
            ParameterValue::Timestamp(v) => Self::Timestamp(v),
        }
    }
}

impl Param {
    /// The type that the parameter is declared with; `unknown` leaves it to the query.
    pub(super) fn ty(&self) -> Type {
        match self {
            Self::Null | Self::Text(_) => Type::UNKNOWN,
            Self::Integer(_) => Type::INT8,
            Self::Float(_) => Type::FLOAT8,
            Self::Boolean(_) => Type::BOOL,
            Self::Date(_) => Type::DATE,
            Self::Timestamp(_) => Type::TIMESTAMPTZ,
        }
    }
}

impl ToSql for Param {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Text(value) => out.put_slice(value.as_bytes()),
            Self::Integer(value) => out.put_i64(*value),
            Self::Float(value) => out.put_f64(*value),
            Self::Boolean(value) => out.put_u8(u8::from(*value)),
            // Every date and instant of jiff (years -9999 to 9999) fits.
            Self::Date(value) => {
                let days = value.since(jiff::civil::date(2000, 1, 1))?.get_days();
                out.put_i32(days);
            }
            Self::Timestamp(value) => {
                out.put_i64(value.as_microsecond() - EPOCH_MICROS);
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        // The statement was prepared with the types of the parameters.
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self {
            Self::Text(_) => Format::Text,
            _ => Format::Binary,
        }
    }

    to_sql_checked!();
}

/// 2000-01-01T00:00:00Z in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(param: &Param) -> Vec<u8> {
        let mut out = BytesMut::new();
        param.to_sql(&param.ty(), &mut out).unwrap();
        out.to_vec()
    }

    #[test]
    fn instants_and_days_count_from_the_year_2000() {
        let instant: Timestamp = "2000-01-01T00:00:01.5Z".parse().unwrap();
        assert_eq!(encoded(&Param::Timestamp(instant)), 1_500_000i64.to_be_bytes());
        assert_eq!(encoded(&Param::Date("1999-12-30".parse().unwrap())), (-2i32).to_be_bytes());
        assert_eq!(encoded(&Param::Date("2024-03-01".parse().unwrap())), 8826i32.to_be_bytes());
    }

    #[test]
    fn a_value_does_not_show_when_it_is_debugged() {
        assert_eq!(format!("{:?}", Param::Text("secret".to_owned())), "unknown");
    }
}
