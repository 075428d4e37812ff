//! What the catalogue says of the columns of a relation beyond their Arrow types.

use tokio_postgres::types::{Oid, Type};

use super::{PostgresSource, TableName};
use crate::SourceError;

/// The types of the columns of a relation.
#[derive(Debug, Clone)]
pub(crate) struct ColumnTypes {
    /// Whether texts are stored in UTF-8, so that their bytes are in the order of their characters.
    pub(crate) utf8: bool,
    /// By name, in the order of the table.
    pub(crate) columns: Vec<(String, ColumnType)>,
}

/// The type of a column, of a domain the one beneath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Boolean,
    Integer,
    Float,
    Numeric,
    Date,
    Timestamp,
    TimestampTz,
    /// `text` and `varchar`; texts that are not the same are equal under some collations.
    Text {
        deterministic: bool,
    },
    Uuid,
    /// Enums and `name`: texts once they are cast.
    LikeText,
    Other,
}

/// PostgreSQL 12 has collations under which different texts are equal.
const COLLATIONS: u32 = 120_000;

impl PostgresSource {
    /// The types of the columns of a relation; none where there is none of that name.
    pub(crate) async fn column_types(&self, name: &TableName) -> Result<ColumnTypes, SourceError> {
        let mut lease = self.sessions.lease().await?;
        let deterministic =
            if self.version >= COLLATIONS { "coalesce(c.collisdeterministic, true)" } else { "true" };
        let sql = format!(
            "WITH RECURSIVE base (place, name, ty, coll) AS ( \
               SELECT a.attnum, a.attname::text, a.atttypid, a.attcollation FROM pg_catalog.pg_attribute a \
               WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
               UNION ALL \
               SELECT b.place, b.name, t.typbasetype, b.coll FROM base b \
               JOIN pg_catalog.pg_type t ON t.oid = b.ty WHERE t.typtype = 'd') \
             SELECT b.name, t.oid, t.typtype = 'e', {deterministic}, \
               pg_catalog.current_setting('server_encoding') = 'UTF8' \
             FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.ty \
             LEFT JOIN pg_catalog.pg_collation c ON c.oid = b.coll \
             WHERE t.typtype <> 'd' ORDER BY b.place"
        );
        let rows = lease.client()?.query(&sql, &[&name.to_string()]).await.map_err(|e| lease.error(&e))?;
        let read = || -> Result<ColumnTypes, tokio_postgres::Error> {
            let mut types = ColumnTypes { utf8: true, columns: Vec::with_capacity(rows.len()) };
            for row in &rows {
                types.utf8 = types.utf8 && row.try_get(4)?;
                let column = column(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
                types.columns.push((row.try_get(0)?, column));
            }
            Ok(types)
        };
        let types = read().map_err(|e| lease.error(&e))?;
        lease.release();
        Ok(types)
    }
}

fn column(oid: Oid, is_enum: bool, deterministic: bool) -> ColumnType {
    if is_enum {
        return ColumnType::LikeText;
    }
    match Type::from_oid(oid) {
        Some(Type::BOOL) => ColumnType::Boolean,
        Some(Type::INT2 | Type::INT4 | Type::INT8) => ColumnType::Integer,
        Some(Type::FLOAT4 | Type::FLOAT8) => ColumnType::Float,
        Some(Type::NUMERIC) => ColumnType::Numeric,
        Some(Type::DATE) => ColumnType::Date,
        Some(Type::TIMESTAMP) => ColumnType::Timestamp,
        Some(Type::TIMESTAMPTZ) => ColumnType::TimestampTz,
        Some(Type::TEXT | Type::VARCHAR) => ColumnType::Text { deterministic },
        Some(Type::UUID) => ColumnType::Uuid,
        Some(Type::NAME) => ColumnType::LikeText,
        _ => ColumnType::Other,
    }
}
