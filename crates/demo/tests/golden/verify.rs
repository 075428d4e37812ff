//! A case against what is calculated.

use std::{collections::BTreeSet, path::Path};

use dualrun_core::{Period, input::Side};

use crate::{
    agreement,
    calculation::Calculations,
    case::{Case, Expect},
    figure, project,
};

/// What is wrong with the case of a folder, one text each; none where every figure is reached.
pub(crate) async fn folder(folder: &Path) -> Vec<String> {
    failures(folder).await.unwrap_or_else(|failure| vec![failure])
}

async fn failures(folder: &Path) -> Result<Vec<String>, String> {
    let case = Case::read(folder)?;
    let project = project::of_case(folder, &case)?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut calculations = Calculations::new(&project, &case, folder, scratch.path()).await?;
    let periods = case.periods()?;
    let unit = calculations.pipeline().result.period.unit;
    if periods.iter().any(|period| period.unit() != unit) {
        return Err(format!("the periods of {} are {unit:?}s", case.pipeline).to_lowercase());
    }
    let mut failures = Vec::new();
    for expect in &case.expect {
        if let Err(failure) = figure(&mut calculations, expect, &periods).await {
            failures.push(format!("{}\n  {failure}", expect.words()));
        }
    }
    for period in &periods {
        failures.extend(unexplained(&mut calculations, *period).await?);
        for side in Side::BOTH {
            failures.extend(calculations.failed_checks(*period, side).await?);
        }
    }
    Ok(failures)
}

/// Checks one expectation.
async fn figure(
    calculations: &mut Calculations<'_>,
    expect: &Expect,
    periods: &[Period],
) -> Result<(), String> {
    figure::parse(&expect.value)?;
    let results = calculations.of(expect.side, expect.changes.as_deref(), periods).await?;
    let mut found = figure::sum(&results, &expect.column, &expect.rows)?;
    if let Some(minus) = &expect.minus {
        let results = calculations.of(expect.side, Some(minus), periods).await?;
        found -= figure::sum(&results, &expect.column, &expect.rows)?;
    }
    if let Some(factor) = &expect.multiply {
        found *= figure::parse(factor)?;
    }
    let printed = figure::printed_like(&found, &expect.value);
    if printed == expect.value {
        return Ok(());
    }
    Err(format!("wanted {}\n  found  {printed} ({})", expect.value, found.with_prec(20).to_plain_string()))
}

/// Where v(∅), the new calculation under the old method, is not w(all), the legacy one with all declared fixes.
async fn unexplained(calculations: &mut Calculations<'_>, period: Period) -> Result<Vec<String>, String> {
    let fixes = calculations.fixes();
    let legacy = calculations.result(period, Side::Legacy, &fixes).await?;
    let new = calculations.result(period, Side::New, &BTreeSet::new()).await?;
    let found = agreement::differences(calculations.pipeline(), &legacy, &new)?;
    let told =
        found.iter().map(|cell| format!("{period}: under the old method new differs from legacy\n  {cell}"));
    Ok(told.collect())
}
