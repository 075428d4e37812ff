//! What models are given, and what they may not do.

use arrow::{
    array::AsArray,
    datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use dualrun_core::{ExitCode, Outcome, input::Side, parameter::ParameterValue};
use dualrun_engine::{
    EngineError,
    calculate::{Calculator, Switches},
    inputs::{Look, read_side},
};
use dualrun_sources::CutOff;

use crate::common::{
    DAY, GOLD_FILE, LEGACY_FILE, MAPPING_FILE, SILVER_FILE, Setup, World, change, column, date, entry, near,
};

/// The one row of a query in the place of the new result.
async fn row(setup: Setup, period: &str, switches: Switches) -> RecordBatch {
    let world = World::with_meters(setup);
    let context = world.context();
    let pipeline = &context.project.pipelines[0];
    let period = period.parse().unwrap();
    let cut = CutOff::default();
    let tables = read_side(&context, pipeline, Side::New, period, &cut, Look::Fenced).await.unwrap();
    let calculator = Calculator::new(&context.runtime, pipeline, Side::New, period, tables).unwrap();
    let (_, batches) = calculator.calculate(&switches, false).await.unwrap();
    batches.into_iter().find(|b| b.num_rows() == 1).unwrap()
}

#[tokio::test]
async fn a_period_has_the_bounds_of_its_time_zone() {
    let sql = "select $period_start as a, $period_end as b, $period_first_day as c, $period_last_day as d, \
               $customer as e from silver limit 1";
    for (period, start, end, hours) in [
        ("2025-03-29", "2025-03-28T23:00:00Z", "2025-03-29T23:00:00Z", 24),
        ("2025-03-30", "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z", 23),
        ("2025-10-26", "2025-10-25T22:00:00Z", "2025-10-26T23:00:00Z", 25),
    ] {
        let setup = Setup::plain()
            .edit(MAPPING_FILE, "unit = \"day\" }", "unit = \"day\", time_zone = \"Europe/Paris\" }")
            .edit(MAPPING_FILE, "path = \"meters/{day}\"", "path = \"meters/2025-03-10\"")
            .file(GOLD_FILE, sql);
        let row = row(setup, period, Switches::new()).await;
        assert_eq!(
            row.column(0).data_type(),
            &DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()))
        );
        let instant = |n: usize| row.column(n).as_primitive::<TimestampMicrosecondType>().value(0);
        let expected = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        assert_eq!((instant(0), instant(1)), (expected(start), expected(end)), "{period}");
        assert_eq!((instant(1) - instant(0)) / 3_600_000_000, hours, "{period}");
        let day = |n: usize| row.column(n).as_primitive::<Date32Type>().value_as_date(0).unwrap().to_string();
        assert_eq!((day(2).as_str(), day(3).as_str()), (period, period));
        assert!(row.column(4).is_null(0), "no customer is asked for");
    }
}

#[tokio::test]
async fn a_month_has_its_first_and_last_day() {
    let setup = Setup::plain()
        .monthly()
        .file(GOLD_FILE, "select $period_first_day as c, $period_last_day as d from silver limit 1");
    let row = row(setup, "2025-03", Switches::new()).await;
    let day = |n: usize| row.column(n).as_primitive::<Date32Type>().value_as_date(0).unwrap().to_string();
    assert_eq!((day(0).as_str(), day(1).as_str()), ("2025-03-01", "2025-03-31"));
}

