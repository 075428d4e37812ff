//! Plain tables: columns as wide as their widest cell, two spaces between, the last one wrapped.

use super::wrap::{WIDTH, lines, visible};

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// The last column is not made narrower than this.
const NARROWEST: usize = 24;

/// A table that grows row by row.
pub(crate) struct Table {
    header: Vec<String>,
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[(&str, Align)]) -> Self {
        Self {
            header: header.iter().map(|(name, _)| (*name).to_owned()).collect(),
            align: header.iter().map(|(_, align)| *align).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table, each line indented by two spaces. Columns without any content are left out, and the header where
    /// no column has a name.
    pub(crate) fn render(&self) -> String {
        let cell = |row: &[String], n: usize| row.get(n).cloned().unwrap_or_default();
        let shown: Vec<usize> =
            (0..self.align.len()).filter(|n| self.rows.iter().any(|row| !cell(row, *n).is_empty())).collect();
        let named = self.header.iter().any(|name| !name.is_empty());
        let all: Vec<&Vec<String>> = named.then_some(&self.header).into_iter().chain(&self.rows).collect();
        let widths: Vec<usize> =
            shown.iter().map(|n| all.iter().map(|row| visible(&cell(row, *n))).max().unwrap_or(0)).collect();
        let mut text = String::new();
        for row in all {
            let mut line = String::new();
            for (place, (n, width)) in shown.iter().zip(&widths).enumerate() {
                let cell = cell(row, *n);
                let used = visible(&line) + 2;
                let last = place + 1 == shown.len() && self.align[*n] == Align::Left;
                if last && used + visible(&cell) > WIDTH {
                    let room = WIDTH.saturating_sub(used).max(NARROWEST);
                    line.push_str("  ");
                    line.push_str(&lines(&cell, room, room).join(&format!("\n{}", " ".repeat(used))));
                    continue;
                }
                let space = " ".repeat(width.saturating_sub(visible(&cell)));
                match self.align[*n] {
                    Align::Left => line.extend(["  ", &cell, &space]),
                    Align::Right => line.extend(["  ", &space, &cell]),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_do_not_move_columns() {
        let mut table = Table::new(&[("name", Align::Left), ("n", Align::Right)]);
        table.row(["\x1b[31mred\x1b[0m", "1"]);
        table.row(["blue-ish", "10"]);
        assert_eq!(table.render(), "  name       n\n  \x1b[31mred\x1b[0m        1\n  blue-ish  10\n");
    }

    #[test]
    fn empty_columns_are_left_out_and_the_last_is_wrapped() {
        let mut table = Table::new(&[("a", Align::Left), ("b", Align::Right), ("c", Align::Left)]);
        table.row(["x".to_owned(), String::new(), "word ".repeat(30).trim().to_owned()]);
        let text = table.render();
        assert_eq!(text.lines().next(), Some("  a  c"));
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.lines().skip(2).all(|line| line.starts_with("     word") && line.len() <= WIDTH),
            "{text}"
        );
    }
}
