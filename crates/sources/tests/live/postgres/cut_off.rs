//! One snapshot for all that a run reads.

use std::{sync::Arc, time::Duration};

use arrow::{array::AsArray, datatypes::Int64Type};
use dualrun_core::run::{CutKind, CutStrength};
use dualrun_sources::{
    LiveRequest, ReadReport, Server, ServerSession, Servers, Wanted, postgres::PostgresOptions,
};

use super::support::{Place, in_schema};

fn wanted(options: PostgresOptions) -> Wanted {
    Wanted { server: Server::Postgres(options), names: Vec::new() }
}

fn request(place: &Place) -> LiveRequest {
    LiveRequest {
        name: format!("{}.usage", place.schema),
        shape: None,
        days: None,
        since: None,
        untyped_nulls: false,
        gentle: dualrun_sources::Gentle::default(),
        spool: std::env::temp_dir(),
    }
}

async fn report(session: &Arc<ServerSession>, place: &Place) -> ReadReport {
    session.stream(&request(place)).await.unwrap().into_table().await.unwrap().report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_readings_of_a_cut_off_see_one_snapshot_whoever_logs_in() {
    in_schema("cut_off", async |place| {
        let user = format!("{}_reader", place.schema);
        place
            .sql(&format!(
                "CREATE TABLE usage AS SELECT i::int8 AS n FROM generate_series(1, 1000) i; \
                 CREATE ROLE {user} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA {0} TO {user}; \
                 GRANT SELECT ON ALL TABLES IN SCHEMA {0} TO {user}",
                place.schema
            ))
            .await;
        let other = place.options_as(Some(&user), Some("reader"));
        let servers = Servers::default();
        let (one, two) = (wanted(place.options()), wanted(other));
        let cut = servers.cut_off(vec![one.clone(), two.clone(), one.clone()]).await.unwrap();
        assert_eq!(cut.sessions().len(), 2);
        let (mine, other) = (cut.session(&one.server).unwrap(), cut.session(&two.server).unwrap());
        let first = report(&mine, &place).await;
        place.sql("INSERT INTO usage SELECT generate_series(1, 500); DELETE FROM usage WHERE n = 3").await;
        let second = report(&other, &place).await;
        assert_eq!((first.rows, second.rows), (1000, 1000), "what was written in between is seen by neither");
        let consistency = first.consistency.unwrap();
        assert_eq!((consistency.cut, consistency.strength), (CutKind::Snapshot, CutStrength::Snapshot));
        assert_eq!(Some(consistency), second.consistency, "it is the same snapshot");
        let counted = mine
            .query(
                &format!("SELECT count(*) FROM {}.usage", place.schema),
                &[],
                &dualrun_sources::Gentle::default(),
            )
            .await
            .unwrap();
        let count = counted.batches[0].column(0).as_primitive::<Int64Type>().value(0);
        assert_eq!(count, 1000, "a calculation on the server sees it too");
        drop((mine, other));
        cut.release().await;
        assert!(cut.session(&one.server).is_none());
        let later = servers.cut_off(vec![one.clone()]).await.unwrap();
        // 500 more, and the two with a 3 less.
        assert_eq!(report(&later.session(&one.server).unwrap(), &place).await.rows, 1498);
        drop(later);
        place.wait_for_no("pg_export_snapshot", "'idle in transaction'").await;
        place.sql(&format!("DROP OWNED BY {user}; DROP ROLE {user}")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_lent_to_one_run_at_a_time() {
    in_schema("cut_turns", async |place| {
        let servers = Servers::default();
        let first = servers.cut_off(vec![wanted(place.options())]).await.unwrap();
        let second = servers.cut_off(vec![wanted(place.options())]);
        let mut second = std::pin::pin!(second);
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut second).await.is_err());
        first.release().await;
        let second = tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
        assert_eq!(second.sessions().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_reads_and_says_that_nothing_vouches_for_one_state() {
    in_schema("cut_single", async |place| {
        place.sql("CREATE TABLE usage AS SELECT i::int8 AS n FROM generate_series(1, 10) i").await;
        let options = PostgresOptions { max_connections: 1, ..place.options() };
        let session = Arc::new(ServerSession::open(Server::Postgres(options)).await.unwrap());
        let report = report(&session, &place).await;
        assert_eq!(report.rows, 10);
        let consistency = report.consistency.unwrap();
        assert_eq!((consistency.cut, consistency.strength), (CutKind::None, CutStrength::None));
        assert!(consistency.detail.contains("max_connections = 1"), "{}", consistency.detail);
    })
    .await;
}
