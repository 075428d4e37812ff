//! Collections of the server as tables of the query engine.

use std::sync::Arc;

use bson::{Bson, DateTime, Document, Timestamp, doc, oid::ObjectId};
use dualrun_core::shape::Shape;
use dualrun_sources::{LiveRequest, Server, ServerSession};

use super::support::{Live, shape, with_database};
use crate::queries::{Both, conditions};

async fn session(live: &Live) -> Arc<ServerSession> {
    Arc::new(ServerSession::open(Server::Mongo(live.options())).await.unwrap())
}

fn request(shape: Option<Shape>) -> LiveRequest {
    LiveRequest {
        name: "odd".to_owned(),
        shape,
        days: None,
        since: None,
        untyped_nulls: false,
        gentle: dualrun_sources::Gentle::default(),
        spool: std::env::temp_dir(),
    }
}

fn id(n: u32) -> ObjectId {
    ObjectId::parse_str(format!("65f00000000000000000{n:04x}")).unwrap()
}

/// Documents whose fields are of every type that somebody may have written there.
fn awkward() -> Vec<Document> {
    let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
    let date = |text: &str| Bson::DateTime(DateTime::parse_rfc3339_str(text).unwrap());
    let numbers: Vec<Bson> = vec![
        5.into(),
        7i64.into(),
        (-2.5).into(),
        0.0.into(),
        (-0.0).into(),
        f64::NAN.into(),
        f64::INFINITY.into(),
        0.1.into(),
        decimal("0.1"),
        decimal("0.10000000000000001"),
        decimal("NaN"),
        9_007_199_254_740_993i64.into(),
        9_007_199_254_740_992.0.into(),
        "5".into(),
        " 7 ".into(),
        "1,5".into(),
        "many".into(),
        true.into(),
        Bson::Null,
        vec![Bson::Null, 5.into()].into(),
        vec![Bson::from(9)].into(),
        doc! {"n": 5}.into(),
        date("2025-03-01T00:00:00Z"),
    ];
    let times: Vec<Bson> = vec![
        date("2025-03-01T00:00:00Z"),
        date("2025-02-28T23:30:00Z"),
        date("2025-02-28T22:30:00.001Z"),
        date("1969-12-31T23:59:59.999Z"),
        "2025-03-01".into(),
        "2025-03-01T12:00:00Z".into(),
        1_740_787_200_000i64.into(),
        1_740_787_200_000.0.into(),
        Timestamp { time: 1_740_787_200, increment: 1 }.into(),
        "yesterday".into(),
        Bson::Null,
        vec![date("2025-03-01T00:00:00Z")].into(),
    ];
    let texts: Vec<Bson> = vec![
        "acme".into(),
        "Acme".into(),
        "".into(),
        "Zürich".into(),
        "5".into(),
        5.into(),
        id(1).into(),
        id(1).to_hex().into(),
        true.into(),
        Bson::Null,
        vec![Bson::from("acme")].into(),
        Bson::Symbol("acme".to_owned()),
        "a\u{10000}".into(),
        "a\u{ffff}".into(),
    ];
    let truths: Vec<Bson> =
        vec![true.into(), false.into(), "yes".into(), 1.into(), 0.0.into(), Bson::Null, "maybe".into()];
    let mut all = Vec::new();
    for n in 0..322usize {
        let mut document = doc! {"n": i64::try_from(n).unwrap()};
        if n % 3 == 0 {
            document.insert("_id", format!("text {n}"));
        } else {
            document.insert("_id", id(u32::try_from(n).unwrap()));
        }
        let mut put = |name: &str, values: &[Bson], step: usize| {
            // Every other value is not there at all.
            if let Some(value) = values.get((n * step) % (values.len() + 1)) {
                document.insert(name, value.clone());
            }
        };
        put("hours", &numbers, 1);
        put("lines", &numbers, 5);
        put("price", &numbers, 7);
        put("day", &times, 1);
        put("at", &times, 5);
        put("name", &texts, 1);
        put("paid", &truths, 1);
        put("mixed", &numbers, 11);
        put("note", &texts, 3);
        all.push(document);
    }
    all
}

