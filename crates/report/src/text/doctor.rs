//! What `dualrun doctor` found, for a terminal.

use std::fmt::Write;

use dualrun_core::doctor::{DoctorReport, Health};

use super::{
    table::{Align, Table},
    wrap::plain,
};
use crate::style::Style;

/// Everything that was looked at, what is wrong with it and what to do.
pub fn doctor(report: &DoctorReport, style: Style) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}  environment {}", style.bold(&plain(&report.project)), report.environment);
    for examined in &report.examined {
        let _ = writeln!(
            text,
            "\n{}  {}",
            style.bold(&plain(&examined.name)),
            style.dim(&plain(&format!("{}, {}", examined.kind, examined.place)))
        );
        let mut table = Table::new(&[("", Align::Left), ("", Align::Left), ("", Align::Left)]);
        for check in &examined.checks {
            let word = check.health.as_str();
            let word = match check.health {
                Health::Ok => style.good(word),
                Health::Unknown => style.dim(word),
                Health::Warning => style.warn(word),
                Health::Error => style.bad(word),
            };
            table.row([word, plain(&check.name), plain(&check.found)]);
            if let Some(advice) = &check.advice {
                table.row([String::new(), String::new(), format!("→ {}", plain(advice))]);
            }
        }
        text.push_str(&table.render());
    }
    let counts = [Health::Error, Health::Warning, Health::Unknown, Health::Ok].map(|health| {
        let n = report.count(health);
        let plural = if n == 1 || matches!(health, Health::Ok | Health::Unknown) { "" } else { "s" };
        format!("{n} {}{plural}", health.as_str())
    });
    let _ = writeln!(text, "\n{}", counts.join(", "));
    text
}

#[cfg(test)]
mod tests {
    use dualrun_core::{
        ExitCode,
        doctor::{Check, Examined},
    };

    use super::*;

    #[test]
    fn every_check_and_what_to_do() {
        let checks = vec![
            Check::ok("reachable", "answers in 3 ms"),
            Check::warning(
                "rights",
                "may also INSERT into public.usage",
                "REVOKE INSERT ON public.usage FROM reader: dualrun only reads, and a mistake of somebody else must not \
                 write there under its name",
            ),
            Check::unknown("replica", "the server does not tell"),
            Check::error("index", "there is no column day", Some("check `time`".into()), ExitCode::Usage),
        ];
        let examined = Examined {
            name: "source legacy".into(),
            kind: "postgres".into(),
            place: "postgres://db.example:5432/core".into(),
            checks,
        };
        let report = DoctorReport::new("Green IT", "default", vec![examined]);
        insta::assert_snapshot!(doctor(&report, Style::PLAIN));
    }
}
