//! What a reading would cost, as the server plans it: nothing is run.

use dualrun_core::plan::{Certainty, ReadLoad, Way as Read};
use futures::StreamExt;
use serde_json::Value;

use super::{
    Param, PostgresSource, TableRead, chunks,
    error::{Fault, PostgresError},
    prepare,
    session::Lease,
    stream::Raw,
    trimmed,
};
use crate::{PaceOptions, SourceError};

/// What the planner says of a query.
#[derive(Debug, Clone, Default, PartialEq)]
struct Planned {
    rows: u64,
    width: u64,
    access: Vec<String>,
    full_scan: bool,
}

impl PostgresSource {
    /// What reading a table would cost.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`]; its fault is `Unknown` where there is none of that name.
    pub async fn estimate_table(&self, read: &TableRead) -> Result<ReadLoad, SourceError> {
        let mut lease = self.sessions.lease().await?;
        let (relation, way) = chunks::way(self, &mut lease, read).await?;
        let (sql, bound) = read.sql(&read.table.to_string(), None);
        let planned = explain(&mut lease, &sql, &bound).await?;
        lease.release();
        // The planner takes a table that nobody has counted for one of ten pages.
        let counted = relation.estimated_rows.is_some() || relation.bytes == 0;
        let rows = if counted { planned.rows } else { relation.bytes / planned.width.max(24) };
        let most = u16::try_from(self.options.max_connections).unwrap_or(u16::MAX);
        let pages = way == chunks::Way::Pages;
        let way = match pages {
            true => Read::Pages,
            false if read.in_steps => Read::Cursor,
            false => Read::OneQuery,
        };
        let readers = if pages { u16::try_from(read.parallel).unwrap_or(u16::MAX) } else { 1 };
        let pace = read.pace.shared_by(usize::from(readers));
        let each = rows / u64::from(readers.max(1));
        let name = &read.table.name;
        Ok(ReadLoad {
            rows: Some(rows),
            rows_are: Certainty::Estimated,
            bytes: Some(rows.saturating_mul(planned.width)),
            way: Some(way),
            queries: Some(queries(way, &pace, each) * u64::from(readers.max(1))),
            // One holds the snapshot.
            connections: readers.saturating_add(1).min(most),
            seconds: None,
            access: if pages { vec![format!("full scan of {name}")] } else { planned.access },
            full_scan: Some(pages || planned.full_scan),
            note: (!counted)
                .then(|| format!("{name} was never analyzed: its rows are guessed from its size")),
        })
    }

    /// What a query would cost.
    ///
    /// # Errors
    ///
    /// [`SourceError::Postgres`].
    pub async fn estimate_query(
        &self,
        sql: &str,
        params: &[Param],
        pace: Option<&PaceOptions>,
    ) -> Result<ReadLoad, SourceError> {
        let mut lease = self.sessions.lease().await?;
        let planned = explain(&mut lease, trimmed(sql), params).await?;
        lease.release();
        let way = if pace.is_some() { Read::Cursor } else { Read::OneQuery };
        Ok(ReadLoad {
            rows: Some(planned.rows),
            rows_are: Certainty::Estimated,
            bytes: Some(planned.rows.saturating_mul(planned.width)),
            way: Some(way),
            queries: Some(pace.map_or(1, |pace| queries(way, pace, planned.rows))),
            connections: 1,
            seconds: None,
            access: planned.access,
            full_scan: Some(planned.full_scan),
            note: None,
        })
    }

    /// About how many rows a read of a table gives.
    pub(crate) async fn about(&self, read: &TableRead) -> Result<u64, SourceError> {
        let mut lease = self.sessions.lease().await?;
        let (sql, bound) = read.sql(&read.table.to_string(), None);
        let planned = explain(&mut lease, &sql, &bound).await?;
        lease.release();
        Ok(planned.rows)
    }
}

fn queries(way: Read, pace: &PaceOptions, rows: u64) -> u64 {
    if way == Read::OneQuery { 1 } else { pace.queries(rows) }
}

async fn explain(lease: &mut Lease, sql: &str, params: &[Param]) -> Result<Planned, SourceError> {
    let statement = prepare(lease, &format!("EXPLAIN (FORMAT JSON) {sql}"), params).await?;
    let rows = lease.client()?.query_raw(&statement, params).await.map_err(|e| lease.error(&e))?;
    let mut rows = Box::pin(rows);
    let mut answer = None;
    while let Some(row) = rows.next().await {
        let row = row.map_err(|e| lease.error(&e))?;
        answer =
            row.try_get::<_, Raw<'_>>(0).ok().and_then(|raw| serde_json::from_slice::<Value>(raw.0).ok());
    }
    let plan = answer.as_ref().and_then(|answer| answer.get(0)).and_then(|first| first.get("Plan"));
    let Some(plan) = plan else {
        return Err(
            PostgresError::new(lease.label(), Fault::Protocol, "the plan of a query cannot be read").into()
        );
    };
    Ok(planned(plan))
}

fn planned(plan: &Value) -> Planned {
    let number = |name: &str| plan.get(name).and_then(Value::as_f64).unwrap_or(0.0).max(0.0) as u64;
    let mut found = Planned { rows: number("Plan Rows"), width: number("Plan Width"), ..Planned::default() };
    look(plan, &mut found);
    found
}

/// Goes through the nodes of a plan for what they look at.
fn look(node: &Value, found: &mut Planned) {
    let text = |name: &str| node.get(name).and_then(Value::as_str);
    let kind = text("Node Type").unwrap_or_default();
    let relation = text("Relation Name").unwrap_or("a table");
    let access = match kind {
        "Seq Scan" | "Sample Scan" | "Tid Range Scan" => {
            found.full_scan = true;
            Some(format!("full scan of {relation}"))
        }
        "Foreign Scan" => Some(format!("foreign table {relation}")),
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => {
            text("Index Name").map(|index| format!("index {index}"))
        }
        _ => None,
    };
    found.access.extend(access.filter(|access| !found.access.contains(access)));
    for child in node.get("Plans").and_then(Value::as_array).into_iter().flatten() {
        look(child, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_tells_rows_indexes_and_full_scans() {
        let plan = json!({
            "Node Type": "Hash Join", "Plan Rows": 120, "Plan Width": 24, "Plans": [
                {"Node Type": "Bitmap Heap Scan", "Relation Name": "usage", "Plan Rows": 9, "Plans": [
                    {"Node Type": "Bitmap Index Scan", "Index Name": "usage_day"}]},
                {"Node Type": "Hash", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "grid"}]},
                {"Node Type": "Seq Scan", "Relation Name": "grid"}
            ]
        });
        let found = planned(&plan);
        assert_eq!((found.rows, found.width, found.full_scan), (120, 24, true));
        assert_eq!(found.access, ["index usage_day", "full scan of grid"]);
    }
}
