//! The same facts in every format are the same rows under one shape.

use bson::{Bson, Document, doc, oid::ObjectId};
use serde_json::json;

use super::*;
use crate::{bson_dump, documents::to_batches};

fn usage() -> Vec<Document> {
    let oid = ObjectId::parse_str("64f1c0de9b1e8a0012ab34cd").unwrap();
    vec![
        doc! {
            "_id": oid, "customer": "acme-fr", "hours": "1\u{202F}000,5", "day": "01/03/2025",
            "cost": "12.3400000000".parse::<bson::Decimal128>().unwrap(), "site": { "country": "FR", "pue": 1.5 },
            "lines": { "kwh": 1 }, "note": null,
        },
        doc! {
            "_id": "acme-fr|2", "customer": "acme-fr", "hours": 3.25, "day": "2025-03-02",
            "cost": 7, "site": { "country": null }, "lines": [{ "kwh": "2" }, { "kwh": null }],
        },
        doc! { "_id": { "d": 1 }, "customer": "bolt", "hours": "?", "day": null },
    ]
}

fn rules() -> Shape {
    shape(json!({
        "_id": "text",
        "hours": { "type": "float", "decimal_mark": "," },
        "day": { "type": "date", "formats": ["%d/%m/%Y"] },
        "cost": { "type": "decimal", "scale": 4, "missing": true },
        "site.pue": { "type": "float", "missing": true },
        "lines[].kwh": "integer",
        "absent": "timestamp",
    }))
}

#[tokio::test]
async fn documents_and_their_copy_in_parquet_are_the_same_rows() {
    let (folder, documents) = (folder(), usage());
    put(folder.path(), "core/usage.bson.gz", bson_dump::write(documents.iter(), true).unwrap());
    put(folder.path(), "core/usage.metadata.json", bson_dump::metadata_json("usage"));
    let line = |relaxed: bool, d: &Document| {
        let bson = Bson::Document(d.clone());
        if relaxed { bson.into_relaxed_extjson() } else { bson.into_canonical_extjson() }.to_string()
    };
    for (name, relaxed) in [("relaxed.jsonl", true), ("canonical.json", false)] {
        let lines: Vec<_> = documents.iter().map(|d| line(relaxed, d)).collect();
        put(folder.path(), name, lines.join("\n"));
    }
    let (schema, batches, _) = to_batches(&documents, &rules()).unwrap();
    put(folder.path(), "bronze/usage/day=2025-03-01/part-0.parquet", parquet(&schema, &batches));

    let get =
        async |format, name: &str| read_files(folder.path(), format, &[name], &rules(), true).await.unwrap();
    let bson = get(Format::BsonDump, "core.usage").await;
    assert_eq!(bson.batches, batches);
    assert_eq!(misfits(&bson), [("hours".to_owned(), "string", 1)]);
    assert_eq!(bson.report.misfit_documents, 1);
    assert_eq!(bson.report.misfits[0].first_file, "core/usage.bson.gz");
    assert_eq!(texts(&bson.batches, "cost_missing"), ["false", "false", "true"]);
    for (format, name) in [
        (Format::JsonLines, "relaxed.jsonl"),
        (Format::JsonLines, "canonical"),
        (Format::Parquet, "bronze/usage/"),
    ] {
        let table = get(format, name).await;
        assert_eq!(table.schema, bson.schema, "{name}");
        assert_eq!(table.batches, bson.batches, "{name}");
    }
}

#[tokio::test]
async fn text_in_parquet_and_csv_is_read_by_the_same_rules() {
    let folder = folder();
    let (schema, batches, _) = to_batches(
        &[doc! { "day": "01/03/2025", "hours": "1 000,5" }, doc! { "day": "?", "hours": "2" }],
        &Shape::default(),
    )
    .unwrap();
    put(folder.path(), "a.parquet", parquet(&schema, &batches));
    put(folder.path(), "a.csv", "day,hours\n01/03/2025,\"1 000,5\"\n?,2\n");
    let rules = shape(json!({
        "hours": { "type": "float", "decimal_mark": "," },
        "day": { "type": "date", "formats": ["%d/%m/%Y"] },
    }));
    let a = read_files(folder.path(), Format::Parquet, &["a"], &rules, true).await.unwrap();
    let b = read_files(folder.path(), Format::Csv, &["a"], &rules, true).await.unwrap();
    assert_eq!(a.batches, b.batches);
    assert_eq!(texts(&a.batches, "day"), ["2025-03-01", "-"]);
    assert_eq!((misfits(&a), misfits(&b)), (misfits(&b), vec![("day".to_owned(), "string", 1)]));
    assert_eq!((a.report.misfits[0].first_offset, b.report.misfits[0].first_offset), (1, 3));
    assert!(a.memory_size() > 0);
    #[cfg(feature = "datafusion")]
    assert_eq!(a.provider().unwrap().schema(), a.schema);
}
