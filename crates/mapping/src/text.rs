//! Words for people: lists, and the nearest known name.

/// The names as `` `a`, `b` or `c` ``.
pub(crate) fn one_of<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| format!("`{}`", n.as_ref())).collect();
    match names.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// The known name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&name, &k.to_lowercase()), k))
        // A third of the letters may be wrong; more would be a guess.
        .filter(|(distance, k)| *distance <= (k.chars().count().max(name.chars().count()) / 3).max(1))
        .min()
        .map(|(_, k)| k)
}

/// A hint with the nearest known name, or with all of them where none is near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", one_of(&known))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("tolerence", ["tolerance", "unit"]), Some("tolerance"));
        assert_eq!(nearest("side", ["unit", "tolerance"]), None);
        assert_eq!(nearest("Trim", ["trim"]), Some("trim"));
        assert_eq!(did_you_mean("x", ["alpha", "beta"]).as_deref(), Some("known here: `alpha` or `beta`"));
        assert_eq!(did_you_mean("x", []), None);
    }
}
