//! Tables: their names, their columns, and what is read of them.

use std::fmt;

use arrow::datatypes::SchemaRef;
use tokio_postgres::types::Oid;

use super::{
    Param, PostgresSource, ReadOptions, Snapshot,
    error::{Fault, PostgresError},
    plan, prepare,
    session::Lease,
};
use crate::{PaceOptions, SourceError};

/// The name of a table, a view or another relation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// None: the first schema of the search path that has it.
    pub schema: Option<String>,
    /// Without quotes, in the case in which it is stored.
    pub name: String,
}

impl TableName {
    /// Takes apart `table` or `schema.table`. Case is kept, as if quoted; a dot in a name needs quotes
    /// (`"a.b"."c"`).
    ///
    /// # Errors
    ///
    /// [`SourceError::Config`] for anything else.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let bad =
            || SourceError::Config(format!("{text:?} is not the name of a table (table or schema.table)"));
        let mut parts = vec![String::new()];
        let (mut quoted, mut chars) = (false, text.chars().peekable());
        while let Some(c) = chars.next() {
            let last = parts.len() - 1;
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    parts[last].push('"');
                }
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                '\0' => return Err(bad()),
                c => parts[last].push(c),
            }
        }
        if quoted || parts.iter().any(String::is_empty) {
            return Err(bad());
        }
        match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(name), schema, None) => Ok(Self { schema, name }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for TableName {
    /// Quoted, as it stands in SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quoted(schema))?;
        }
        f.write_str(&quoted(&self.name))
    }
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What kind of relation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// A table with rows of its own; also a materialised view.
    Table,
    /// A table whose rows stand in its partitions.
    Partitioned,
    /// A view.
    View,
    /// A table of another server.
    Foreign,
}

/// What the catalogue says of a relation.
#[derive(Debug, Clone)]
pub struct TableInfo {
    /// The columns as Arrow types.
    pub schema: SchemaRef,
    /// What kind it is.
    pub kind: RelationKind,
    /// The columns of the primary key, in its order; none where there is no key.
    pub primary_key: Vec<String>,
    /// About how many rows, where the server has counted.
    pub estimated_rows: Option<u64>,
    /// How much room its rows take, without those of partitions.
    pub bytes: u64,
}

/// What is read of a table.
#[derive(Debug, Clone)]
pub struct TableRead {
    /// The relation.
    pub table: TableName,
    /// The columns, in order; none: all.
    pub columns: Option<Vec<String>>,
    /// Rows that do not meet all of these are left out by the server.
    pub conditions: Vec<Condition>,
    /// Further conditions.
    pub predicates: Vec<Predicate>,
    /// At most so many rows, whichever.
    pub limit: Option<u64>,
    /// On how many connections at once, as far as the source allows.
    pub parallel: usize,
    /// How large the chunks are.
    pub pace: PaceOptions,
    /// Whether what is not read in chunks of pages comes in steps of a cursor, each as long as the pace asks, rather
    /// than by one query, which is faster and takes as long as it takes.
    pub in_steps: bool,
}

impl TableRead {
    /// All of a table, on one connection.
    pub fn all(table: TableName) -> Self {
        Self {
            table,
            columns: None,
            conditions: Vec::new(),
            predicates: Vec::new(),
            limit: None,
            parallel: 1,
            pace: PaceOptions::default(),
            in_steps: false,
        }
    }
}

/// A condition as SQL in which nothing is bound. It comes from a filter of the query engine, and from nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Predicate(pub(crate) String);

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds values.
        f.write_str("predicate")
    }
}

/// A condition on one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The column.
    pub column: String,
    /// What holds of it.
    pub test: Test,
}

/// What holds of a column. Text is compared as the collation of the column says: for ranges of text, the order here
/// may not be that of the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// `=`
    Equal(Param),
    /// `<`
    Less(Param),
    /// `<=`
    LessOrEqual(Param),
    /// `>`
    Greater(Param),
    /// `>=`
    GreaterOrEqual(Param),
    /// `>=`, or null
    NullOrGreaterOrEqual(Param),
    /// `IN (…)`; of no value: no row.
    OneOf(Vec<Param>),
    /// `IS NULL`
    Null,
    /// `IS NOT NULL`
    NotNull,
}