#[tokio::test]
async fn values_of_every_type_are_bound_and_never_spliced() {
    let nasty = "O'Brien'; drop table meters; select '$b -- ";
    let switches = Switches::from([
        ("a".to_owned(), ParameterValue::Text(nasty.to_owned())),
        ("b".to_owned(), ParameterValue::Integer(i64::MAX)),
        ("c".to_owned(), ParameterValue::Float(0.1)),
        ("d".to_owned(), ParameterValue::Boolean(true)),
        ("e".to_owned(), ParameterValue::Date(date("2025-02-28"))),
    ]);
    let declare = |setup: Setup, (name, kind, legacy, new): (&str, &str, &str, &str)| {
        let id = format!("MC-{name}");
        let switch = format!("parameter = \"{name}\"\nlegacy = {legacy}\nnew = {new}\n");
        setup
            .parameter(name, kind)
            .file(&format!("methodology/{id}.toml"), &change(&id, &["energy"], &switch, ""))
    };
    let setup = [
        ("a", "text", "\"x\"", "\"y\""),
        ("b", "integer", "1", "2"),
        ("c", "float", "0.5", "1"),
        ("d", "boolean", "false", "true"),
        ("e", "date", "\"2025-01-01\"", "\"2025-01-02\""),
    ]
    .into_iter()
    .fold(Setup::plain(), declare)
    .file(GOLD_FILE, "select $a as a, $b as b, $c as c, $d as d, $e as e, '$a' as f from silver limit 1");
    let row = row(setup, DAY, switches).await;
    let text = arrow::compute::cast(row.column(0), &DataType::Utf8).unwrap();
    assert_eq!(text.as_string::<i32>().value(0), nasty);
    assert_eq!(row.column(1).as_primitive::<Int64Type>().value(0), i64::MAX);
    assert_eq!(row.column(2).as_primitive::<Float64Type>().value(0), 0.1);
    assert!(row.column(3).as_boolean().value(0));
    let day = row.column(4).as_primitive::<Date32Type>().value_as_date(0).unwrap();
    assert_eq!(day.to_string(), "2025-02-28");
    let literal = arrow::compute::cast(row.column(5), &DataType::Utf8).unwrap();
    assert_eq!(literal.as_string::<i32>().value(0), "$a");
}

#[tokio::test]
async fn a_switch_with_a_quote_in_its_value_goes_through_a_whole_run() {
    let switch = "parameter = \"site\"\nlegacy = \"O'Brien'; drop table meters --\"\nnew = \"m2\"\n";
    let setup = Setup::plain()
        .parameter("site", "text")
        .edit(SILVER_FILE, "kwh is not null", "id <> $site")
        .file("methodology/MC-3.toml", &change("MC-3", &["energy"], switch, ""));
    let report = World::with_meters(setup).report().await;
    assert_eq!(report.outcome, Outcome::ReviewPending);
    assert_eq!((report.rows.only_legacy, report.rows.one_sided.pending), (1, 1));
}

#[tokio::test]
async fn changes_share_an_effect_by_their_shapley_values() {
    let with = |setup: Setup, name: &str, expression: &str| {
        let switch = format!("parameter = \"{name}\"\nlegacy = 1\nnew = 2\n");
        setup
            .parameter(name, "integer")
            .edit(GOLD_FILE, "sum(s.kwh) as kwh", &format!("{expression} as kwh"))
            .file(&format!("methodology/{name}.toml"), &change(name, &["energy"], &switch, ""))
    };
    let setup = with(Setup::plain(), "a", "sum(s.kwh) * $a");
    let setup = with(
        setup.edit(GOLD_FILE, "sum(s.kwh) * $a as kwh", "sum(s.kwh) as kwh"),
        "b",
        "sum(s.kwh) * $a * $b",
    );
    let report = World::with_meters(setup).report().await;
    // 310 → 1240 kWh: on its own each doubles, after the other each adds 620.
    for name in ["a", "b"] {
        assert!(near(entry(&report, name, "kwh").effect.to_f64(), 465.0), "{:?}", report.bridge);
    }
    assert_eq!(column(&report, "kwh").verdicts.pending, 3);
}

#[tokio::test]
async fn statements_that_do_more_than_ask_are_refused() {
    for sql in [
        "copy (select * from meters) to '/tmp/dualrun-must-not-exist.csv'",
        "create table t as select * from meters",
        "create external table t stored as csv location '/etc/passwd'",
        "insert into meters select * from meters",
        "set datafusion.execution.batch_size = 1",
        "drop table meters",
        "select * from meters; drop table meters",
    ] {
        let world = World::with_meters(Setup::plain().file(LEGACY_FILE, sql));
        let error = world.try_run(DAY).await.unwrap_err();
        assert!(
            matches!(&error, EngineError::Model { file, .. } if file.ends_with("legacy.sql")),
            "{sql}: {error:?}"
        );
        assert_eq!(error.exit_code(), ExitCode::Usage, "{sql}");
        assert_eq!(world.runs().await[0].outcome, Outcome::Failed, "{sql}");
    }
    assert!(!std::path::Path::new("/tmp/dualrun-must-not-exist.csv").exists());
}