fn declared() -> Shape {
    shape(serde_json::json!({
        "n": "integer", "hours": "float", "lines": "integer", "price": {"type": "decimal", "precision": 20, "scale": 4},
        "day": {"type": "date", "time_zone": "Europe/Paris"}, "at": "timestamp", "name": "text",
        "paid": {"type": "boolean", "missing": true}
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_give_the_documents_of_the_collection_in_memory() {
    with_database("provider", async |live| {
        live.insert("odd", &awkward()).await;
        let session = session(live).await;
        let both = Both::open(&session, &request(Some(declared()))).await;
        let mut atoms = conditions("hours", &["5.0", "0.0", "arrow_cast(-0.0, 'Float64')", "0.1", "-2.5"]);
        atoms.extend(conditions("lines", &["5", "7", "9007199254740993"]));
        let decimals = ["5", "0.1", "-2.5"].map(|value| format!("arrow_cast({value}, 'Decimal128(20, 4)')"));
        atoms.extend(conditions("price", &decimals.each_ref().map(String::as_str)));
        atoms.extend(conditions("day", &["DATE '2025-03-01'", "DATE '2025-02-28'", "DATE '1970-01-01'"]));
        let instants = ["2025-03-01T00:00:00", "2025-02-28T22:30:00.001", "1969-12-31T23:59:59.9995"]
            .map(|at| format!("arrow_cast('{at}', 'Timestamp(Microsecond, Some(\"UTC\"))')"));
        atoms.extend(conditions("at", &instants.each_ref().map(String::as_str)));
        let text = format!("'{}'", id(1).to_hex());
        atoms.extend(conditions("name", &["'acme'", "'5'", "'Zürich'", &text, "'a\u{ffff}'"]));
        atoms.extend(conditions("_id", &["'text 3'", &text, "'66'"]));
        atoms.extend(conditions("note", &["'acme'", "'true'"]));
        atoms.extend(["paid", "NOT paid", "paid_missing", "paid IS NOT NULL"].map(str::to_owned));
        atoms
            .extend(["hours > 1 AND name LIKE 'ac%'", "mixed IS NOT NULL", "mixed = '5'"].map(str::to_owned));
        both.same_for_filters("n", atoms, 250).await;

        both.same("SELECT count(*) FROM $").await;
        both.same("SELECT count(*), sum(hours) FROM $ WHERE lines > 0").await;
        both.same("SELECT name, n FROM $ ORDER BY n LIMIT 7").await;
        both.same("SELECT count(*) FROM (SELECT n FROM $ LIMIT 5)").await;
        both.same("SELECT count(*) FROM (SELECT n FROM $ WHERE lines = 5 LIMIT 3)").await;
        both.same("SELECT a.n, b.name FROM $ a JOIN $ b ON a.n = b.n + 1 WHERE b.lines = 7 ORDER BY a.n")
            .await;
        let _ = Arc::clone(&session);
        session.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_asked_for_what_is_needed() {
    with_database("provider_sent", async |live| {
        live.insert("odd", &awkward()).await;
        let session = session(live).await;
        let both = Both::open(&session, &request(Some(declared()))).await;
        let plan = both.explain("SELECT name FROM $ WHERE lines >= 5").await;
        let line = plan.lines().find(|line| line.contains("ServerScan: odd, ")).unwrap();
        assert!(
            line.contains("columns=[lines, name], filter={ \"$or\": [{ \"lines\": { \"$gte\": 5 } }"),
            "{line}"
        );
        assert!(plan.contains("FilterExec"), "the query engine applies it again: {plan}");
        let plan = both.explain("SELECT name FROM $ LIMIT 5").await;
        assert!(plan.contains("ServerScan: odd, columns=[name], limit=5"), "{plan}");
        session.close().await;
    })
    .await;
}
