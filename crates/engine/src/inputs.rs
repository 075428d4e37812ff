//! From a declared input to its rows for one period.

use std::{collections::BTreeMap, sync::Arc};

use dualrun_core::{
    Period, PeriodError,
    input::{InputDecl, Side},
    period::time_zone,
};
use dualrun_mapping::plan::Pipeline;
use dualrun_sources::{DaysOf, InputTable};
use jiff::{ToSpan, civil::Date};
use sha2::{Digest, Sha256};

use crate::{
    calculate::hex,
    context::{Context, InputRequest, Place},
    error::EngineError,
    window,
};

/// Another version of the program may read the same files in another way.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The inputs of one side by name.
pub type Tables = BTreeMap<String, Arc<InputTable>>;

/// Reads every input of a side for a period and its margin.
///
/// # Errors
/// The first input that cannot be read.
pub async fn read_side(
    context: &Context,
    pipeline: &Pipeline,
    side: Side,
    period: Period,
) -> Result<Tables, EngineError> {
    let mut tables = Tables::new();
    for input in &pipeline.inputs {
        if let Some(table) = read_input(context, pipeline, input, side, period).await? {
            tables.insert(input.name.clone(), Arc::new(table));
        }
    }
    Ok(tables)
}

/// Recognises the inputs of both sides without reading them: SHA-256 (hex) over what their sources say of the files,
/// with the pipeline, its mapping, the environment and the version of this program, which read them. `None` where a
/// source cannot tell, or cannot be asked: reading will say why.
pub(crate) async fn identity(context: &Context, pipeline: &Pipeline, period: Period) -> Option<String> {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    let (id, period_text) = (pipeline.id.as_str(), period.to_string());
    for text in [VERSION, &context.environment, id, &period_text, &pipeline.mapping_hash] {
        add(text);
    }
    let mut requests = Vec::new();
    for side in Side::BOTH {
        for input in &pipeline.inputs {
            if let Some(request) = request(context, input, side, period).ok()? {
                add(&format!("{side}.{}", input.name));
                requests.push(request);
            }
        }
    }
    let asked = requests.iter().map(|request| context.inputs.identity(request));
    for identity in futures::future::join_all(asked).await {
        add(&identity.ok()??);
    }
    Some(hex(&hash.finalize()))
}

/// Gives an input of which one side has no file, and so no columns, the columns of the other side: its calculation
/// has no rows to read, but can be planned.
pub fn lend_columns(sides: &mut [Tables; 2]) {
    let names: Vec<String> = sides.iter().flat_map(|tables| tables.keys().cloned()).collect();
    for name in names {
        let schemas = [0, 1].map(|side: usize| sides[side].get(&name).map(|table| Arc::clone(&table.schema)));
        let [Some(legacy), Some(new)] = schemas else { continue };
        let lent = match (legacy.fields().is_empty(), new.fields().is_empty()) {
            (true, false) => (0, new),
            (false, true) => (1, legacy),
            _ => continue,
        };
        if let Some(table) = sides[lent.0].get_mut(&name) {
            let mut with_columns = (**table).clone();
            with_columns.schema = lent.1;
            *table = Arc::new(with_columns);
        }
    }
}

async fn read_input(
    context: &Context,
    pipeline: &Pipeline,
    input: &InputDecl,
    side: Side,
    period: Period,
) -> Result<Option<InputTable>, EngineError> {
    let Some(request) = request(context, input, side, period)? else { return Ok(None) };
    let failed = |source| EngineError::Input { input: input.name.clone(), side, source };
    let mut table = context.inputs.read(&request).await.map_err(failed)?;
    if let Some(wanted) = &request.days {
        let zone = time_zone(&pipeline.result.period.time_zone)?;
        window::keep(&mut table, wanted, &zone).map_err(failed)?;
    }
    Ok(Some(table))
}

/// What would be read of an input; none where the side has none.
///
/// # Errors
/// At the ends of the calendar.
pub fn request<'a>(
    context: &'a Context,
    input: &'a InputDecl,
    side: Side,
    period: Period,
) -> Result<Option<InputRequest<'a>>, EngineError> {
    let Some(place) = input.on(side) else { return Ok(None) };
    let Some(source) = context.project.settings.source.get(&place.source) else {
        // The plan was checked: every input names a declared source.
        return Ok(None);
    };
    let days = days_around(period, input.margin.0)?;
    let wanted = match (&input.time, days.first(), days.last()) {
        (Some(column), Some(first), Some(last)) => {
            let end = last.tomorrow().map_err(|_| PeriodError::Range(period.to_string()))?;
            Some(DaysOf { column: column.clone(), first: *first, end })
        }
        _ => None,
    };
    let places = expand(&source.url, place.place(), &days);
    Ok(Some(InputRequest { source, places, shape: &input.shape, days: wanted }))
}

/// The days of the period and `margin` days before and after it.
///
/// # Errors
/// At the ends of the calendar.
pub fn days_around(period: Period, margin: u16) -> Result<Vec<Date>, EngineError> {
    let mut days = period.days()?;
    let margin = i64::from(margin);
    let (first, end) = (period.start(), period.end()?);
    for n in 1..=margin {
        days.extend(first.checked_sub(n.days()).ok());
        days.extend(end.checked_add((n - 1).days()).ok());
    }
    days.sort();
    Ok(days)
}

/// Replaces `{day}` and `{month}` in a folder and a path; each result once, in order.
pub fn expand(url: &str, path: &str, days: &[Date]) -> Vec<Place> {
    let both = format!("{url}\0{path}");
    let mut places: Vec<Place> = Vec::new();
    for day in days {
        let text = both
            .replace("{day}", &day.to_string())
            .replace("{month}", &format!("{:04}-{:02}", day.year(), day.month()));
        if let Some((url, path)) = text.split_once('\0') {
            let place = Place { url: url.to_owned(), path: path.to_owned() };
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_with_its_margin() {
        let days = days_around("2025-03-01".parse().unwrap(), 1).unwrap();
        let places = expand("data/{day}", "core", &days);
        let urls: Vec<_> = places.iter().map(|p| p.url.as_str()).collect();
        assert_eq!(urls, ["data/2025-02-28", "data/2025-03-01", "data/2025-03-02"]);
        assert_eq!(expand("data/{month}", "x", &days).len(), 2);
        assert_eq!(expand("data", "x", &days).len(), 1);
    }

    #[test]
    fn a_month_is_read_day_by_day() {
        let days = days_around("2025-02".parse().unwrap(), 0).unwrap();
        assert_eq!(expand("d", "bronze/day={day}/", &days).len(), 28);
    }
}
