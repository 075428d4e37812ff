use arrow::{
    array::{
        Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray, StringViewArray,
    },
    datatypes::{Fields, Int32Type},
};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn of(batches: &[RecordBatch], strength: FenceStrength) -> BTreeMap<Option<String>, Fingerprint> {
    let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let mut fingerprinter = Fingerprinter::new(
        &batches[0].schema(),
        &names(&["id"]),
        &names(&["hours", "site.country"]),
        Some("customer"),
        strength,
    )
    .unwrap();
    batches.iter().for_each(|b| fingerprinter.update(b).unwrap());
    fingerprinter.finish()
}

fn site(countries: Vec<Option<&str>>, extra: bool) -> ArrayRef {
    let nulls = NullBuffer::from(countries.iter().map(Option::is_some).collect::<Vec<_>>());
    let text: ArrayRef =
        Arc::new(StringArray::from(countries.iter().map(|c| c.unwrap_or("hidden")).collect::<Vec<_>>()));
    let mut fields = vec![Field::new("country", DataType::Utf8, true)];
    let mut columns = vec![text];
    if extra {
        fields.push(Field::new("floor", DataType::Int32, true));
        columns.push(Arc::new(Int32Array::from(vec![1; countries.len()])));
    }
    Arc::new(StructArray::new(Fields::from(fields), columns, Some(nulls)))
}

fn documents() -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ("hours", Arc::new(Float64Array::from(vec![5.52, 1.0, 0.1]))),
        ("site", site(vec![Some("FR"), None, Some("DE")], true)),
        ("customer", Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]))),
    ])
}

fn parquet(hours: i128) -> RecordBatch {
    let hours = Decimal128Array::from(vec![1_000, hours, 5_520]).with_precision_and_scale(20, 3).unwrap();
    let customers: DictionaryArray<Int32Type> = vec![Some("b"), None, Some("a")].into_iter().collect();
    let null: ArrayRef = Arc::new(StringViewArray::from(vec![None, Some("DE"), Some("FR")]));
    let fields = Fields::from(vec![Field::new("country", DataType::Utf8View, true)]);
    batch(vec![
        ("customer", Arc::new(customers) as ArrayRef),
        ("hours", Arc::new(hours)),
        ("site", Arc::new(StructArray::new(fields, vec![null], None))),
        ("id", Arc::new(Int32Array::from(vec![2, 3, 1]))),
    ])
}

#[test]
fn the_same_facts_agree_whatever_their_form_and_order() {
    let whole = of(&[documents()], FenceStrength::Content);
    assert_eq!(whole, of(&[parquet(100)], FenceStrength::Content));
    assert_eq!(whole, of(&[documents().slice(1, 2), documents().slice(0, 1)], FenceStrength::Content));
    assert_eq!(whole.keys().cloned().collect::<Vec<_>>(), [None, Some("a".to_owned()), Some("b".to_owned())]);
}

#[test]
fn one_customer_differs_alone() {
    let (left, right) =
        (of(&[documents()], FenceStrength::Content), of(&[parquet(101)], FenceStrength::Content));
    let differ: Vec<_> = left.iter().filter(|(c, f)| right[*c] != **f).map(|(c, _)| c.clone()).collect();
    assert_eq!(differ, [None]);
    assert_eq!(of(&[documents()], FenceStrength::Keys), of(&[parquet(101)], FenceStrength::Keys));
}

#[test]
fn duplicates_count() {
    let twice = [documents(), documents()];
    assert_ne!(of(&twice, FenceStrength::Content), of(&[documents()], FenceStrength::Content));
    assert_eq!(of(&twice, FenceStrength::Count)[&Some("a".to_owned())], Fingerprint { rows: 2, sum: 0 });
}

#[test]
fn a_watermark_is_the_largest_key() {
    let numbers = |ids: Vec<i64>| {
        let rows = ids.len();
        batch(vec![
            ("id", Arc::new(Int64Array::from(ids)) as ArrayRef),
            ("hours", Arc::new(Float64Array::from(vec![1.0; rows]))),
            ("site", site(vec![None; rows], false)),
            ("customer", Arc::new(StringArray::from(vec!["a"; rows]))),
        ])
    };
    let of = |ids: Vec<i64>| of(&[numbers(ids)], FenceStrength::Watermark);
    assert_eq!(of(vec![9, 10, -3]), of(vec![10]));
    assert_ne!(of(vec![9, 10]), of(vec![9]));
    assert_eq!(of(vec![10])[&Some("a".to_owned())].rows, 1);
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    let schema = documents().schema();
    let error =
        Fingerprinter::new(&schema, &["site.city".into()], &[], None, FenceStrength::Keys).unwrap_err();
    assert!(matches!(error, CompareError::MissingColumn { side: None, column } if column == "site.city"));
}
