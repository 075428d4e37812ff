//! Every type, against the text that the server itself writes of the same values.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{
        DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, IntervalMonthDayNanoType,
        IntervalUnit, TimestampMicrosecondType,
    },
    util::display::{ArrayFormatter, FormatOptions},
};
use dualrun_sources::postgres::{Fault, NumericForm, Param, PostgresSource, ReadOptions};

use super::support::{fault, in_schema, rows, rows_with, texts};

/// A type, an expression of random values, values of special interest, and what the server says of a value `v`.
struct Case {
    ty: &'static str,
    random: &'static str,
    special: &'static [&'static str],
    said: &'static str,
}

const TEXT: &str = "v::text";
const RANDOM_TEXT: &str =
    "(SELECT string_agg(chr(32 + (random() * 9000)::int), '') FROM generate_series(0, i % 12))";

const CASES: &[Case] = &[
    Case { ty: "bool", random: "random() < 0.5", special: &[], said: TEXT },
    Case {
        ty: "int2",
        random: "(random() * 65535 - 32768)::int",
        special: &["-32768", "32767", "0"],
        said: TEXT,
    },
    Case {
        ty: "int4",
        random: "(random() * 4294967295 - 2147483648)::int",
        special: &["-2147483648", "2147483647"],
        said: TEXT,
    },
    Case {
        ty: "int8",
        random: "(random() * 1e18 - 5e17)::int8",
        special: &["-9223372036854775808", "9223372036854775807", "9007199254740993"],
        said: TEXT,
    },
    Case { ty: "oid", random: "(random() * 4294967295)::int8", special: &["4294967295", "0"], said: TEXT },
    Case {
        ty: "float4",
        random: "((random() - 0.5) * 1e10)",
        special: &["NaN", "Infinity", "-Infinity", "-0", "1e-40", "3.4028235e38"],
        said: TEXT,
    },
    Case {
        ty: "float8",
        random: "(random() - 0.5) * 10 ^ (random() * 600 - 300)",
        special: &["NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308"],
        said: TEXT,
    },
    Case {
        ty: "numeric(20,6)",
        random: "((random() - 0.5) * 1e13)::numeric",
        special: &["0", "-0.000001", "99999999999999.999999", "1.10"],
        said: TEXT,
    },
    Case {
        ty: "numeric(38,18)",
        random: "((random() - 0.5)::numeric * 1e19)",
        special: &["99999999999999999999.999999999999999999", "0.000000000000000001"],
        said: TEXT,
    },
    Case {
        ty: "numeric(60,30)",
        random: "((random() - 0.5)::numeric * 1e29)",
        special: &["-999999999999999999999999999999.999999999999999999999999999999"],
        said: TEXT,
    },
    Case {
        ty: "numeric",
        random: "((random() - 0.5)::numeric * 10 ^ (i % 30) / 7)",
        special: &["0", "1e37", "1e-38", "12345678901234567890123456789012345678.1"],
        said: TEXT,
    },
    Case { ty: "numeric(3,-2)", random: "(random() * 90000)::numeric", special: &["-99900"], said: TEXT },
    Case { ty: "numeric(2,5)", random: "(random() * 0.0009)::numeric", special: &["0.00099"], said: TEXT },
    Case { ty: "numeric(100,2)", random: "(random() * 1e9)::numeric", special: &["NaN", "1e97"], said: TEXT },
    Case {
        ty: "text", random: RANDOM_TEXT, special: &["", " ", "null", "\\N", "é e\u{301} 😀"], said: TEXT
    },
    Case { ty: "varchar(40)", random: RANDOM_TEXT, special: &["", "x "], said: TEXT },
    Case {
        ty: "char(5)",
        random: "left(md5(i::text), i % 6)",
        special: &["", "ab"],
        said: "rpad(v::text, 5)",
    },
    Case { ty: "name", random: "md5(i::text)", special: &["x"], said: TEXT },
    Case { ty: "mood", random: "(ARRAY['sad','ok','so so'])[1 + i % 3]::mood", special: &["ok"], said: TEXT },
    Case { ty: "kilo", random: "(random() * 1000)::numeric", special: &["0.001"], said: TEXT },
    Case { ty: "tag", random: "md5(i::text)", special: &["T"], said: TEXT },
    Case {
        ty: "uuid",
        random: "md5(random()::text)::uuid",
        special: &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
        said: TEXT,
    },
    Case {
        ty: "json",
        random: "json_build_object('a', random(), 'b', ARRAY[i])",
        special: &["{ \"b\" : 1.10, \"a\": null }", "null"],
        said: TEXT,
    },
    Case {
        ty: "jsonb",
        random: "jsonb_build_object('a', random(), 'b', ARRAY[i])",
        special: &["{ \"b\" : 1.10, \"a\": null }", "null"],
        said: TEXT,
    },
    Case {
        ty: "bytea",
        random: "decode(md5(i::text), 'hex')",
        special: &["", "\\x00", "\\xff00"],
        said: "encode(v, 'hex')",
    },
    Case {
        ty: "date",
        random: "'2000-01-01'::date + (random() * 100000 - 50000)::int",
        special: &["0001-01-01", "9999-12-31", "1970-01-01", "2000-02-29"],
        said: TEXT,
    },
    Case {
        ty: "time",
        random: "'00:00'::time + random() * interval '1 day'",
        special: &["00:00:00", "23:59:59.999999"],
        said: "to_char(v, 'HH24:MI:SS.US')",
    },
    Case {
        ty: "timestamp",
        random: "'2000-01-01'::timestamp + (random() - 0.5) * interval '200 years'",
        special: &["1969-12-31 23:59:59.999999", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"],
        said: "to_char(v, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')",
    },
    Case {
        ty: "timestamptz",
        random: "'2000-01-01Z'::timestamptz + (random() - 0.5) * interval '200 years'",
        special: &["2025-10-26 02:30:00+02", "2025-10-26 02:30:00+01", "1970-01-01 00:00:00.000001Z"],
        said: "to_char(v, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    },
    Case {
        ty: "interval",
        random: "random() * interval '400 days' - random() * interval '30 months'",
        special: &["0", "1 mon -1 day 00:00:00.000001", "-178000 years"],
        said: "(extract(year from v) * 12 + extract(month from v))::int || ' ' || extract(day from v)::int || ' ' || (extract(epoch from (v - make_interval(years => extract(year from v)::int, months => extract(month from v)::int, days => extract(day from v)::int))) * 1000000)::int8",
    },
    Case {
        ty: "inet",
        random: "('10.0.0.0'::inet + i)",
        special: &["::1/128", "10.1.2.3/8"],
        said: "CASE WHEN v IS NOT NULL THEN trim(both '{}' from ARRAY[v]::text) END",
    },
    Case { ty: "cidr", random: "'10.1.0.0/16'::cidr", special: &["2001:db8::/32"], said: TEXT },
    Case {
        ty: "macaddr",
        random: "left(md5(i::text), 12)::macaddr",
        special: &["08:00:2b:01:02:03"],
        said: TEXT,
    },
    Case {
        ty: "timetz",
        random: "('12:00+02'::timetz + random() * interval '1 hour')",
        special: &["24:00:00-01:30"],
        said: TEXT,
    },
    Case { ty: "money", random: "(random() * 1000)::numeric::money", special: &["-1.5"], said: TEXT },
    Case { ty: "point", random: "point(random(), i)", special: &["(1,-2.5)"], said: TEXT },
    Case {
        ty: "polygon",
        random: "polygon(circle(point(i, 0), 1))",
        special: &["((0,0),(1,1))"],
        said: TEXT,
    },
    Case { ty: "int4range", random: "int4range(i, i + 5)", special: &["empty", "(,)", "[1,1]"], said: TEXT },
    Case {
        ty: "tstzrange",
        random: "tstzrange('2025-01-01Z', '2025-01-01Z'::timestamptz + i * interval '1 h')",
        special: &["empty", "[2025-01-01 00:00:00+02,)"],
        said: TEXT,
    },
    Case { ty: "nummultirange", random: "nummultirange(numrange(i, i + 1))", special: &["{}"], said: TEXT },
    Case { ty: "bit(3)", random: "(i % 8)::bit(3)", special: &["101"], said: TEXT },
    Case { ty: "tsvector", random: "to_tsvector('simple', md5(i::text))", special: &["a:1 b:2"], said: TEXT },
    Case { ty: "pg_lsn", random: "('0/0'::pg_lsn + i)", special: &["16/B374D848"], said: TEXT },
    Case { ty: "xml", random: "xmlelement(name a, i)", special: &["<a>é</a>"], said: TEXT },
    Case { ty: "pair", random: "ROW(i, md5(i::text))::pair", special: &["(,\"a,b\")"], said: TEXT },
    Case { ty: "\"char\"", random: "'x'::\"char\"", special: &["y"], said: TEXT },
    Case {
        ty: "int4[]",
        random: "ARRAY(SELECT (random() * 9)::int FROM generate_series(1, i % 5))",
        special: &["{}", "{NULL,1}"],
        said: TEXT,
    },
    Case {
        ty: "text[]",
        random: "ARRAY[md5(i::text), NULL, 'x']",
        special: &["{}", "{\"\",b}"],
        said: "array_to_string(v, ',', 'NULL')",
    },
    Case {
        ty: "numeric(10,2)[]",
        random: "ARRAY[random() * 100, -1]::numeric(10,2)[]",
        special: &["{}", "{NULL}"],
        said: TEXT,
    },
    Case { ty: "inet[]", random: "ARRAY['10.0.0.1'::inet + i]", special: &["{}", "{NULL}"], said: TEXT },
    Case { ty: "mood[]", random: "ARRAY['sad', 'ok']::mood[]", special: &["{}", "{NULL,ok}"], said: TEXT },
];

#[tokio::test]
async fn every_type_is_read_as_the_server_writes_it() {
    in_schema("types", async |place| {
        place
            .sql(
                "CREATE TYPE mood AS ENUM ('sad', 'ok', 'so so'); CREATE DOMAIN kilo AS numeric(12,3) CHECK (VALUE >= 0); \
                 CREATE DOMAIN tag AS text; CREATE TYPE pair AS (a int, b text)",
            )
            .await;
        let source = place.source().await;
        for (i, case) in CASES.iter().enumerate() {
            let table = format!("v{i}");
            let special: Vec<String> =
                case.special.iter().map(|s| format!("(E'{}'::{})", s.replace('\\', "\\\\"), case.ty)).collect();
            let special = if special.is_empty() { "(NULL)".to_owned() } else { special.join(", ") };
            place
                .sql(&format!(
                    "CREATE TABLE {table} (v {}); INSERT INTO {table} VALUES {special}, (NULL); \
                     INSERT INTO {table} SELECT {} FROM generate_series(1, 200) i; INSERT INTO {table} VALUES (NULL)",
                    case.ty, case.random
                ))
                .await;
            let sql = format!("SELECT v, ({})::text AS said FROM {table}", case.said);
            let copied = rows(&source, &sql, &[]).await.unwrap_or_else(|e| panic!("{}: {e} {:?}", case.ty, e.hint()));
            check(case.ty, &copied);
            // The same fields by the other protocol.
            let bound = format!("{sql} WHERE $1::int8 = 1");
            let bound = rows(&source, &bound, &[Param::Integer(1)]).await.unwrap();
            assert_eq!(bound, copied, "{}", case.ty);
        }
    })
    .await;
}

fn check(ty: &str, batch: &RecordBatch) {
    let (values, said) = (batch.column(0), texts(batch, 1));
    assert!(values.len() > 200, "{ty}");
    assert!(values.null_count() >= 2, "{ty}");
    let utc = matches!(values.data_type(), DataType::Timestamp(_, Some(zone)) if zone.as_ref() == "UTC");
    let plain: ArrayRef = match values.as_primitive_opt::<TimestampMicrosecondType>() {
        // The formatter knows no zones by name.
        Some(instants) => Arc::new(instants.clone().with_timezone_opt(None::<&str>)),
        None => Arc::clone(values),
    };
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(plain.as_ref(), &options).unwrap();
    for (row, said) in said.into_iter().enumerate() {
        let Some(said) = said else {
            assert!(values.is_null(row), "{ty}: row {row} should be null");
            continue;
        };
        assert!(values.is_valid(row), "{ty}: row {row} should be {said}");
        let shown = formatter.value(row).to_string();
        match values.data_type() {
            DataType::Float32 => {
                let value = values.as_primitive::<Float32Type>().value(row);
                assert!(
                    value.to_bits() == said.parse::<f32>().unwrap().to_bits() || value.is_nan(),
                    "{value} {said}"
                );
            }
            DataType::Float64 => {
                let value = values.as_primitive::<Float64Type>().value(row);
                assert!(
                    value.to_bits() == said.parse::<f64>().unwrap().to_bits() || value.is_nan(),
                    "{value} {said}"
                );
            }
            DataType::Decimal128(_, scale) => {
                let value = values.as_primitive::<Decimal128Type>().value(row).to_string();
                assert_eq!(value, unscaled(&said, *scale), "{ty} {said}");
            }
            DataType::Decimal256(_, scale) => {
                let value = values.as_primitive::<Decimal256Type>().value(row).to_string();
                assert_eq!(value, unscaled(&said, *scale), "{ty} {said}");
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let value = values.as_primitive::<IntervalMonthDayNanoType>().value(row);
                assert_eq!(format!("{} {} {}", value.months, value.days, value.nanoseconds / 1000), said);
            }
            DataType::Boolean | DataType::Binary | DataType::Date32 | DataType::Utf8 => {
                assert_eq!(shown, said, "{ty}")
            }
            DataType::List(_) => {
                let shown = shown.trim_matches(['[', ']']).replace(", ", ",");
                let parts: Vec<&str> =
                    shown.split(',').map(|p| if p.is_empty() { "NULL" } else { p }).collect();
                let shown = if values.as_list::<i32>().value(row).is_empty() {
                    String::new()
                } else {
                    parts.join(",")
                };
                if ty == "text[]" && said.starts_with(',') {
                    assert_eq!(values.as_list::<i32>().value(row).as_string::<i32>().value(0), "");
                } else {
                    assert_eq!(shown, said.trim_matches(['{', '}']), "{ty}");
                }
            }
            DataType::Time64(_) | DataType::Timestamp(_, _) => {
                // The server was asked for all six digits.
                let (seconds, digits) = shown.split_once('.').unwrap_or((&shown, ""));
                assert_eq!(format!("{seconds}.{digits:0<6}{}", if utc { "Z" } else { "" }), said, "{ty}");
            }
            _ => assert_eq!(shown, said, "{ty}"),
        }
    }
}

/// Decimal text as the integer at a scale.
fn unscaled(text: &str, scale: i8) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |t| ("-", t));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::try_from(scale).unwrap();
    let kept = fraction.trim_end_matches('0');
    assert!(kept.len() <= scale, "{text}");
    let all = format!("{whole}{kept:0<scale$}");
    let all = all.trim_start_matches('0');
    if all.is_empty() { "0".to_owned() } else { format!("{sign}{all}") }
}

