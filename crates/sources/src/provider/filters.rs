//! Filters of the query engine in the words of a server.

use datafusion::{
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Operator, expr::InList},
};

/// How the server's answer to a filter compares with that of the query engine, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sure {
    /// It gives all rows that are wanted, and perhaps more.
    Over,
    /// It is true of the same rows; where it is not, one may be false and the other null.
    True,
    /// It is true, false and null of the same rows, so that its opposite is too.
    Same,
}

/// A comparison of a column with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Compare {
    fn of(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Eq => Self::Equal,
            Operator::NotEq => Self::NotEqual,
            Operator::Lt => Self::Less,
            Operator::LtEq => Self::LessOrEqual,
            Operator::Gt => Self::Greater,
            Operator::GtEq => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// With the sides exchanged.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

/// A filter for a server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pushed<F> {
    pub(super) filter: F,
    pub(super) sure: Sure,
}

impl<F> Pushed<F> {
    pub(super) fn new(filter: F, sure: Sure) -> Self {
        Self { filter, sure }
    }
}

/// The language of a server over the columns of one table. None: what is asked cannot be said, or the answer may lack
/// rows.
pub(super) trait Dialect {
    type Filter;

    /// A column compared with a value that is not null.
    fn compare(&self, column: &str, compare: Compare, value: &ScalarValue) -> Option<Pushed<Self::Filter>>;

    /// A column that is one of some values.
    fn one_of(&self, column: &str, values: &[&ScalarValue]) -> Option<Pushed<Self::Filter>>;

    /// A text that begins, ends or contains another one.
    fn like(&self, column: &str, like: &Like<'_>) -> Option<Pushed<Self::Filter>>;

    /// Whether a column is null, or is not.
    fn null(&self, column: &str, null: bool) -> Option<Pushed<Self::Filter>>;

    /// A column of truth values.
    fn truth(&self, column: &str) -> Option<Pushed<Self::Filter>>;

    fn and(&self, filters: [Self::Filter; 2]) -> Self::Filter;

    fn or(&self, filters: [Self::Filter; 2]) -> Self::Filter;

    /// The opposite of a filter that is [`Sure::Same`].
    fn not(&self, filter: Self::Filter) -> Self::Filter;
}

/// A pattern whose only sign is `%` at its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Like<'a> {
    pub(super) pattern: &'a str,
}

/// A filter in the words of a server, or the part of it that can be said there.
pub(super) fn push<D: Dialect>(dialect: &D, filter: &Expr) -> Option<Pushed<D::Filter>> {
    match filter {
        Expr::Column(column) => dialect.truth(&column.name),
        Expr::Not(inner) => opposite(dialect, push(dialect, inner)?),
        Expr::IsNull(inner) => dialect.null(name(inner)?, true),
        Expr::IsNotNull(inner) => dialect.null(name(inner)?, false),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (push(dialect, left), push(dialect, right)) {
                (Some(a), Some(b)) => {
                    let sure = a.sure.min(b.sure);
                    Some(Pushed::new(dialect.and([a.filter, b.filter]), sure))
                }
                (one, other) => one.or(other).map(|part| Pushed::new(part.filter, Sure::Over)),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let (a, b) = (push(dialect, left)?, push(dialect, right)?);
            let sure = a.sure.min(b.sure);
            Some(Pushed::new(dialect.or([a.filter, b.filter]), sure))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let compare = Compare::of(*op)?;
            match (name(left), value(right), value(left), name(right)) {
                (Some(column), Some(value), ..) => dialect.compare(column, compare, value),
                (_, _, Some(value), Some(column)) => dialect.compare(column, compare.turned(), value),
                _ => None,
            }
        }
        Expr::Between(between) => {
            let column = name(&between.expr)?;
            let (low, high) = (value(&between.low)?, value(&between.high)?);
            let low = dialect.compare(column, Compare::GreaterOrEqual, low)?;
            let high = dialect.compare(column, Compare::LessOrEqual, high)?;
            let sure = low.sure.min(high.sure);
            let both = Pushed::new(dialect.and([low.filter, high.filter]), sure);
            if between.negated { opposite(dialect, both) } else { Some(both) }
        }
        Expr::InList(InList { expr, list, negated }) => {
            let values: Vec<&ScalarValue> = list.iter().map(value).collect::<Option<_>>()?;
            let found = dialect.one_of(name(expr)?, &values)?;
            if *negated { opposite(dialect, found) } else { Some(found) }
        }
        Expr::Like(like) if !like.case_insensitive && like.escape_char.is_none() => {
            let pattern = text(value(&like.pattern)?)?;
            // Other signs are read in more than one way.
            let inner = pattern.strip_prefix('%').unwrap_or(pattern);
            let inner = inner.strip_suffix('%').unwrap_or(inner);
            if inner.contains(['%', '_', '\\']) {
                return None;
            }
            let found = dialect.like(name(&like.expr)?, &Like { pattern })?;
            if like.negated { opposite(dialect, found) } else { Some(found) }
        }
        _ => None,
    }
}

fn opposite<D: Dialect>(dialect: &D, of: Pushed<D::Filter>) -> Option<Pushed<D::Filter>> {
    (of.sure == Sure::Same).then(|| Pushed::new(dialect.not(of.filter), Sure::Same))
}

fn name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

/// A value that is not null.
fn value(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) if !value.is_null() => Some(value),
        _ => None,
    }
}

/// The text of a value that is one.
pub(super) fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Some(text),
        _ => None,
    }
}
