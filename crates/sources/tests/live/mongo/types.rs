//! A dump and the live collection give the same rows, whatever stands in the documents.

use std::{collections::BTreeMap, path::Path};

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Decimal128Type, Float64Type, Int64Type},
};
use bson::{
    Binary, Bson, DateTime, DbPointer, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc,
    oid::ObjectId, spec::BinarySubtype,
};
use dualrun_core::shape::Shape;
use dualrun_sources::{
    FileSelection, Format, InputTable, Request, bson_dump,
    mongo::{Fields, FindRequest, MongoOptions, ReadOptions, read_mongo_relation},
    open_location, read, read_relation,
};

use super::support::{self, Live, rows, shape, small_queries, with_database};

fn decimal(text: &str) -> Decimal128 {
    text.parse().unwrap()
}

fn binary(subtype: BinarySubtype, bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype, bytes: bytes.to_vec() })
}

fn regex(pattern: &str) -> Bson {
    Bson::RegularExpression(Regex { pattern: pattern.try_into().unwrap(), options: "i".try_into().unwrap() })
}

/// One value of every type, and the awkward ones.
fn values() -> Vec<Bson> {
    let uuid = *b"0123456789abcdef";
    let code = JavaScriptCodeWithScope { code: "f()".to_owned(), scope: doc! {"x": 1} };
    vec![
        1.5.into(),
        f64::NAN.into(),
        f64::INFINITY.into(),
        (-0.0).into(),
        "text".into(),
        "".into(),
        "\u{1F30D} \u{0} e\u{301}".into(),
        7.into(),
        ((1i64 << 53) + 1).into(),
        i64::MIN.into(),
        decimal("1.10").into(),
        decimal("9999999999999999999999999999999999").into(),
        decimal("1E-6176").into(),
        decimal("NaN").into(),
        decimal("-Infinity").into(),
        true.into(),
        Bson::Null,
        doc! {"a": 1, "b": {"c": [1, "x", null]}}.into(),
        doc! {}.into(),
        vec![Bson::Int32(1), Bson::Null, doc! {"k": 2.5}.into(), vec![Bson::Int32(9)].into()].into(),
        Vec::<Bson>::new().into(),
        ObjectId::from_bytes([7; 12]).into(),
        DateTime::from_millis(1_700_000_000_123).into(),
        DateTime::from_millis(-1).into(),
        DateTime::MAX.into(),
        DateTime::MIN.into(),
        Timestamp { time: 1_700_000_000, increment: 3 }.into(),
        binary(BinarySubtype::Uuid, &uuid),
        binary(BinarySubtype::UuidOld, &uuid),
        binary(BinarySubtype::Generic, b""),
        binary(BinarySubtype::Generic, &[0, 255, 10]),
        regex("^a.*"),
        Bson::JavaScriptCode("return 1".to_owned()),
        code.into(),
        Bson::Symbol("symbol".to_owned()),
        Bson::MinKey,
        Bson::MaxKey,
    ]
}

/// A column for each value alone, one with all of them, and one that some documents lack.
fn documents() -> Vec<Document> {
    let values = values();
    let mut documents = Vec::new();
    for (i, value) in values.iter().enumerate() {
        let mut document =
            doc! {"_id": i as i32, "mixed": value.clone(), format!("only_{i:02}"): value.clone()};
        match i % 3 {
            0 => _ = document.insert("sometimes", value.clone()),
            1 => _ = document.insert("sometimes", Bson::Null),
            _ => {}
        }
        documents.push(document);
    }
    documents
}

fn write(folder: &Path, documents: &[Document]) {
    std::fs::write(folder.join("values.bson"), bson_dump::write(documents.iter(), false).unwrap()).unwrap();
}

async fn dumped(folder: &Path, shape: &Shape) -> InputTable {
    let location = open_location(folder.to_str().unwrap(), Path::new("/"), &BTreeMap::new()).unwrap();
    let files = FileSelection::Exact(vec!["values.bson".to_owned()]);
    let format = Format::BsonDump;
    read(&Request { format, location: &location, files, shape, required: true }).await.unwrap()
}

