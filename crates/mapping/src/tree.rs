//! A parsed TOML file that knows where everything stands.

use std::{collections::BTreeMap, fmt, ops::Range};

use toml::de::{DeTable, DeValue};

/// A value with its place in the file, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// A TOML value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Text, and what stands in the file where a `${VAR}` of it was replaced: messages quote that.
    Text {
        text: String,
        written: Option<String>,
    },
    Integer(i64),
    /// An integer beyond 64 bits or a float beyond all numbers.
    OutOfRange(String),
    Float(f64),
    Boolean(bool),
    /// A date, time or both in the words of RFC 3339.
    Datetime(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Range<usize>,
    pub(crate) node: Node,
}

/// One step from a value into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<&String> for Step {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way from the root of a file to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    pub(crate) fn join(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    pub(crate) fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for step in &self.0 {
            match step {
                Step::Key(key) if first => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
            first = false;
        }
        Ok(())
    }
}

/// `at!["input", 0, "name"]`
macro_rules! at {
    ($($step:expr),* $(,)?) => { $crate::tree::Path(vec![$($crate::tree::Step::from($step)),*]) };
}
pub(crate) use at;

/// A mistake of syntax.
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) span: Option<Range<usize>>,
}

impl Node {
    /// Reads a TOML text.
    ///
    /// # Errors
    /// Every mistake of syntax that the parser can tell apart.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<SyntaxError>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let span = table.span();
            return Ok(Self { span, value: from_table(table.into_inner()) });
        }
        let syntax = |e: &toml::de::Error| SyntaxError { message: e.message().to_owned(), span: e.span() };
        Err(errors.iter().map(syntax).collect())
    }

    pub(crate) fn table(&self) -> Option<&BTreeMap<String, Entry>> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> &[Node] {
        match &self.value {
            Value::List(list) => list,
            _ => &[],
        }
    }

    /// The value below a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.table()?.get(key).map(|e| &e.node)
    }

    /// The place of a path: of its value, or where it ends early of what is there.
    pub(crate) fn place(&self, path: &Path) -> Range<usize> {
        let mut at = self;
        for step in &path.0 {
            let next = match (step, &at.value) {
                (Step::Key(key), Value::Table(table)) => table.get(key).map(|e| &e.node),
                (Step::Index(index), Value::List(list)) => list.get(*index),
                _ => None,
            };
            match next {
                Some(node) => at = node,
                None => break,
            }
        }
        at.span.clone()
    }

    /// The place of the key at the end of a path; of its value where the path ends in an index.
    pub(crate) fn key_place(&self, path: &Path) -> Range<usize> {
        if let Some((Step::Key(last), parent)) = path.0.split_last() {
            let mut at = Some(self);
            for step in parent {
                at = at.and_then(|node| match (step, &node.value) {
                    (Step::Key(key), Value::Table(table)) => table.get(key).map(|e| &e.node),
                    (Step::Index(index), Value::List(list)) => list.get(*index),
                    _ => None,
                });
            }
            if let Some(entry) = at.and_then(Node::table).and_then(|t| t.get(last)) {
                return entry.key.clone();
            }
        }
        self.place(path)
    }

    /// Lays another tree over this one: tables are merged, everything else is replaced.
    pub(crate) fn overlay(&mut self, layer: &Node) {
        match (&mut self.value, &layer.value) {
            (Value::Table(base), Value::Table(over)) => {
                for (key, entry) in over {
                    match base.get_mut(key) {
                        Some(below) => below.node.overlay(&entry.node),
                        None => {
                            base.insert(key.clone(), entry.clone());
                        }
                    }
                }
            }
            _ => *self = layer.clone(),
        }
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text { .. } => "a text",
            Value::Integer(_) | Value::OutOfRange(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

fn from_table(table: DeTable<'_>) -> Value {
    Value::Table(
        table
            .into_iter()
            .map(|(key, value)| {
                let at = key.span();
                (key.into_inner().into_owned(), Entry { key: at, node: from_value(value) })
            })
            .collect(),
    )
}

fn from_value(value: toml::Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text { text: text.into_owned(), written: None },
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::OutOfRange(number.to_string()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => Value::OutOfRange(number.to_string()),
        },
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(value) => Value::Datetime(value.to_string()),
        DeValue::Array(list) => Value::List(list.into_iter().map(from_value).collect()),
        DeValue::Table(table) => from_table(table),
    };
    Node { span, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_merge_tables_and_replace_the_rest() {
        let mut base = Node::parse("[a]\nx = 1\ny = [1, 2]\n").unwrap_or_else(|_| panic!());
        let layer = Node::parse("[a]\ny = [3]\nz = 4\n").unwrap_or_else(|_| panic!());
        base.overlay(&layer);
        let a = base.get("a").unwrap();
        assert_eq!(a.get("x").unwrap().value, Value::Integer(1));
        assert_eq!(a.get("y").unwrap().list().len(), 1);
        assert_eq!(a.get("z").unwrap().value, Value::Integer(4));
    }

    #[test]
    fn places_are_those_of_the_file() {
        let text = "[[input]]\nname = \"usage\"\n[[input]]\nname = 3\n";
        let tree = Node::parse(text).unwrap_or_else(|_| panic!());
        let path = at!["input", 1, "name"];
        assert_eq!(&text[tree.place(&path)], "3");
        assert_eq!(&text[tree.key_place(&path)], "name");
        assert_eq!(&text[tree.place(&at!["input", 1, "missing"])], "[[input]]");
        assert_eq!(path.to_string(), "input[1].name");
    }
}
