//! What a PostgreSQL server tells of itself and of the rights that its user has.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Lag, PostgresSource, TableName, table::relation};
use crate::SourceError;

/// What a server says of itself and of the user.
#[derive(Debug, Clone, PartialEq)]
pub struct PostgresProbe {
    /// For example `17.2 (Debian 17.2-1)`.
    pub version: String,
    /// How long a question took.
    pub answered_in: Duration,
    /// How far its clock is ahead of ours, in milliseconds; behind where negative.
    pub clock_ahead: i64,
    /// Whether it is a standby that follows a primary.
    pub standby: bool,
    /// How far a standby is behind its primary, where it tells.
    pub lag: Option<Lag>,
    /// Whether a standby tells its primary which rows its readers still need; none of a primary.
    pub feedback: Option<bool>,
    /// Bytes of the database.
    pub database_bytes: Option<u64>,
    /// Whether this connection is encrypted; none where the server does not tell.
    pub encrypted: Option<bool>,
    /// The name of the user.
    pub user: String,
    /// What the user may do on the whole server beyond reading: `superuser`, `createdb`, …
    pub powers: Vec<String>,
    /// Whether the user may make schemas in the database.
    pub may_create: bool,
}

/// What a server says of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProbe {
    /// Whether the user may read it.
    pub readable: bool,
    /// Whether a policy hides rows from the user.
    pub hides_rows: bool,
    /// What the user may do to it beside reading: `INSERT`, `DELETE`, …
    pub writes: Vec<String>,
    /// Whether it has the column that was asked for; false where none was.
    pub has_column: bool,
    /// Whether an index begins with that column.
    pub indexed: bool,
    /// About how many rows, where the server has counted.
    pub rows: Option<u64>,
}

impl PostgresSource {
    /// Asks the server about itself and the user.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`].
    pub async fn probe(&self) -> Result<PostgresProbe, SourceError> {
        let mut lease = self.sessions.lease().await?;
        let (asked, before) = (Instant::now(), Timestamp::now());
        let clock = lease.row("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8").await?;
        let answered_in = asked.elapsed();
        let row = lease
            .row(
                "SELECT current_setting('server_version'), pg_catalog.pg_is_in_recovery(), \
                 (SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()), \
                 current_user, \
                 (SELECT concat_ws(',', CASE WHEN rolsuper THEN 'superuser' END, \
                    CASE WHEN rolcreaterole THEN 'createrole' END, CASE WHEN rolcreatedb THEN 'createdb' END, \
                    CASE WHEN rolreplication THEN 'replication' END, CASE WHEN rolbypassrls THEN 'bypassrls' END) \
                  FROM pg_catalog.pg_roles WHERE rolname = current_user), \
                 has_database_privilege(current_database(), 'CREATE'), \
                 CASE WHEN pg_catalog.pg_is_in_recovery() THEN current_setting('hot_standby_feedback') = 'on' END, \
                 CASE WHEN has_database_privilege(current_database(), 'CONNECT') \
                   THEN pg_catalog.pg_database_size(current_database()) END",
            )
            .await?;
        lease.release();
        let text = |n: usize| row.get(n).cloned().flatten();
        let yes = |n: usize| text(n).map(|value| value == "t");
        let server = clock.into_iter().flatten().next().and_then(|ms| ms.parse::<i64>().ok());
        let half = i64::try_from(answered_in.as_millis() / 2).unwrap_or(0);
        Ok(PostgresProbe {
            version: text(0).unwrap_or_default(),
            answered_in,
            clock_ahead: server.map_or(0, |server| server - before.as_millisecond() - half),
            standby: yes(1).unwrap_or(false),
            lag: self.lag().await?,
            feedback: yes(6),
            database_bytes: text(7).and_then(|bytes| bytes.parse().ok()),
            encrypted: yes(2),
            user: text(3).unwrap_or_default(),
            powers: words(&text(4).unwrap_or_default()),
            may_create: yes(5).unwrap_or(false),
        })
    }

    /// Asks the server about a table, the rights to it, and an index that begins with a column.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`]; its fault is `Unknown` where there is none of that name.
    pub async fn probe_table(
        &self,
        name: &TableName,
        column: Option<&str>,
    ) -> Result<TableProbe, SourceError> {
        let mut lease = self.sessions.lease().await?;
        let relation = relation(&mut lease, name).await?;
        let row = lease
            .client()?
            .query_one(
                "SELECT has_table_privilege($1::oid, 'SELECT') AND has_schema_privilege(c.relnamespace, 'USAGE'), \
                 (SELECT coalesce(string_agg(p, ',' ORDER BY p), '') \
                  FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) p \
                  WHERE has_table_privilege($1::oid, p)), \
                 EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname::text = $2 \
                  AND a.attnum > 0 AND NOT a.attisdropped), \
                 EXISTS (SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
                  ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
                  WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND a.attname::text = $2), \
                 c.relrowsecurity AND pg_catalog.row_security_active($1::oid) \
                 FROM pg_catalog.pg_class c WHERE c.oid = $1",
                &[&relation.oid, &column.unwrap_or_default()],
            )
            .await
            .map_err(|e| lease.error(&e))?;
        let read = || -> Result<TableProbe, tokio_postgres::Error> {
            Ok(TableProbe {
                readable: row.try_get(0)?,
                hides_rows: row.try_get(4)?,
                writes: words(row.try_get(1)?),
                has_column: row.try_get(2)?,
                indexed: row.try_get(3)?,
                rows: relation.estimated_rows,
            })
        };
        let probe = read().map_err(|e| lease.error(&e))?;
        lease.release();
        Ok(probe)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
