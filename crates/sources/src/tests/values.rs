//! Values of documents and their traps.

use bson::{Binary, Bson, DateTime, Decimal128, Document, Uuid, doc, oid::ObjectId};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Misfit, bson_dump, documents::to_batches};

fn built(
    documents: &[Document],
    shape_json: serde_json::Value,
) -> (SchemaRef, Vec<RecordBatch>, Vec<Misfit>) {
    to_batches(documents, &shape(shape_json)).unwrap()
}

fn values(documents: &[Document], shape_json: serde_json::Value, column: &str) -> Vec<String> {
    texts(&built(documents, shape_json).1, column)
}

fn decimal(text: &str) -> Decimal128 {
    text.parse().unwrap()
}

#[test]
fn types_are_inferred_over_all_documents() {
    let oid = ObjectId::parse_str("64f1c0de9b1e8a0012ab34cd").unwrap();
    let documents = [
        doc! { "z": 1, "i": 1, "f": 1, "id": oid, "mixed": 1, "odd": true, "at": DateTime::from_millis(0), "n": null },
        doc! { "a": 1, "i": 5_000_000_000_i64, "f": 0.5, "id": "E-7", "mixed": "x", "odd": 1, "d": { "b": 1, "a": "x" } },
        doc! { "l": [1, 2.5], "both": { "k": 1 } },
        doc! { "both": [{ "k": 2 }, { "k": 3 }], "e": {} },
    ];
    let (schema, batches, misfits) = built(&documents, json!({}));
    let types: Vec<String> =
        schema.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect();
    assert_eq!(
        types,
        [
            "a: Int64",
            "at: Timestamp(µs, \"UTC\")",
            "both: List(Struct(\"k\": Int64))",
            "d: Struct(\"a\": Utf8, \"b\": Int64)",
            "e: Utf8",
            "f: Float64",
            "i: Int64",
            "id: Utf8",
            "l: List(Float64)",
            "mixed: Utf8",
            "n: Utf8",
            "odd: Utf8",
            "z: Int64",
        ]
    );
    assert!(misfits.is_empty());
    assert_eq!(texts(&batches, "id"), ["64f1c0de9b1e8a0012ab34cd", "E-7", "-", "-"]);
    assert_eq!(texts(&batches, "both"), ["-", "-", "[{k: 1}]", "[{k: 2}, {k: 3}]"]);
    assert_eq!(texts(&batches, "odd"), ["true", "1", "-", "-"]);
    assert_eq!(texts(&batches, "mixed"), ["1", "x", "-", "-"]);
    assert_eq!(texts(&batches, "e")[3], "{}");
}

#[test]
fn decimals_keep_34_digits() {
    let long = "1234567890123456789012345678.901234";
    let documents = [doc! { "v": decimal(long) }, doc! { "v": 5 }];
    assert_eq!(
        values(&documents, json!({}), "v"),
        ["1234567890123456789012345678.9012340000", "5.0000000000"]
    );
    let tiny = [doc! { "v": decimal("1E-30") }, doc! { "v": decimal("12345678901234567890") }];
    assert_eq!(
        values(&tiny, json!({}), "v"),
        ["0.000000000000000000000000000001", "12345678901234567890"],
        "more than 38 digits together: exact as text"
    );
    let rule = json!({ "v": { "type": "decimal", "scale": 2 } });
    let (_, batches, misfits) = built(
        &[
            doc! { "v": decimal("1.10") },
            doc! { "v": decimal("1.101") },
            doc! { "v": decimal("NaN") },
            doc! { "v": "7,5" },
            doc! { "v": 0.1 + 0.2 },
        ],
        rule,
    );
    assert_eq!(texts(&batches, "v"), ["1.10", "-", "-", "-", "0.30"]);
    let counted: Vec<_> = misfits.iter().map(|m| (m.found, m.count, m.first_offset)).collect();
    assert_eq!(counted, [("decimal", 2, 1), ("string", 1, 3)]);
    assert_eq!(misfits[0].expected, "decimal(38,2)");
}