impl TableRead {
    /// The query, with `$n` for what it binds. `relation` stands for the table, `range` for a further condition.
    pub(super) fn sql(&self, relation: &str, range: Option<&str>) -> (String, Vec<Param>) {
        let columns = match &self.columns {
            Some(columns) => columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", "),
            None => "*".to_owned(),
        };
        let mut bound = Vec::new();
        let mut conditions: Vec<String> = self.conditions.iter().map(|c| c.sql(&mut bound)).collect();
        conditions.extend(self.predicates.iter().map(|predicate| format!("({})", predicate.0)));
        conditions.extend(range.map(str::to_owned));
        let mut sql = format!("SELECT {columns} FROM {relation}");
        if !conditions.is_empty() {
            sql.push_str(&format!(" WHERE {}", conditions.join(" AND ")));
        }
        if let Some(limit) = self.limit {
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        (sql, bound)
    }
}

impl Condition {
    fn sql(&self, bound: &mut Vec<Param>) -> String {
        let column = quoted(&self.column);
        let mut compared =
            |operator: &str, value: &Param| format!("{column} {operator} {}", term(value, bound));
        match &self.test {
            Test::Equal(value) => compared("=", value),
            Test::Less(value) => compared("<", value),
            Test::LessOrEqual(value) => compared("<=", value),
            Test::Greater(value) => compared(">", value),
            Test::GreaterOrEqual(value) => compared(">=", value),
            Test::NullOrGreaterOrEqual(value) => {
                format!("({} OR {column} IS NULL)", compared(">=", value))
            }
            Test::OneOf(values) if values.is_empty() => "false".to_owned(),
            Test::OneOf(values) => {
                let terms: Vec<String> = values.iter().map(|v| term(v, bound)).collect();
                format!("{column} IN ({})", terms.join(", "))
            }
            Test::Null => format!("{column} IS NULL"),
            Test::NotNull => format!("{column} IS NOT NULL"),
        }
    }
}

/// Numbers, days and instants are written out, in a form that only they can have, so that `COPY`, which binds
/// nothing, can be used. Everything else is bound.
fn term(value: &Param, bound: &mut Vec<Param>) -> String {
    match value {
        Param::Integer(v) => format!("'{v}'::int8"),
        Param::Boolean(v) => v.to_string(),
        Param::Date(v) if v.year() > 0 => format!("'{v}'::date"),
        Param::Timestamp(v) if v.as_second() > FIRST_SECOND => format!("'{v:.6}'::timestamptz"),
        other => {
            bound.push(other.clone());
            format!("${}", bound.len())
        }
    }
}

/// The start of the year 1: years before it are written in another way in SQL.
const FIRST_SECOND: i64 = -62_135_596_800;

/// What the reader of a table needs to know of it.
pub(super) struct Relation {
    pub(super) oid: Oid,
    pub(super) kind: RelationKind,
    pub(super) estimated_rows: Option<u64>,
    pub(super) bytes: u64,
    /// Whether tables inherit from it, or rows are hidden by a policy: its pages are not all there is to it.
    pub(super) plain: bool,
}

impl PostgresSource {
    /// What the catalogue says of a relation.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`]; its fault is `Unknown` where there is none of that name.
    pub async fn table(&self, name: &TableName, options: &ReadOptions) -> Result<TableInfo, SourceError> {
        let mut lease = self.sessions.lease().await?;
        let relation = relation(&mut lease, name).await?;
        let statement = prepare(&mut lease, &format!("SELECT * FROM {name}"), &[]).await?;
        let schema = plan(&lease, &statement, options)?.schema;
        drop(statement);
        let keys = lease
            .client()?
            .query(
                "SELECT a.attname::text FROM pg_catalog.pg_index i \
                 CROSS JOIN unnest(i.indkey) WITH ORDINALITY k(number, place) \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
                 WHERE i.indrelid = $1 AND i.indisprimary ORDER BY k.place",
                &[&relation.oid],
            )
            .await
            .map_err(|e| lease.error(&e))?;
        let primary_key = keys.iter().filter_map(|row| row.try_get(0).ok()).collect();
        lease.release();
        Ok(TableInfo {
            schema,
            kind: relation.kind,
            primary_key,
            estimated_rows: relation.estimated_rows,
            bytes: relation.bytes,
        })
    }

