//! Reads just enough of a SQL text to know its tables and parameters.

use std::ops::Range;

/// What to do about a text that is no query.
pub(crate) const HINT: &str = "close every quote and comment, and write one query";

/// A name with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

/// What a query mentions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// Tables after FROM and JOIN that no WITH of the query defines, in the order of the text.
    pub(crate) tables: Vec<Name>,
    /// `$name` parameters, without the `$`, in the order of the text.
    pub(crate) parameters: Vec<Name>,
    /// A quote or comment that never ends, or an empty query.
    pub(crate) broken: Option<(Range<usize>, &'static str)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// An unquoted word, in lower case as the engine reads it.
    Word,
    /// A quoted identifier, as it stands.
    Quoted,
    Parameter,
    Symbol(char),
    /// A string or number.
    Literal,
}

struct Token {
    kind: Kind,
    text: String,
    span: Range<usize>,
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    fn is_symbol(&self, symbol: char) -> bool {
        self.kind == Kind::Symbol(symbol)
    }

    fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }
}

/// The tables and parameters of a query.
pub(crate) fn mentions(sql: &str) -> Mentions {
    let (tokens, mut broken) = tokens(sql);
    if tokens.is_empty() && broken.is_none() {
        broken = Some((0..0, "is empty"));
    }
    let parameters = tokens
        .iter()
        .filter(|t| t.kind == Kind::Parameter)
        .map(|t| Name { text: t.text.clone(), span: t.span.clone() })
        .collect();
    Mentions { tables: tables(&tokens), parameters, broken }
}

/// Words that end a list of tables, so that they are not taken for an alias.
const AFTER_TABLE: &[&str] = &[
    "where",
    "group",
    "order",
    "having",
    "limit",
    "offset",
    "union",
    "except",
    "intersect",
    "join",
    "inner",
    "left",
    "right",
    "full",
    "cross",
    "natural",
    "on",
    "using",
    "window",
    "qualify",
    "fetch",
    "lateral",
    "semi",
    "anti",
    "tablesample",
    "select",
    "from",
];

fn tables(tokens: &[Token]) -> Vec<Name> {
    let ctes = ctes(tokens);
    let mut found = Vec::new();
    // One entry a parenthesis: whether a SELECT stands in it. `extract(day FROM x)` has none, and its FROM is
    // no clause.
    let mut queries = vec![false];
    for (i, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Symbol('(') => queries.push(tokens.get(i + 1).is_some_and(|t| t.is_word("from"))),
            Kind::Symbol(')') if queries.len() > 1 => {
                queries.pop();
            }
            Kind::Word if token.text == "select" => {
                if let Some(query) = queries.last_mut() {
                    *query = true;
                }
            }
            Kind::Word if token.text == "join" => {
                table_at(tokens, i + 1, &mut found);
            }
            Kind::Word if token.text == "from" => {
                let is_query = queries.last() == Some(&true) || i == 0;
                let is_distinct = i > 0 && tokens.get(i - 1).is_some_and(|t| t.is_word("distinct"));
                if is_query && !is_distinct {
                    let mut at = i + 1;
                    while let Some(next) = table_at(tokens, at, &mut found) {
                        at = next;
                    }
                }
            }
            _ => {}
        }
    }
    found.retain(|name| !ctes.iter().any(|cte| cte.defines(name)));
    found
}

/// Takes the table at this token, and returns where the next one of a comma list stands.
fn table_at(tokens: &[Token], mut at: usize, found: &mut Vec<Name>) -> Option<usize> {
    while tokens.get(at).is_some_and(|t| t.is_word("lateral") || t.is_word("only")) {
        at += 1;
    }
    let token = tokens.get(at).filter(|t| t.is_name())?;
    let next = tokens.get(at + 1);
    // A function such as unnest(…), or a qualified name, is no table of the project.
    if next.is_some_and(|t| t.is_symbol('(') || t.is_symbol('.')) || token.is_word("select") {
        return None;
    }
    found.push(Name { text: token.text.clone(), span: token.span.clone() });
    at += 1;
    if tokens.get(at).is_some_and(|t| t.is_word("as")) {
        at += 1;
    }
    if tokens.get(at).is_some_and(|t| t.is_name() && !AFTER_TABLE.contains(&t.text.as_str())) {
        at += 1;
    }
    tokens.get(at).filter(|t| t.is_symbol(','))?;
    Some(at + 1)
}

/// A table that a WITH defines.
struct Cte {
    name: String,
    /// The parentheses of its query, in bytes.
    body: Range<usize>,
    recursive: bool,
}

impl Cte {
    /// Before its own end the name still means the table outside, unless the WITH is recursive.
    fn defines(&self, name: &Name) -> bool {
        let from = if self.recursive { self.body.start } else { self.body.end };
        self.name == name.text && name.span.start >= from
    }
}

fn ctes(tokens: &[Token]) -> Vec<Cte> {
    let recursive =
        tokens.windows(2).any(|w| matches!(w, [a, b] if a.is_word("with") && b.is_word("recursive")));
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let starts = i.checked_sub(1).and_then(|p| tokens.get(p)).is_some_and(|before| {
            before.is_word("with") || before.is_word("recursive") || before.is_symbol(',')
        });
        if !starts || !token.is_name() {
            continue;
        }
        let mut at = i + 1;
        if tokens.get(at).is_some_and(|t| t.is_symbol('(')) {
            at = closing(tokens, at) + 1;
        }
        if !tokens.get(at).is_some_and(|t| t.is_word("as")) {
            continue;
        }
        at += 1;
        while tokens.get(at).is_some_and(|t| t.is_word("not") || t.is_word("materialized")) {
            at += 1;
        }
        if let Some(open) = tokens.get(at).filter(|t| t.is_symbol('(')) {
            let end = tokens.get(closing(tokens, at)).map_or(usize::MAX, |t| t.span.end);
            found.push(Cte { name: token.text.clone(), body: open.span.start..end, recursive });
        }
    }
    found
}

