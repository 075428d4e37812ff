//! Keys that look alike: two keys without a rule, one key under the rule that says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use arrow::{
    array::{BinaryArray, Int64Array, StringArray, StringViewArray},
    record_batch::RecordBatch,
};
use dualrun_compare::Aligner;
use dualrun_core::{
    align::{AlignRule, Rule},
    input::Side,
};
use support::{Setup, array, table};

/// Rows with the same value under each key.
fn keyed(keys: &[Option<&str>]) -> RecordBatch {
    table(vec![
        ("k", array(StringArray::from(keys.to_vec()))),
        ("v", array(Int64Array::from(vec![1; keys.len()]))),
    ])
}

fn aligned(batch: &RecordBatch, rules: &[Rule], side: Side) -> RecordBatch {
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| AlignRule { rule: rule.clone(), column: "k".to_owned(), side: None })
        .collect();
    Aligner::new(&rules, side, batch.schema()).unwrap().apply(batch).unwrap()
}

/// Paired keys without a rule and with the rules on both sides.
fn paired(legacy: &[Option<&str>], new: &[Option<&str>], rules: &[Rule]) -> (u64, u64) {
    let (legacy, new) = (keyed(legacy), keyed(new));
    let of = |rules: &[Rule]| {
        let sides = [aligned(&legacy, rules, Side::Legacy), aligned(&new, rules, Side::New)];
        let rows = Setup::default().run(&sides).comparison.rows;
        assert_eq!(rows.paired + rows.only_legacy + rows.ambiguous_key.legacy, legacy.num_rows() as u64);
        assert_eq!(rows.paired + rows.only_new + rows.ambiguous_key.new, new.num_rows() as u64);
        rows.paired
    };
    (of(&[]), of(rules))
}

fn one_pair(legacy: &str, new: &str, rule: Rule) -> (u64, u64) {
    paired(&[Some(legacy)], &[Some(new)], &[rule])
}

/// Apart without the rule, together with it.
const BY_RULE_ONLY: (u64, u64) = (0, 1);

#[test]
fn composed_and_decomposed_letters() {
    assert_eq!(one_pair("Orl\u{e9}ans", "Orle\u{301}ans", Rule::Nfc), BY_RULE_ONLY);
    // The sign for ångström is the letter Å.
    assert_eq!(one_pair("\u{212b}", "\u{c5}", Rule::Nfc), BY_RULE_ONLY);
    // A ligature is not two letters: forms C and KC differ.
    assert_eq!(one_pair("\u{fb01}", "fi", Rule::Nfc), (0, 0));
}

#[test]
fn upper_and_lower_case() {
    assert_eq!(one_pair("FR", "fr", Rule::Lower), BY_RULE_ONLY);
    assert_eq!(one_pair("stra\u{df}e", "STRASSE", Rule::Upper), BY_RULE_ONLY);
}

#[test]
fn object_ids_as_text_in_two_cases() {
    let (upper, lower) = ("507F1F77BCF86CD799439011", "507f1f77bcf86cd799439011");
    assert_eq!(one_pair(upper, lower, Rule::Lower), BY_RULE_ONLY);
    // As bytes they are one value anyway.
    let bytes = [0x50, 0x7f, 0x1f, 0x77, 0xbc, 0xf8, 0x6c, 0xd7, 0x99, 0x43, 0x90, 0x11];
    let of = || table(vec![("k", array(BinaryArray::from(vec![&bytes[..]])))]);
    assert_eq!(Setup::default().run(&[of(), of()]).comparison.rows.paired, 1);
}

#[test]
fn a_space_behind_before_and_without_width() {
    for blank in [" ", "\u{a0}", "\t", "\u{200b}", "\u{feff}"] {
        assert_eq!(one_pair("a", &format!("a{blank}"), Rule::Trim), BY_RULE_ONLY);
        assert_eq!(one_pair(&format!("{blank}a"), "a", Rule::Trim), BY_RULE_ONLY);
    }
    assert_eq!(one_pair("a b", "ab", Rule::Trim), (0, 0));
}

#[test]
fn an_embedded_nul() {
    for text in ["a\0b", "ab\0", "\0ab", "a\0\0b"] {
        assert_eq!(one_pair(text, "ab", Rule::StripNul), BY_RULE_ONLY);
    }
    assert_eq!(paired(&[Some("a\0"), Some("a")], &[Some("a"), Some("a\0\0")], &[]), (1, 1));
}

#[test]
fn leading_zeros() {
    assert_eq!(one_pair("007", "7", Rule::StripZeros), BY_RULE_ONLY);
    assert_eq!(one_pair("007", "7", Rule::PadZeros { width: 3 }), BY_RULE_ONLY);
}

#[test]
fn null_and_the_empty_text() {
    assert_eq!(paired(&[None], &[Some("")], &[Rule::EmptyIsNull]), BY_RULE_ONLY);
    assert_eq!(paired(&[None, Some("")], &[Some(""), None], &[]), (2, 2));
    // The texts "null" and "NULL" are texts.
    assert_eq!(paired(&[None], &[Some("null")], &[Rule::EmptyIsNull]), (0, 0));
}

#[test]
fn a_rule_that_makes_two_keys_one_makes_them_ambiguous() {
    let both = [Some("FR"), Some("fr")];
    assert_eq!(paired(&both, &[Some("fr")], &[Rule::Lower]), (1, 0));
}

#[test]
fn rules_for_keys_work_in_every_layout_of_text() {
    let view = table(vec![("k", array(StringViewArray::from(vec!["FR "])))]);
    let ends = arrow::array::Int32Array::from(vec![1]);
    let run = arrow::array::RunArray::try_new(&ends, &StringArray::from(vec!["fr"])).unwrap();
    let sides = [
        aligned(&view, &[Rule::Trim, Rule::Lower], Side::Legacy),
        aligned(&table(vec![("k", array(run))]), &[Rule::Trim, Rule::Lower], Side::New),
    ];
    assert_eq!(Setup::default().run(&sides).comparison.rows.paired, 1);
}

#[test]
fn parts_of_a_key_with_null_nul_and_numbers_do_not_run_together() {
    type Key = (Option<&'static str>, Option<i64>, Option<&'static str>);
    let of = |keys: &[Key]| {
        table(vec![
            ("a", array(StringArray::from(keys.iter().map(|k| k.0).collect::<Vec<_>>()))),
            ("b", array(Int64Array::from(keys.iter().map(|k| k.1).collect::<Vec<_>>()))),
            ("c", array(StringArray::from(keys.iter().map(|k| k.2).collect::<Vec<_>>()))),
        ])
    };
    let setup = Setup { key: &["a", "b", "c"], ..Setup::default() };
    let pairs: [(Key, Key); 5] = [
        ((Some("1"), Some(11), None), (Some("11"), Some(1), None)),
        ((Some("x"), None, Some("y")), (None, None, Some("xy"))),
        ((Some(""), None, None), (None, None, Some(""))),
        ((Some("a\0"), Some(0), Some("b")), (Some("a"), Some(0), Some("\0b"))),
        ((Some("a"), Some(1), Some("")), (Some("a"), Some(1), None)),
    ];
    for (legacy, new) in pairs {
        let rows = setup.run(&[of(&[legacy]), of(&[new])]).comparison.rows;
        assert_eq!((rows.paired, rows.only_legacy, rows.only_new), (0, 1, 1), "{legacy:?} {new:?}");
        let rows = setup.run(&[of(&[legacy, new]), of(&[new, legacy])]).comparison.rows;
        assert_eq!(rows.paired, 2, "{legacy:?} {new:?}");
    }
}