async fn data_type(source: &PostgresSource, sql: &str) -> DataType {
    let schema = source.query_schema(sql, &[], &ReadOptions::default()).await.unwrap();
    schema.field(0).data_type().clone()
}

#[tokio::test]
async fn declared_types_become_the_nearest_exact_arrow_types() {
    in_schema("declared", async |place| {
        let source = place.source().await;
        for (ty, expected) in [
            ("numeric(10,2)", DataType::Decimal128(10, 2)),
            ("numeric(50,2)", DataType::Decimal256(50, 2)),
            ("numeric(100,2)", DataType::Utf8),
            ("numeric", DataType::Decimal256(76, 38)),
            ("oid", DataType::Int64),
            ("int2", DataType::Int16),
            ("timestamptz", DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()))),
            ("char(3)", DataType::Utf8),
        ] {
            assert_eq!(data_type(&source, &format!("SELECT NULL::{ty} AS v")).await, expected, "{ty}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_number_that_its_decimal_cannot_hold_ends_the_read_and_names_the_way_out() {
    in_schema("misfit_numbers", async |place| {
        let source = place.source().await;
        for (sql, said) in [
            ("SELECT 'NaN'::numeric AS kwh", "NaN or infinite"),
            ("SELECT 'NaN'::numeric(10,2) AS kwh", "NaN or infinite"),
            ("SELECT '-Infinity'::numeric AS kwh", "NaN or infinite"),
            ("SELECT 1e-39::numeric AS kwh", "more than 38 digits after the point"),
            ("SELECT 1e38::numeric AS kwh", "too large for decimal(76,38)"),
        ] {
            let error = rows(&source, sql, &[]).await.unwrap_err();
            let (kind, text) = fault(&error);
            assert_eq!(kind, Fault::Value, "{sql}");
            assert!(text.contains("column \"kwh\"") && text.contains(said), "{sql}: {text}");
            assert!(text.contains("kwh::float8 or kwh::text"), "{text}");
            assert_eq!(error.exit_code(), dualrun_core::ExitCode::Usage);
        }
        let sql = "SELECT * FROM (VALUES ('NaN'::numeric), ('Infinity'), (1.10), (NULL)) t(kwh)";
        let mut options = ReadOptions::default();
        options.columns.insert("kwh".to_owned(), NumericForm::Text);
        let text = rows_with(&source, sql, &[], &options).await.unwrap();
        let expected = [Some("NaN"), Some("Infinity"), Some("1.10"), None];
        assert_eq!(texts(&text, 0), expected.map(|t| t.map(str::to_owned)));
        options.columns.insert("kwh".to_owned(), NumericForm::Float64);
        let floats = rows_with(&source, sql, &[], &options).await.unwrap();
        let floats = floats.column(0).as_primitive::<Float64Type>();
        assert!(floats.value(0).is_nan() && floats.value(1).is_infinite() && floats.value(2) == 1.1);
        assert!(floats.is_null(3));
    })
    .await;
}

#[tokio::test]
async fn infinite_dates_become_null_and_are_counted() {
    in_schema("infinity", async |place| {
        let source = place.source().await;
        let sql = "SELECT * FROM (VALUES \
            ('infinity'::date, '-infinity'::timestamptz, '24:00:00'::time), \
            ('-infinity', 'infinity', '12:00:00'), \
            ('2025-01-01', '2025-01-01Z', NULL), (NULL, NULL, NULL)) t(until, seen, at)";
        let mut stream = source.query(None, sql, &[], &ReadOptions::default()).await.unwrap();
        let batches = super::support::batches(&mut stream).await.unwrap();
        let nulls: Vec<usize> = batches[0].columns().iter().map(|c| c.null_count()).collect();
        assert_eq!(nulls, [3, 3, 3]);
        let misfits: Vec<(String, &str, u64)> =
            stream.misfits().into_iter().map(|m| (m.field, m.found, m.count)).collect();
        assert_eq!(
            misfits,
            [
                ("until".to_owned(), "infinity", 2),
                ("seen".to_owned(), "infinity or out of range", 2),
                ("at".to_owned(), "24:00:00", 1)
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn an_array_of_arrays_is_an_error_that_names_its_column() {
    in_schema("dimensions", async |place| {
        let source = place.source().await;
        let error = rows(&source, "SELECT ARRAY[[1,2],[3,4]] AS grid", &[]).await.unwrap_err();
        let (kind, text) = fault(&error);
        assert_eq!(kind, Fault::Value);
        assert!(
            text.contains("column \"grid\": an array of arrays") && text.contains("grid::text"),
            "{text}"
        );
        let text = rows(&source, "SELECT ARRAY[[1,2],[3,4]]::text AS grid", &[]).await.unwrap();
        assert_eq!(texts(&text, 0), [Some("{{1,2},{3,4}}".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn null_and_empty_are_told_apart_and_empty_results_have_columns() {
    in_schema("empty", async |place| {
        let source = place.source().await;
        let both =
            rows(&source, "SELECT ''::text AS a, NULL::text AS b, '{}'::int[] AS c, NULL::int[] AS d", &[]);
        let both = both.await.unwrap();
        let nulls: Vec<bool> = both.columns().iter().map(|c| c.is_null(0)).collect();
        assert_eq!(nulls, [false, true, false, true]);
        let none = rows(&source, "SELECT 1 AS a, '1'::inet AS b WHERE false;\n", &[]).await;
        assert!(none.is_err(), "'1' is no address");
        let none = rows(&source, "SELECT 1 AS a, '::1'::inet AS b WHERE false;\n", &[]).await.unwrap();
        assert_eq!((none.num_rows(), none.num_columns()), (0, 2));
    })
    .await;
}

/// An element type, values that differ from each other, and what the server says of an element `e`.
const ELEMENTS: &[(&str, &[&str], &str)] = &[
    ("bool", &["true", "false"], "e::text"),
    ("float8", &["NaN", "-Infinity", "0.1"], "e::text"),
    ("numeric(12,3)", &["-0.001", "123456789.125"], "e::text"),
    ("uuid", &["00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"], "e::text"),
    ("bytea", &["\\x00ff", "\\x"], "encode(e, 'hex')"),
    ("json", &["{\"a\" : [1, null]}", "null"], "e::text"),
    ("jsonb", &["{\"b\": 1.10}", "[]"], "e::text"),
    ("date", &["0001-01-01", "2024-02-29"], "e::text"),
    (
        "timestamptz",
        &["2025-10-26 02:30:00+02", "1969-12-31 23:59:59.123456Z"],
        "to_char(e, 'YYYY-MM-DD\"T\"HH24:MI:SS') || rtrim(rtrim(to_char(e, '.US'), '0'), '.') || 'Z'",
    ),
    ("mood", &["sad", "so so"], "e::text"),
    // The server does not tell the digits that a domain inside of an array has.
    ("kilo", &["0.125", "7"], "e::numeric(76,38)::text"),
    ("int4range", &["[1,6)", "empty", "(,3)"], "e::text"),
    ("tstzrange", &["[2025-01-01 00:00:00+00,)"], "e::text"),
    ("pair", &["(1,\"a,b\")", "(,)"], "e::text"),
    ("varchar(9)", &["", "a,b", "{}", "NULL", "\"", "\\\\"], "e::text"),
];

#[tokio::test]
async fn elements_of_arrays_are_read_as_the_server_writes_them() {
    in_schema("elements", async |place| {
        place
            .sql(
                "CREATE TYPE mood AS ENUM ('sad', 'ok', 'so so'); CREATE DOMAIN kilo AS numeric(12,3); \
                 CREATE TYPE pair AS (a int, b text)",
            )
            .await;
        let source = place.source().await;
        for (ty, values, said) in ELEMENTS {
            let quoted: Vec<String> = values.iter().map(|v| format!("$q${v}$q$::{ty}")).collect();
            let all = quoted.join(", ");
            let sql = format!(
                "SELECT v, (SELECT coalesce(string_agg(coalesce({said}, '-'), '|' ORDER BY o), '') \
                 FROM generate_subscripts(v, 1) AS o, LATERAL (SELECT v[o] AS e) AS x) AS said FROM (VALUES (ARRAY[{all}, NULL]::{ty}[]), \
                 (ARRAY[]::{ty}[]), (NULL::{ty}[]), (array_fill({}, ARRAY[2], ARRAY[5])::{ty}[])) AS t(v)",
                quoted[0]
            );
            let read = rows(&source, &sql, &[]).await.unwrap_or_else(|e| panic!("{ty}: {e} {:?}", e.hint()));
            let lists = read.column(0).as_list::<i32>();
            let said = texts(&read, 1);
            for (row, said) in said.into_iter().enumerate() {
                assert_eq!(lists.is_null(row), row == 2, "{ty}");
                assert_eq!(elements(&lists.value(row)), said.unwrap(), "{ty}");
            }
        }
    })
    .await;
}

/// As the query says them.
fn elements(list: &ArrayRef) -> String {
    let plain: ArrayRef = match list.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(instants) => Arc::new(instants.clone().with_timezone_opt(None::<&str>)),
        None => Arc::clone(list),
    };
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(plain.as_ref(), &options).unwrap();
    let zone = if matches!(list.data_type(), DataType::Timestamp(..)) { "Z" } else { "" };
    let one = |row| match list.is_null(row) {
        true => "-".to_owned(),
        false => match list.data_type() {
            DataType::Float64 => match list.as_primitive::<Float64Type>().value(row) {
                value if value.is_infinite() => if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
                value => value.to_string(),
            },
            _ => format!("{}{zone}", formatter.value(row)),
        },
    };
    (0..list.len()).map(one).collect::<Vec<_>>().join("|")
}

/// A domain is read as what it is made of, however many there are between.
#[tokio::test]
async fn domains_of_domains_arrays_and_enums_are_read_as_their_base() {
    in_schema("domains", async |place| {
        place
            .sql(
                "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN share AS numeric(5,4) CHECK (VALUE <= 1); \
                 CREATE DOMAIN half AS share CHECK (VALUE <= 0.5); CREATE DOMAIN humour AS mood; \
                 CREATE DOMAIN tags AS text[]; CREATE DOMAIN period AS daterange; \
                 CREATE TABLE made (a half, b humour, c tags, d period, e half[]); \
                 INSERT INTO made VALUES (0.25, 'sad', '{x,NULL}', '[2025-01-01,2025-02-01)', '{0.5,NULL}'), \
                 (NULL, NULL, NULL, NULL, NULL)",
            )
            .await;
        let read = rows(&place.source().await, "SELECT * FROM made", &[]).await.unwrap();
        let types: Vec<DataType> = read.schema().fields().iter().map(|f| f.data_type().clone()).collect();
        let list = |of: DataType| DataType::List(Arc::new(arrow::datatypes::Field::new("item", of, true)));
        assert_eq!(types[0], DataType::Decimal128(5, 4));
        assert_eq!(types[2], list(DataType::Utf8));
        assert_eq!(read.column(0).as_primitive::<Decimal128Type>().value(0), 2500);
        assert_eq!(texts(&read, 1), [Some("sad".to_owned()), None]);
        assert_eq!(elements(&read.column(2).as_list::<i32>().value(0)), "x|-");
        assert_eq!(texts(&read, 3), [Some("[2025-01-01,2025-02-01)".to_owned()), None]);
        let shares = read.column(4).as_list::<i32>().value(0);
        assert_eq!(elements(&shares).trim_start_matches("0.5").trim_start_matches('0'), "|-");
        assert!(read.columns().iter().all(|column| column.is_null(1)));
    })
    .await;
}
