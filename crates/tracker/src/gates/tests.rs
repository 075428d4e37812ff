use dualrun_core::run::{ColumnKind, CustomerReport, RowCounts};
use dualrun_core::verdict::VerdictCounts;
use dualrun_mapping::plan::Project;

use super::*;
use crate::{
    evidence::{Evidence, assess},
    testing::{ENVIRONMENT, approval, change, clean_nights, date, pipeline, project, run},
};

fn answer(project: &Project, runs: &[RunRecord], as_of: &str, name: GateName) -> (GateAnswer, String) {
    let evidence = Evidence {
        environment: ENVIRONMENT,
        as_of: date(as_of),
        runs,
        reviews: &[approval("MC-1")],
        stages: &[],
    };
    let assessment = assess(project, &project.pipelines[0], &evidence);
    let gate = assessment.gates.into_iter().find(|gate| gate.name == name).unwrap();
    (gate.answer, gate.reason)
}

fn plain() -> Project {
    project(vec![pipeline("p")], Vec::new())
}

fn column(unexplained: &str, total: &str) -> ColumnReport {
    ColumnReport {
        name: "kg".into(),
        kind: ColumnKind::Measure,
        unit: None,
        verdicts: VerdictCounts::default(),
        legacy_total: Some(Figure(total.into())),
        new_total: None,
        net_difference: None,
        gross_difference: None,
        gross_unexplained: Some(Figure(unexplained.into())),
        max_relative: None,
        not_finite: 0,
        offsetting: false,
        largest: None,
    }
}

#[test]
fn ten_clean_nights_over_a_month_end_open_the_gate() {
    let runs = clean_nights("2025-03-25", 10);
    let project = plain();
    let evidence = Evidence {
        environment: ENVIRONMENT,
        as_of: date("2025-04-03"),
        runs: &runs,
        reviews: &[],
        stages: &[],
    };
    let assessment = assess(&project, &project.pipelines[0], &evidence);
    let answers: Vec<_> = assessment.gates.iter().map(|g| (g.name, g.answer)).collect();
    use GateName::*;
    assert_eq!(answers, [Streak, Coverage, Changes, Differences, Checks].map(|n| (n, GateAnswer::Pass)));
    assert_eq!(assessment.gates[0].reason, "10 of 10 clean nights since 2025-03-25");
    assert_eq!(assessment.gates[0].evidence.len(), 10);
    assert_eq!(assessment.next.unwrap().to, dualrun_core::Stage::Parity);
}

#[test]
fn the_streak_says_what_it_lacks() {
    let project = plain();
    let says = |runs: &[RunRecord], as_of| answer(&project, runs, as_of, GateName::Streak);
    let mut runs = clean_nights("2025-03-01", 12);
    let (gate, reason) = says(&runs, "2025-03-12");
    assert_eq!(gate, GateAnswer::Fail);
    assert_eq!(reason, "12 of 10 clean nights since 2025-03-01, but no month end among them");
    runs[8].outcome = Outcome::Differs;
    assert_eq!(
        says(&runs, "2025-03-12").1,
        "3 of 10 clean nights since 2025-03-10: the night of 2025-03-09 was broken"
    );
    for run in &mut runs[..10] {
        run.hashes.new = "older".into();
    }
    assert_eq!(
        says(&runs, "2025-03-12").1,
        "2 of 10 clean nights since 2025-03-11: the new calculation changed on 2025-03-11"
    );
    assert_eq!(
        says(&runs[..10], "2025-03-10").1,
        "0 of 10 clean nights: the new calculation changed and did not run yet"
    );
    assert_eq!(says(&[], "2025-03-12"), (GateAnswer::Unknown, "0 of 10 clean nights: it never ran".into()));
}

#[test]
fn what_never_ran_is_unknown_everywhere() {
    for name in [GateName::Coverage, GateName::Changes, GateName::Differences, GateName::Checks] {
        assert_eq!(answer(&plain(), &[], "2025-03-12", name).0, GateAnswer::Unknown, "{name}");
    }
}

#[test]
fn a_customer_that_was_not_compared_shuts_the_gate() {
    let runs = [run("2025-03-01").customers(39, 40).build()];
    let (gate, reason) = answer(&plain(), &runs, "2025-03-01", GateName::Coverage);
    assert_eq!(
        (gate, reason.as_str()),
        (GateAnswer::Fail, "39 of 40 customers were compared for 2025-03-01")
    );
    let nobody = [run("2025-03-01").customers(0, 0).build()];
    assert_eq!(answer(&plain(), &nobody, "2025-03-01", GateName::Coverage).0, GateAnswer::Unknown);
}