#[test]
fn numbers_in_text_are_read_by_their_mark() {
    let documents = [
        doc! { "v": "1\u{202F}234,5" },
        doc! { "v": "12\u{A0}000" },
        doc! { "v": 2.5 },
        doc! { "v": decimal("NaN") },
        doc! { "v": "12 €" },
        doc! { "v": null },
        doc! {},
    ];
    let rule = json!({ "v": { "type": "float", "decimal_mark": "," } });
    let (_, batches, misfits) = built(&documents, rule);
    assert_eq!(texts(&batches, "v"), ["1234.5", "12000.0", "2.5", "NaN", "-", "-", "-"]);
    assert_eq!((misfits.len(), misfits[0].count, misfits[0].first_offset), (1, 1, 4));
    let whole = [doc! { "v": 3.0 }, doc! { "v": "4" }, doc! { "v": 4.5 }, doc! { "v": decimal("5.00") }];
    assert_eq!(values(&whole, json!({ "v": "integer" }), "v"), ["3", "4", "-", "5"]);
}

#[test]
fn days_come_in_every_form() {
    let documents = [
        doc! { "v": DateTime::from_millis(1_740_785_400_000) },
        doc! { "v": "2025-03-01" },
        doc! { "v": "2025-02-28T23:30:00Z" },
        doc! { "v": "01/03/2025" },
        doc! { "v": 1_740_785_400_000_i64 },
        doc! { "v": 1_740_785_400_000.0 },
        doc! { "v": "soon" },
        doc! { "v": DateTime::MAX },
    ];
    let rule = json!({ "v": { "type": "date", "formats": ["%d/%m/%Y"], "time_zone": "Europe/Paris" } });
    let day = "2025-03-01";
    assert_eq!(values(&documents, rule, "v"), [day, day, day, day, day, day, "-", "-"]);
    let rule = json!({ "v": { "type": "timestamp", "formats": ["%d/%m/%Y"], "time_zone": "Europe/Paris" } });
    let instants = values(&documents, rule, "v");
    assert_eq!(instants[0], "2025-02-28T23:30:00Z");
    assert_eq!(instants[1], "2025-02-28T23:00:00Z");
    assert_eq!(instants[7], "-");
}

#[test]
fn missing_is_told_apart_from_null() {
    let documents = [doc! { "v": 1, "s": { "x": null } }, doc! { "v": null, "s": {} }, doc! {}];
    let rule =
        json!({ "v": { "type": "integer", "missing": true }, "s.x": { "type": "text", "missing": true } });
    let (schema, batches, _) = built(&documents, rule.clone());
    assert_eq!(
        schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(),
        ["s", "v", "v_missing"]
    );
    assert_eq!(texts(&batches, "v_missing"), ["false", "false", "true"]);
    assert_eq!(texts(&batches, "s"), ["{x: , x_missing: false}", "{x: , x_missing: true}", "-"]);
    assert_eq!(values(&[doc! {}], rule, "v_missing"), ["true"]);
}

#[test]
fn lists_and_documents_are_declared_by_path() {
    let documents = [
        doc! { "l": [{ "kwh": "1,5" }, { "kwh": 2 }] },
        doc! { "l": { "kwh": "3" } },
        doc! { "l": [] },
        doc! { "l": null },
        doc! { "l": "none" },
    ];
    let rule = json!({ "l[].kwh": { "type": "float", "decimal_mark": "," }, "site.country": "text" });
    let (_, batches, misfits) = built(&documents, rule);
    assert_eq!(texts(&batches, "l"), ["[{kwh: 1.5}, {kwh: 2.0}]", "[{kwh: 3.0}]", "[]", "-", "[]"]);
    assert_eq!((misfits[0].field.as_str(), misfits[0].found), ("l[]", "string"));
    assert_eq!(texts(&batches, "site"), ["-"; 5]);
}

#[test]
fn ids_of_any_kind_become_text() {
    let uuid = Uuid::parse_str("936da01f-9abd-4d9d-80c7-02af85c822a8").unwrap();
    let documents = [
        doc! { "_id": { "d": "2025-03-01", "host": "WWW.acme.fr" } },
        doc! { "_id": Binary::from(uuid) },
        doc! { "_id": 1.0 },
        doc! { "_id": Bson::MaxKey },
    ];
    assert_eq!(
        values(&documents, json!({ "_id": "text" }), "_id"),
        [
            "{\"d\":\"2025-03-01\",\"host\":\"WWW.acme.fr\"}",
            "936da01f-9abd-4d9d-80c7-02af85c822a8",
            "1",
            "{\"$maxKey\":1}"
        ]
    );
    assert_eq!(values(&documents[..1], json!({}), "_id"), ["{d: 2025-03-01, host: WWW.acme.fr}"]);
    assert_eq!(values(&documents[2..3], json!({ "_id": "json" }), "_id"), ["1.0"]);
}

