//! The folders of a table whose path says how it is partitioned.

use jiff::civil::Date;

use crate::{Period, PeriodUnit};

/// What stands for the day of rows that have none, as Hive names it.
pub const DEFAULT_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// A table in a folder: `bronze/usage/day={day}/` is the table `bronze/usage` with one folder a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The folder of the table in its source, without a slash at its end.
    pub root: String,
    /// What follows, with `{day}` and `{month}`; empty where the table has no partitions.
    template: String,
    /// The length of the time of a partition.
    pub unit: Option<PeriodUnit>,
}

impl Layout {
    /// The layout of a path. `None` where the path is not that of a folder, or its table has no folder of its own.
    pub fn of(path: &str) -> Option<Self> {
        let folder = path.trim_start_matches("./").strip_suffix('/')?;
        let (root, template) = match folder.find('{') {
            None => (folder, ""),
            Some(at) => folder.split_at(folder[..at].rfind('/').map_or(0, |slash| slash + 1)),
        };
        let root = root.trim_end_matches('/');
        if root.is_empty() || root.split('/').any(|part| part.is_empty() || part.starts_with(['.', '_'])) {
            return None;
        }
        let unit = match (template.contains("{day}"), template.contains("{month}")) {
            (true, _) => Some(PeriodUnit::Day),
            (false, true) => Some(PeriodUnit::Month),
            (false, false) => None,
        };
        Some(Self { root: root.to_owned(), template: template.to_owned(), unit })
    }

    /// The partition of a day; none where the table has no partitions.
    pub fn period(&self, day: Date) -> Option<Period> {
        self.unit.map(|unit| Period::containing(day, unit))
    }

    /// The folder of a partition below the table, without a slash at its end; `None` for rows without a day.
    pub fn folder(&self, period: Option<Period>) -> String {
        let (day, month) = match period {
            Some(period) => {
                let start = period.start();
                (start.to_string(), format!("{:04}-{:02}", start.year(), start.month()))
            }
            None => (DEFAULT_PARTITION.to_owned(), DEFAULT_PARTITION.to_owned()),
        };
        self.template.replace("{day}", &day).replace("{month}", &month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_how_its_table_is_partitioned() {
        let layout = Layout::of("bronze/usage/month={month}/day={day}/").unwrap();
        assert_eq!((layout.root.as_str(), layout.unit), ("bronze/usage", Some(PeriodUnit::Day)));
        let period = layout.period("2025-03-01".parse().unwrap());
        assert_eq!(layout.folder(period), "month=2025-03/day=2025-03-01");
        assert_eq!(layout.folder(None), "month=__HIVE_DEFAULT_PARTITION__/day=__HIVE_DEFAULT_PARTITION__");
        let monthly = Layout::of("bronze/usage/month={month}/").unwrap();
        assert_eq!(monthly.folder(monthly.period("2025-03-09".parse().unwrap())), "month=2025-03");
        let whole = Layout::of("./bronze/usage/").unwrap();
        assert_eq!(
            (whole.root.as_str(), whole.unit, whole.folder(None).as_str()),
            ("bronze/usage", None, "")
        );
        assert_eq!(Layout::of("bronze/{day}/x/").unwrap().root, "bronze");
    }

    #[test]
    fn a_file_or_a_whole_source_is_no_table() {
        for path in ["usage.parquet", "bronze/usage", "day={day}/", "/", "", "_x/", "a//b/", "../x/"] {
            assert_eq!(Layout::of(path), None, "{path}");
        }
    }
}