#[test]
fn changes_in_force_are_approved_and_keep_their_promise() {
    let with = |changes: &[&str], promise: Option<Promise>| {
        let project = project(vec![pipeline("p")], changes.iter().map(|id| change(id)).collect());
        let run = run("2025-03-01");
        let run = match promise {
            Some(promise) => run.bridge("MC-1", promise),
            None => run,
        };
        answer(&project, &[run.build()], "2025-03-01", GateName::Changes)
    };
    assert_eq!(with(&[], None).0, GateAnswer::Pass);
    assert_eq!(with(&["MC-1"], Some(Promise::Kept)).0, GateAnswer::Pass);
    // The review names the broken promise.
    let (gate, reason) = with(&["MC-1"], Some(Promise::Broken));
    assert_eq!(gate, GateAnswer::Fail);
    assert_eq!(reason, "not approved: MC-1 (it does not do what its file promises)");
    assert_eq!(with(&["MC-1"], Some(Promise::NotYetKnown)).0, GateAnswer::Unknown);
    assert_eq!(with(&["MC-1"], None).0, GateAnswer::Unknown);
    let (gate, reason) = with(&["MC-1", "MC-2"], Some(Promise::Kept));
    assert_eq!((gate, reason.as_str()), (GateAnswer::Fail, "not approved: MC-2 (nobody decided yet)"));
}

#[test]
fn a_change_of_later_periods_is_not_asked_for() {
    let project = project(vec![pipeline("p")], vec![change("MC-2")]);
    let runs = [run("2025-02-01").period("2025-01-31").build()];
    let (gate, reason) = answer(&project, &runs, "2025-02-01", GateName::Changes);
    assert_eq!((gate, reason.as_str()), (GateAnswer::Pass, "no methodology change is in force"));
}

#[test]
fn high_criticality_allows_nothing_and_low_a_share() {
    let mut low = plain();
    low.pipelines[0].criticality = Criticality::Low;
    let with = |project: &Project, unexplained: &str, total: &str| {
        let run = run("2025-03-01").report(|report| {
            let mut column = column(unexplained, total);
            column.verdicts.unexplained = 2;
            report.customers_total = 1;
            report.customers.push(CustomerReport {
                customer: Some("acme".into()),
                verdict: CustomerVerdict::Unexplained,
                rows: RowCounts::default(),
                columns: vec![column.clone()],
            });
            report.columns.push(column);
        });
        answer(project, &[run.build()], "2025-03-01", GateName::Differences)
    };
    assert_eq!(with(&low, "1", "1000").0, GateAnswer::Pass);
    assert_eq!(
        with(&low, "2", "1000"),
        (GateAnswer::Fail, "2025-03-01: customer acme: 0.2 % of kg is unexplained".into())
    );
    assert_eq!(with(&low, "0.1", "0").0, GateAnswer::Fail);
    assert_eq!(with(&low, "NaN", "1000").0, GateAnswer::Fail);
    assert_eq!(
        with(&plain(), "1", "1000"),
        (GateAnswer::Fail, "2025-03-01: 2 cells of kg are unexplained".into())
    );
}

#[test]
fn ambiguous_keys_and_lone_rows_are_open_differences() {
    let lone = run("2025-03-01").report(|r| r.rows.one_sided.unexplained = 1).build();
    assert_eq!(answer(&plain(), &[lone], "2025-03-01", GateName::Differences).0, GateAnswer::Fail);
    let twice = run("2025-03-01").report(|r| r.rows.ambiguous_key.new = 2).build();
    assert_eq!(answer(&plain(), &[twice], "2025-03-01", GateName::Differences).0, GateAnswer::Fail);
    let late = run("2025-03-01").outcome(Outcome::NotComparable).build();
    assert_eq!(answer(&plain(), &[late], "2025-03-01", GateName::Differences).0, GateAnswer::Unknown);
}

#[test]
fn checks_must_have_run() {
    let says = |run: RunRecord| answer(&plain(), &[run], "2025-03-01", GateName::Checks);
    assert_eq!(says(run("2025-03-01").checks(true).build()).0, GateAnswer::Pass);
    assert_eq!(
        says(run("2025-03-01").checks(false).build()),
        (GateAnswer::Fail, "a data check of 2025-03-01 failed: no gaps (new side)".into())
    );
    assert_eq!(says(run("2025-03-01").build()).0, GateAnswer::Unknown);
    assert_eq!(says(run("2025-03-01").outcome(Outcome::Failed).checks(false).build()).0, GateAnswer::Unknown);
}