/// The index of the parenthesis that closes the one at `open`; the number of tokens where none does.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Symbol('(') => depth += 1,
            Kind::Symbol(')') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

fn tokens(sql: &str) -> (Vec<Token>, Option<(Range<usize>, &'static str)>) {
    let mut found = Vec::new();
    let mut broken = None;
    let mut at = 0;
    while let Some(c) = rest(sql, at).chars().next() {
        let start = at;
        let text = rest(sql, at);
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if text.starts_with("--") {
            at += text.find('\n').unwrap_or(text.len());
        } else if text.starts_with("/*") {
            match comment(text) {
                Some(length) => at += length,
                None => {
                    broken = broken.or(Some((start..start + 2, "has a comment without an end")));
                    break;
                }
            }
        } else if c == '\'' || c == '"' || c == '`' {
            match quoted(text, c) {
                Some((length, content)) => {
                    at += length;
                    let kind = if c == '\'' { Kind::Literal } else { Kind::Quoted };
                    found.push(Token { kind, text: content, span: start..at });
                }
                None => {
                    broken = broken.or(Some((start..start + 1, "has a quote without an end")));
                    break;
                }
            }
        } else if c == '$' {
            let name: String = text.chars().skip(1).take_while(|c| is_word(*c)).collect();
            let tag = format!("${name}$");
            if text.starts_with(&tag) {
                // A dollar-quoted string.
                match text.get(tag.len()..).and_then(|body| body.find(&tag)) {
                    Some(length) => at += length + 2 * tag.len(),
                    None => {
                        broken = broken.or(Some((start..start + tag.len(), "has a quote without an end")));
                        break;
                    }
                }
                found.push(Token { kind: Kind::Literal, text: String::new(), span: start..at });
            } else {
                at += 1 + name.len();
                found.push(Token { kind: Kind::Parameter, text: name, span: start..at });
            }
        } else if is_word(c) {
            let word: String = text.chars().take_while(|c| is_word(*c)).collect();
            at += word.len();
            let kind = if c.is_ascii_digit() { Kind::Literal } else { Kind::Word };
            found.push(Token { kind, text: word.to_lowercase(), span: start..at });
        } else {
            at += c.len_utf8();
            found.push(Token { kind: Kind::Symbol(c), text: String::new(), span: start..at });
        }
    }
    (found, broken)
}

fn rest(sql: &str, at: usize) -> &str {
    sql.get(at..).unwrap_or_default()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a comment, which may hold others.
fn comment(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let tail = text.get(at..)?;
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth = depth.checked_sub(1)?;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += tail.chars().next()?.len_utf8();
        }
    }
}

/// The length of a quoted text with its quotes, and its content. A doubled quote is one.
fn quoted(text: &str, quote: char) -> Option<(usize, String)> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        if c != quote {
            content.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            content.push(quote);
            chars.next();
        } else {
            return Some((i + quote.len_utf8(), content));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables_of(sql: &str) -> Vec<String> {
        mentions(sql).tables.into_iter().map(|t| t.text).collect()
    }

    fn parameters_of(sql: &str) -> Vec<String> {
        mentions(sql).parameters.into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn tables_stand_after_from_and_join() {
        assert_eq!(
            tables_of("select * from Usage u, \"Rates\" as r, c where x in (select 1 from d)"),
            ["usage", "Rates", "c", "d"]
        );
        assert_eq!(
            tables_of("select 1 from a left join b using (k) join (select * from c) s on true"),
            ["a", "b", "c"]
        );
        assert_eq!(tables_of("select 1 from a cross join lateral unnest(a.items) t, other.schema"), ["a"]);
    }

    #[test]
    fn a_from_of_a_function_is_no_clause() {
        assert_eq!(tables_of("select extract(month from day), a is distinct from b from usage"), ["usage"]);
        assert_eq!(tables_of("select trim(both 'x' from name) from usage"), ["usage"]);
    }

    #[test]
    fn a_with_hides_tables_from_its_end_on() {
        assert_eq!(
            tables_of("with usage as (select * from usage), x(a) as (select 1 from usage) select * from x"),
            ["usage"]
        );
        assert_eq!(
            tables_of("with recursive r as (select 1 from a union all select 1 from r) select 1 from r"),
            ["a"]
        );
    }

    #[test]
    fn quotes_and_comments_hold_neither() {
        let sql = "-- from x $a\nselect '$b from y', \"$c\" /* $d /* from z */ */ from usage where v = $e and w = $$ $f $$";
        assert_eq!((tables_of(sql), parameters_of(sql)), (vec!["usage".into()], vec!["e".into()]));
        assert_eq!(parameters_of("select 'it''s $x', $y"), ["y"]);
    }

    #[test]
    fn a_quote_without_an_end_is_told() {
        assert_eq!(mentions("select 'a").broken, Some((7..8, "has a quote without an end")));
        assert!(mentions("select /* a").broken.is_some());
        assert!(mentions(" -- nothing\n").broken.is_some());
        assert!(mentions("select \"é\" from ü").broken.is_none());
    }
}
