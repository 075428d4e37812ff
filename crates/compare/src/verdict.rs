//! How a verdict is reached: U decides first.

use dualrun_core::Verdict;

use crate::{
    measure::{Class, Num},
    spec::Parts,
};

/// What two cells are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    Equal,
    Within,
    Differs,
    /// A replay has the key more than once, so that its value is not known.
    Unknown,
}

/// The verdict of a cell, from what the relations are to each other.
pub(crate) fn decide(parts: &Parts, mut agreement: impl FnMut(usize, usize) -> Agreement) -> Verdict {
    use Agreement as A;
    if parts.is_plain() {
        return match agreement(parts.legacy, parts.new) {
            A::Equal => Verdict::Equal,
            A::Within => Verdict::WithinTolerance,
            A::Differs | A::Unknown => Verdict::Unexplained,
        };
    }
    if matches!(agreement(parts.legacy_with, parts.new_without), A::Differs | A::Unknown) {
        return Verdict::Unexplained;
    }
    match agreement(parts.legacy, parts.new) {
        A::Equal => return Verdict::Equal,
        A::Within => return Verdict::WithinTolerance,
        A::Differs | A::Unknown => {}
    }
    let rejected = [(parts.new_accepted, parts.new), (parts.legacy_accepted, parts.legacy_with)];
    if rejected.iter().any(|(a, b)| matches!(agreement(*a, *b), A::Differs | A::Unknown)) {
        return Verdict::Unexplained;
    }
    let approved = [(parts.new_approved, parts.new), (parts.legacy_approved, parts.legacy_with)]
        .map(|(a, b)| agreement(a, b));
    if approved.contains(&A::Unknown) {
        Verdict::Unexplained
    } else if approved.contains(&A::Differs) {
        Verdict::Pending
    } else {
        Verdict::Explained
    }
}

/// The kind of a difference between two values of a measure, where it is more than two numbers that differ.
pub(crate) fn difference_kind(legacy: Num, new: Num) -> Option<&'static str> {
    match (legacy.class(), new.class()) {
        (Class::Infinite { .. }, _) | (_, Class::Infinite { .. }) => Some("infinite"),
        (Class::Null, Class::NotANumber) => Some("null_vs_nan"),
        (Class::NotANumber, Class::Null) => Some("nan_vs_null"),
        (Class::Null, Class::Finite) => Some("null_vs_value"),
        (Class::Finite, Class::Null) => Some("value_vs_null"),
        (Class::NotANumber, Class::Finite) => Some("nan_vs_value"),
        (Class::Finite, Class::NotANumber) => Some("value_vs_nan"),
        _ => None,
    }
}
