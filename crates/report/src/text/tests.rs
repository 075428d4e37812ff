use dualrun_core::{ExitCode, night::NightReport, run::RunReport};

use super::{explain, night, review_list, review_show, run, sentence, status, wrap};
use crate::{Style, testing};

const PLAIN: Style = Style::PLAIN;

/// Every line fits, unless it is one long word.
fn fits(text: &str) {
    for line in text.lines() {
        assert!(wrap::visible(line) <= wrap::WIDTH || line.split_whitespace().count() == 1, "{line}");
    }
}

macro_rules! reads {
    ($name:ident, $text:expr) => {
        #[test]
        fn $name() {
            let text = $text;
            fits(&text);
            insta::assert_snapshot!(text);
        }
    };
}

reads!(an_agreeing_run, run(&testing::agreeing(), PLAIN));
reads!(a_run_with_everything, run(&testing::differing(), PLAIN));
reads!(a_failed_run, run(&testing::failed(), PLAIN));
reads!(a_diff_with_one_sided_columns, run(&testing::one_sided(), PLAIN));
reads!(a_diff_without_customers, run(&testing::without_customers(), PLAIN));
reads!(an_explanation, explain(&testing::differing(), PLAIN));
reads!(an_explanation_of_truncated_differences, explain(&testing::without_customers(), PLAIN));
reads!(an_explanation_of_agreement, explain(&testing::agreeing(), PLAIN));
reads!(a_night, night(&testing::night(), PLAIN));
reads!(a_status, status(&testing::status(), PLAIN));
reads!(a_list_of_changes, review_list(&testing::status().changes, PLAIN));
reads!(an_approved_change, review_show(&testing::change(0), PLAIN));
reads!(a_change_with_a_broken_promise, review_show(&testing::change(1), PLAIN));

#[test]
fn colours_add_nothing_but_colours() {
    let color = Style { color: true };
    let stripped = |text: String| {
        let mut plain = String::new();
        let mut escape = false;
        for c in text.chars() {
            match (escape, c) {
                (false, '\x1b') => escape = true,
                (true, 'm') => escape = false,
                (true, _) => {}
                (false, c) => plain.push(c),
            }
        }
        plain
    };
    assert_eq!(stripped(run(&testing::differing(), color)), run(&testing::differing(), PLAIN));
    assert_eq!(stripped(status(&testing::status(), color)), status(&testing::status(), PLAIN));
    assert_eq!(stripped(night(&testing::night(), color)), night(&testing::night(), PLAIN));
    assert!(run(&testing::differing(), color).contains("\x1b[31mdiffers\x1b[0m"));
}

#[test]
fn a_night_without_runs_says_so() {
    let day = "2025-03-04".parse().unwrap();
    let text = night(&NightReport::empty(day, day, "prod", ExitCode::Nothing), PLAIN);
    assert!(text.contains("no pipeline was due") && text.contains("exit code 99: nothing to do"), "{text}");
}

#[test]
fn a_night_says_how_many_of_its_runs_stand_on_an_earlier_one() {
    let mut report = testing::night();
    assert!(!night(&report, PLAIN).contains("nothing changed"));
    report.unchanged = 5;
    let text = night(&report, PLAIN);
    fits(&text);
    assert!(
        text.contains("\nnothing changed since an earlier night in 5 of 7 runs: its verdicts stand\n"),
        "{text}"
    );
}

#[test]
fn sentences_count_in_words_that_fit_the_number() {
    let of = |change: &dyn Fn(&mut RunReport)| {
        let mut report = testing::one_sided();
        change(&mut report);
        sentence(&report)
    };
    assert_eq!(of(&|_| ()), "3 columns on one side only");
    let agrees = |paired: u64, within: u64, explained: u64| {
        of(&|r| {
            r.outcome = dualrun_core::Outcome::Agrees;
            r.rows.paired = paired;
            r.rows.verdicts.within_tolerance = within;
            r.rows.verdicts.explained = explained;
        })
    };
    assert_eq!(agrees(0, 0, 0), "both sides are empty");
    assert_eq!(agrees(1, 0, 0), "the one row agrees");
    assert_eq!(agrees(9, 2, 0), "all 9 rows agree, 2 of them within tolerance");
    assert_eq!(agrees(9, 2, 1), "1 of 9 rows differs, by approved changes only, 2 more within tolerance");
}

#[test]
fn columns_whose_names_differ_in_case_only_come_with_a_hint() {
    let mut report = testing::one_sided();
    for column in &mut report.columns {
        match column.kind {
            dualrun_core::run::ColumnKind::LegacyOnly => column.name = "CO2e".to_owned(),
            dualrun_core::run::ColumnKind::NewOnly if column.name == "pue" => column.name = "co2e".to_owned(),
            _ => {}
        }
    }
    let text = run(&report, PLAIN).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("\"CO2e\" and \"co2e\" differ in case only"), "{text}");
    assert!(text.contains("from = \"CO2e\", column = \"co2e\""), "{text}");
}