fn assert_same(dump: &InputTable, live: &InputTable) {
    assert_eq!(dump.schema, live.schema);
    assert_eq!(rows(dump), rows(live));
    assert_eq!(dump.report.rows, live.report.rows);
    assert_eq!(dump.report.exact_numbers, live.report.exact_numbers);
    assert_eq!(dump.report.misfit_documents, live.report.misfit_documents);
    let counted = |table: &InputTable| {
        let misfits = table.report.misfits.iter();
        misfits.map(|m| (m.field.clone(), m.expected.clone(), m.found, m.count)).collect::<Vec<_>>()
    };
    assert_eq!(counted(dump), counted(live));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_as_in_a_dump() {
    with_database("types", async |live: &Live| {
        let folder = tempfile::tempdir().unwrap();
        let documents = documents();
        write(folder.path(), &documents);
        live.insert("values", &documents).await;
        let source = live.source().await;
        let shapes = [
            shape(serde_json::json!({})),
            shape(serde_json::json!({"mixed": "json", "sometimes": {"type": "text", "missing": true}})),
            shape(serde_json::json!({"mixed": "decimal", "sometimes": "list"})),
            shape(
                serde_json::json!({"mixed": "timestamp", "sometimes": {"type": "integer", "missing": true}}),
            ),
            shape(serde_json::json!({"mixed": "boolean", "sometimes": "date"})),
            shape(serde_json::json!({"mixed": "float", "sometimes.k": "text", "not_there": "decimal"})),
            shape(serde_json::json!({"mixed[]": "text", "sometimes": "document"})),
        ];
        for shape in &shapes {
            let dump = dumped(folder.path(), shape).await;
            let read = small_queries(10);
            let (table, report) =
                source.read_table("values", FindRequest::default(), shape, &read).await.unwrap();
            assert_same(&dump, &table);
            assert_eq!(report.rows, documents.len() as u64);
            assert!(report.load.queries > 3, "{:?}", report.load);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relation_is_as_its_dump() {
    with_database("relation", async |live: &Live| {
        let folder = tempfile::tempdir().unwrap();
        let documents: Vec<Document> = (0..50)
            .map(|i| doc! {"_id": i, "kwh": f64::from(i) / 4.0, "never": null, "big": (1i64 << 53) + 1})
            .collect();
        write(folder.path(), &documents);
        live.insert("values", &documents).await;
        let file = folder.path().join("values.bson");
        let none = BTreeMap::new();
        let dump = read_relation(file.to_str().unwrap(), Path::new("/"), &none, None, &[]).await.unwrap();
        let (base, rest) =
            live.url.split_once("/?").unwrap_or((live.url.trim_end_matches('/'), "appName=test"));
        let text = format!("{base}/{}?authSource=admin&{rest}#values", live.name);
        let read = ReadOptions::default();
        let (table, _) = read_mongo_relation(&text, MongoOptions::new(""), &read).await.unwrap();
        assert_same(&dump, &table);
    })
    .await;
}

/// Columns that are declared stream; the rows are those of a reading that puts documents aside.
#[tokio::test(flavor = "multi_thread")]
async fn streamed_rows_are_those_that_were_put_aside() {
    with_database("stream", async |live: &Live| {
        let documents = documents();
        live.insert("values", &documents).await;
        let source = live.source().await;
        let shape = shape(serde_json::json!({
            "mixed": "json", "sometimes": {"type": "float", "missing": true}, "only_17.a": "integer", "only_19[]": "text"
        }));
        let read = small_queries(7);
        let all = source.read_table("values", FindRequest::default(), &shape, &read).await.unwrap().0;
        let request = FindRequest { fields: Fields::Declared, ..FindRequest::default() };
        let declared = source.read_table("values", request, &shape, &read).await.unwrap().0;
        let names: Vec<&str> = declared.schema.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["mixed", "only_17", "only_19", "sometimes", "sometimes_missing"]);
        let (all, declared) = (rows(&all), rows(&declared));
        for name in ["mixed", "only_19", "sometimes", "sometimes_missing"] {
            assert_eq!(all.column_by_name(name), declared.column_by_name(name), "{name}");
        }
        // A list without declared elements must be put aside; still only what is declared counts.
        let open = support::shape(serde_json::json!({"only_19": "list", "only_17.b": "json"}));
        let request = FindRequest { fields: Fields::Declared, ..FindRequest::default() };
        let open = source.read_table("values", request, &open, &read).await.unwrap().0;
        let names: Vec<&str> = open.schema.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["only_17", "only_19"]);
        assert_eq!(open.schema.field(0).data_type().to_string(), "Struct(\"b\": Utf8)");
        let named = Fields::Named(["sometimes".to_owned(), "only_17".to_owned(), "nowhere".to_owned()].into());
        let request = FindRequest { fields: named, ..FindRequest::default() };
        let chosen = rows(&source.read_table("values", request, &shape, &read).await.unwrap().0);
        assert_eq!(chosen.num_columns(), 4);
        assert_eq!(chosen.column_by_name("only_17"), all.column_by_name("only_17"));
        assert_eq!(chosen.column_by_name("nowhere").unwrap().null_count(), documents.len());
    })
    .await;
}

/// What a table with columns and filters to choose from needs: one look at all documents, then readings that stream.
#[tokio::test(flavor = "multi_thread")]
async fn learnt_types_are_those_of_a_whole_reading() {
    with_database("learnt", async |live: &Live| {
        let documents = documents();
        live.insert("values", &documents).await;
        let source = live.source().await;
        let (shape, read) = (shape(serde_json::json!({"sometimes": "float"})), small_queries(9));
        let all = source.read_table("values", FindRequest::default(), &shape, &read).await.unwrap().0;
        let types = source.types("values", FindRequest::default(), &shape, &read).await.unwrap();
        assert_eq!(*types.schema(), all.schema);
        let request = FindRequest { types: Some(types.clone()), ..FindRequest::default() };
        let streamed = source.read_table("values", request, &shape, &read).await.unwrap().0;
        assert_same(&InputTable { report: streamed.report.clone(), ..all.clone() }, &streamed);
        let fields = Fields::Named(["mixed".to_owned(), "only_17".to_owned()].into());
        let filter = doc! {"_id": {"$lt": 20}};
        let request = FindRequest { filter, fields, types: Some(types), ..FindRequest::default() };
        let some = rows(&source.read_table("values", request, &shape, &read).await.unwrap().0);
        let all = rows(&all).slice(0, 20);
        assert_eq!((some.num_columns(), some.num_rows()), (2, 20));
        assert_eq!(some.column_by_name("only_17"), all.column_by_name("only_17"));
        assert_eq!(some.column_by_name("mixed"), all.column_by_name("mixed"));
    })
    .await;
}

/// No document is lost or comes twice where queries end between types.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_any_type_is_gone_on_from() {
    with_database("ids", async |live: &Live| {
        let cannot_be_an_id = |value: &Bson| matches!(value, Bson::Array(_) | Bson::RegularExpression(_));
        let equal_to_others = |value: &Bson| value.as_f64() == Some(0.0) && value.as_i32().is_none();
        let mut ids: Vec<Bson> = values();
        ids.retain(|id| !cannot_be_an_id(id) && !equal_to_others(id) && *id != decimal("NaN").into());
        ids.extend((100..130).map(Bson::Int32));
        ids.extend((0..30).map(|i| Bson::from(format!("id {i}"))));
        ids.push(Bson::DbPointer(pointer()));
        let documents: Vec<Document> = ids.iter().map(|id| doc! {"_id": id.clone(), "n": 1}).collect();
        let collection = live.database.collection::<Document>("ids");
        let mut inserted = 0;
        for document in &documents {
            // The server may refuse one of the types that nobody writes any more.
            inserted += u64::from(collection.insert_one(document).await.is_ok());
        }
        assert!(inserted > 85, "{inserted}");
        let source = live.source().await;
        let shape = shape(serde_json::json!({"_id": "json"}));
        let whole = source.read_table("ids", FindRequest::default(), &shape, &ReadOptions::default()).await;
        let (whole, report) = whole.unwrap();
        assert_eq!((report.rows, report.load.queries), (inserted, 1));
        for size in [1, 2, 3, 10] {
            let (table, report) =
                source.read_table("ids", FindRequest::default(), &shape, &small_queries(size)).await.unwrap();
            assert_eq!(rows(&table), rows(&whole), "{size} documents a query");
            assert!(report.load.queries >= inserted / size);
        }
    })
    .await;
}

fn pointer() -> DbPointer {
    let json = serde_json::json!({"$dbPointer": {"$ref": "x", "$id": {"$oid": "070707070707070707070707"}}});
    match Bson::try_from(json).unwrap() {
        Bson::DbPointer(pointer) => pointer,
        other => panic!("{other:?}"),
    }
}

/// What other readers round, reorder or refuse.
#[tokio::test(flavor = "multi_thread")]
async fn awkward_values_come_as_they_stand() {
    with_database("awkward", async |live: &Live| {
        let uuid = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0];
        let (whole, long) = ("1234567890123456789012345678901234", "-1.234567890123456789012345678901234");
        let documents = [
            doc! {
                "_id": 0, "whole": decimal(whole), "fraction": decimal(long), "special": decimal("NaN"),
                "mixed": decimal("Infinity"), "uuid": binary(BinarySubtype::Uuid, &uuid),
                "legacy": binary(BinarySubtype::UuidOld, &uuid), "m": 1,
                "deep": {"list": [[1, 2], [], [3]], "site": {"name": "é", "rooms": [{"m2": 1.5}, {"m2": null}, {}]}},
            },
            doc! {
                "_id": 1, "whole": decimal("-7"), "fraction": decimal("1E-33"), "special": decimal("-Infinity"),
                "mixed": decimal(long), "m": null, "deep": {"list": [], "site": null},
            },
            doc! {"_id": 2, "special": 0.1, "mixed": "text"},
        ];
        live.insert("notes", &documents).await;
        let shape = shape(serde_json::json!({"m": {"type": "integer", "missing": true}}));
        let source = live.source().await;
        let read = ReadOptions::default();
        let (table, report) = source.read_table("notes", FindRequest::default(), &shape, &read).await.unwrap();
        assert!(report.misfits.is_empty(), "{:?}", report.misfits);
        let batch = rows(&table);
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let decimals = |name: &str| column(name).as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>();
        let texts = |name: &str| -> Vec<Option<String>> {
            column(name).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
        };
        assert_eq!(column("whole").data_type(), &DataType::Decimal128(38, 0));
        assert_eq!(decimals("whole"), [whole.parse().ok(), Some(-7), None]);
        assert_eq!(column("fraction").data_type(), &DataType::Decimal128(38, 33));
        assert_eq!(decimals("fraction"), [long.replace('.', "").parse().ok(), Some(1), None]);
        let special = column("special").as_primitive::<Float64Type>();
        assert!(special.value(0).is_nan() && special.value(1) == f64::NEG_INFINITY && special.value(2) == 0.1);
        let mixed = ["inf", long, "text"].map(|text| Some(text.to_owned()));
        assert_eq!(texts("mixed"), mixed);
        // The bytes of an old UUID are in an order that only its writer knows.
        assert_eq!(texts("uuid")[0].as_deref(), Some("11223344-5566-7788-99aa-bbccddeeff00"));
        assert_eq!(texts("legacy")[0].as_deref(), Some("112233445566778899aabbccddeeff00"));
        assert_eq!(column("m").as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None, None]);
        let missing = column("m_missing").as_boolean().iter().collect::<Vec<_>>();
        assert_eq!(missing, [Some(false), Some(false), Some(true)]);
        let deep = column("deep").as_struct();
        assert_eq!((deep.is_null(1), deep.is_null(2)), (false, true));
        let lists = deep.column_by_name("list").unwrap().as_list::<i32>();
        let inner = lists.value(0);
        let inner = inner.as_list::<i32>();
        assert_eq!((inner.len(), inner.value(1).len(), lists.value(1).len()), (3, 0, 0));
        assert_eq!(inner.value(0).as_primitive::<Int64Type>().values(), &[1, 2]);
        let site = deep.column_by_name("site").unwrap().as_struct();
        assert_eq!((site.is_null(0), site.is_null(1)), (false, true));
        let rooms = site.column_by_name("rooms").unwrap().as_list::<i32>().value(0);
        let areas = rooms.as_struct().column_by_name("m2").unwrap();
        assert_eq!(areas.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(1.5), None, None]);
    })
    .await;
}