    /// Reads a table. A large one that is read whole comes in chunks of its pages, each a short query, on up to
    /// [`TableRead::parallel`] connections that see one snapshot (one is made where none is given); rows come in
    /// no order. Otherwise it is one query.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`], also in the stream.
    pub async fn read_table(
        &self,
        snapshot: Option<&Snapshot>,
        read: &TableRead,
        options: &ReadOptions,
    ) -> Result<super::TableStream, SourceError> {
        super::chunks::read(self, snapshot, read, options).await
    }
}

pub(super) async fn relation(lease: &mut Lease, name: &TableName) -> Result<Relation, SourceError> {
    let found = lease
        .client()?
        .query_opt(
            "SELECT c.oid, c.relkind::text, c.reltuples::float8, \
             NOT c.relhassubclass AND NOT c.relrowsecurity, \
             CASE WHEN c.relkind IN ('r', 'm', 't') THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END \
             FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)",
            &[&name.to_string()],
        )
        .await
        .map_err(|e| lease.error(&e))?;
    let unknown = || PostgresError::new(lease.label(), Fault::Unknown, format!("there is no table {name}"));
    let row = found.ok_or_else(unknown)?;
    let read = || -> Result<Relation, tokio_postgres::Error> {
        let kind: String = row.try_get(1)?;
        let rows: f64 = row.try_get(2)?;
        let bytes: i64 = row.try_get(4)?;
        Ok(Relation {
            oid: row.try_get(0)?,
            kind: match kind.as_str() {
                "p" => RelationKind::Partitioned,
                "v" => RelationKind::View,
                "f" => RelationKind::Foreign,
                _ => RelationKind::Table,
            },
            // -1 where nobody has counted; before PostgreSQL 14 that was 0.
            estimated_rows: (rows > 0.0).then_some(rows as u64),
            bytes: bytes.unsigned_abs(),
            plain: row.try_get(3)?,
        })
    };
    read().map_err(|e| lease.error(&e))
}

/// Whether an index begins with one of the columns, and holds all rows.
pub(super) async fn indexed(lease: &mut Lease, table: Oid, columns: &[&str]) -> Result<bool, SourceError> {
    lease
        .client()?
        .query_one(
            "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
              ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
              WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND a.attname::text = ANY($2))",
            &[&table, &columns],
        )
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|e| lease.error(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_and_quoted() {
        for (text, sql) in [
            ("usage", "\"usage\""),
            ("core.usage", "\"core\".\"usage\""),
            ("\"a.b\".\"c\"\"d\"", "\"a.b\".\"c\"\"d\""),
            ("x; drop table y", "\"x; drop table y\""),
        ] {
            assert_eq!(TableName::parse(text).unwrap().to_string(), sql);
        }
        for bad in ["", ".", "a.", "a.b.c", "\"a", "a\0"] {
            assert!(TableName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_and_instants_are_written_and_text_is_bound() {
        let condition = |column: &str, test| Condition { column: column.to_owned(), test };
        let mut read = TableRead::all(TableName::parse("t").unwrap());
        read.columns = Some(vec!["a".to_owned(), "b\"".to_owned()]);
        read.conditions = vec![
            condition(
                "at",
                Test::GreaterOrEqual(Param::Timestamp("2025-01-01T00:00:00.5Z".parse().unwrap())),
            ),
            condition("day", Test::Less(Param::Date("2025-02-01".parse().unwrap()))),
            condition("n", Test::OneOf(vec![Param::Integer(-1), Param::Integer(2)])),
            condition("customer", Test::Equal(Param::Text("' or true --".to_owned()))),
            condition("gone", Test::Null),
            condition("seen", Test::NullOrGreaterOrEqual(Param::Integer(3))),
        ];
        read.limit = Some(5);
        let (sql, bound) = read.sql("\"t\"", None);
        assert_eq!(
            sql,
            "SELECT \"a\", \"b\"\"\" FROM \"t\" WHERE \"at\" >= '2025-01-01T00:00:00.500000Z'::timestamptz \
             AND \"day\" < '2025-02-01'::date AND \"n\" IN ('-1'::int8, '2'::int8) AND \"customer\" = $1 \
             AND \"gone\" IS NULL AND (\"seen\" >= '3'::int8 OR \"seen\" IS NULL) LIMIT 5"
        );
        assert_eq!(bound, vec![Param::Text("' or true --".to_owned())]);
    }
}
