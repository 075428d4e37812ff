//! Lines that fit a terminal.

/// How wide a line may be.
pub(crate) const WIDTH: usize = 100;

/// Words in lines of at most [`WIDTH`] columns: the first is indented by `first`, the others by `rest`. A word that
/// is longer, such as a path, keeps its line to itself. Ends with a line break.
pub fn paragraph(text: &str, first: usize, rest: usize) -> String {
    let mut result = String::new();
    for (n, line) in
        lines(text, WIDTH.saturating_sub(first), WIDTH.saturating_sub(rest)).into_iter().enumerate()
    {
        result.push_str(&" ".repeat(if n == 0 { first } else { rest }));
        result.push_str(&line);
        result.push('\n');
    }
    result
}

/// The words in lines: the first as wide as `first`, the others as wide as `rest`.
pub(crate) fn lines(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let width = if lines.len() == 1 { first } else { rest };
        let length = visible(word);
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
        }
        used += length;
    }
    lines
}

/// Columns that a terminal shows: escape sequences have no width.
pub(crate) fn visible(text: &str) -> usize {
    let mut count = 0;
    let mut escape = false;
    for c in text.chars() {
        match (escape, c) {
            (false, '\x1b') => escape = true,
            (true, 'm') => escape = false,
            (true, _) => {}
            (false, _) => count += 1,
        }
    }
    count
}

/// Text from data without what a terminal obeys: control characters become `\u{fffd}`, line breaks spaces.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// At most `width` columns of it, with an ellipsis where something is left out.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_wrapped_and_long_words_stay_whole() {
        let word = "x".repeat(120);
        let text = paragraph(&format!("{} {word} end", "some words ".repeat(10)), 2, 4);
        assert!(text.lines().all(|line| line.len() <= WIDTH || line.trim() == word), "{text}");
        assert_eq!(text.lines().count(), 4);
        assert!(text.lines().skip(1).all(|line| line.starts_with("    ")));
    }

    #[test]
    fn data_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\nc"), "a\u{fffd}[2Jb c");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
    }
}