#[test]
fn booleans_come_as_words_and_numbers() {
    let documents =
        [doc! { "v": "Yes" }, doc! { "v": 0 }, doc! { "v": "1" }, doc! { "v": false }, doc! { "v": 2 }];
    assert_eq!(values(&documents, json!({ "v": "boolean" }), "v"), ["true", "false", "true", "false", "-"]);
}

#[test]
fn wrong_rules_are_told() {
    let told = |rule: serde_json::Value| to_batches(&[], &shape(rule)).unwrap_err().to_string();
    assert!(told(json!({ "v": { "type": "date", "time_zone": "Mars/Olympus" } })).contains("Mars/Olympus"));
    assert!(told(json!({ "v": { "type": "decimal", "precision": 40 } })).contains("decimal(40,10)"));
    assert!(told(json!({ "v": { "type": "float", "decimal_mark": ";" } })).contains("decimal mark"));
    assert!(told(json!({ "a..b": "text" })).contains("\"a..b\" is not a path"));
}

#[test]
fn deep_nesting_is_refused() {
    let mut document = doc! { "v": 1 };
    for _ in 0..200 {
        document = doc! { "d": document };
    }
    assert!(to_batches(&[document], &Shape::default()).unwrap_err().to_string().contains("deeper than 128"));
}

fn leaf() -> impl Strategy<Value = Bson> {
    prop_oneof![
        Just(Bson::Null),
        any::<bool>().prop_map(Bson::Boolean),
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<f64>().prop_filter("NaN has many bits", |f| !f.is_nan()).prop_map(Bson::Double),
        "[ -~é€]{0,8}".prop_map(Bson::String),
        any::<[u8; 12]>().prop_map(|b| Bson::ObjectId(ObjectId::from_bytes(b))),
        (-62_000_000_000_000_i64..253_000_000_000_000)
            .prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
        (any::<i64>(), -20..20).prop_map(|(n, e)| Bson::Decimal128(decimal(&format!("{n}E{e}")))),
    ]
}

fn value() -> impl Strategy<Value = Bson> {
    leaf().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Bson::Array),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
        ]
    })
}

fn documents() -> impl Strategy<Value = Vec<Document>> {
    let document = prop::collection::btree_map("[a-e]", value(), 0..5).prop_map(|f| f.into_iter().collect());
    prop::collection::vec(document, 0..6)
}

fn table(format: Format, name: &str, bytes: &[u8]) -> Result<InputTable, SourceError> {
    let folder = folder();
    put(folder.path(), name, bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(read_files(folder.path(), format, &[name], &Shape::default(), true))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_as_bson_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let framed = {
            let mut framed = (bytes.len() as i32 + 5).to_le_bytes().to_vec();
            framed.extend(&bytes);
            framed.push(0);
            framed
        };
        for bytes in [bytes, framed] {
            if let Err(error) = table(Format::BsonDump, "x.bson", &bytes) {
                prop_assert!(matches!(error, SourceError::Corrupt { offset: Some(_), .. }), "{error}");
            }
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(documents in documents(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = bson_dump::write(documents.iter(), false).unwrap();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
        }
        if let Err(error) = table(Format::BsonDump, "x.bson", &bytes) {
            prop_assert!(matches!(error, SourceError::Corrupt { .. }), "{error}");
        }
    }

    #[test]
    fn any_text_as_json_or_csv_is_read_or_refused(text in "[\\[\\]{}\",:$a-c0-9\n\r ]{0,80}") {
        for (format, name) in [(Format::JsonLines, "x.jsonl"), (Format::Csv, "x.csv")] {
            if let Err(error) = table(format, name, text.as_bytes()) {
                prop_assert!(matches!(error, SourceError::BadLine { .. }), "{error}");
            }
        }
    }

    #[test]
    fn bson_and_canonical_json_are_the_same_rows(documents in documents()) {
        let bson = bson_dump::write(documents.iter(), false).unwrap();
        let lines: Vec<String> = documents
            .iter()
            .map(|d| Bson::Document(d.clone()).into_canonical_extjson().to_string())
            .collect();
        let a = table(Format::BsonDump, "x.bson", &bson).unwrap();
        let b = table(Format::JsonLines, "x.jsonl", lines.join("\n").as_bytes()).unwrap();
        prop_assert_eq!(a.schema, b.schema);
        prop_assert_eq!(a.batches, b.batches);
    }
}
