//! Parameters are bound, with the types that the query gives them.

use arrow::{array::AsArray, datatypes::Int64Type};
use dualrun_sources::postgres::Param;

use super::support::{in_schema, rows, texts};

fn text(value: &str) -> Param {
    Param::Text(value.to_owned())
}

#[tokio::test]
async fn values_of_every_kind_arrive_as_they_are() {
    in_schema("params", async |place| {
        let source = place.source().await;
        let params = [
            Param::Integer(i64::MIN),
            Param::Float(0.1 + 0.2),
            Param::Boolean(true),
            Param::Date("1969-12-31".parse().unwrap()),
            Param::Timestamp("2025-03-30T00:59:59.123456Z".parse().unwrap()),
            text("it's \"$1\"; DROP TABLE x --"),
            Param::Null,
            Param::Date("-000044-03-15".parse().unwrap()),
        ];
        // The casts are those of values, not of parameters, which keep the types that they were declared with.
        let sql = "SELECT ($1)::text AS c0, ($2)::text AS c1, ($3)::text AS c2, ($4)::text AS c3, ($5)::text AS c4, \
                   $6::text AS c5, $7::text AS c6, ($8)::text AS c7";
        let batch = rows(&source, sql, &params).await.unwrap();
        let row: Vec<Option<String>> = (0..8).map(|i| texts(&batch, i)[0].clone()).collect();
        let row: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
        assert_eq!(
            row,
            [
                Some("-9223372036854775808"),
                Some("0.30000000000000004"),
                Some("true"),
                Some("1969-12-31"),
                Some("2025-03-30 00:59:59.123456+00"),
                Some("it's \"$1\"; DROP TABLE x --"),
                None,
                Some("0045-03-15 BC"),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn text_stands_for_whatever_the_query_compares_it_with() {
    in_schema("text_params", async |place| {
        place
            .sql(
                "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
                 CREATE TABLE t (id uuid, m mood, n numeric, day date, at timestamptz); \
                 INSERT INTO t VALUES ('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'ok', 1.5, '2025-01-01', '2025-01-01Z')",
            )
            .await;
        let source = place.source().await;
        let sql = "SELECT count(*) AS n FROM t WHERE id = $1 AND m = $2 AND n = $3 AND day >= $4 AND at < $5";
        let params = [
            text("6BA7B810-9DAD-11D1-80B4-00C04FD430C8"),
            text("ok"),
            text("1.50"),
            Param::Timestamp("2025-01-01T00:00:00Z".parse().unwrap()),
            Param::Timestamp("2025-01-01T00:00:01Z".parse().unwrap()),
        ];
        let batch = rows(&source, sql, &params).await.unwrap();
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 1);
        let open = rows(&source, "SELECT concat('v', $1) AS v", &[text("3")]).await.unwrap();
        assert_eq!(texts(&open, 0), [Some("v3".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_number_of_parameters_is_told_before_anything_runs() {
    in_schema("param_count", async |place| {
        let source = place.source().await;
        let error = rows(&source, "SELECT $1::int8 + $2::int8 AS n", &[Param::Integer(1)]).await.unwrap_err();
        assert_eq!(error.to_string(), "the query has 2 parameters and 1 are given");
    })
    .await;
}
