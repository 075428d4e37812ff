//! The rows of a scan are those of `read_relation`.

use arrow::array::AsArray;

use super::*;
use crate::read_relation;

async fn relation(folder: &Path, text: &str) -> RecordBatch {
    let table = read_relation(text, folder, &BTreeMap::new(), None, &[]).await.unwrap();
    compute::concat_batches(&table.schema, &table.batches).unwrap()
}

#[tokio::test]
async fn every_type_reads_as_the_whole_file_does() {
    let folder = tempfile::tempdir().unwrap();
    let properties = [
        small_pages().build(),
        small_pages().set_writer_version(parquet::file::properties::WriterVersion::PARQUET_2_0).build(),
        small_pages().set_dictionary_enabled(false).set_statistics_enabled(EnabledStatistics::None).build(),
        small_pages()
            .set_offset_index_disabled(true)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build(),
    ];
    for properties in properties {
        put(folder.path(), "t.parquet", write(&every_type(), properties));
        let scan = open(folder.path(), "t.parquet").await.unwrap();
        let expected = relation(folder.path(), "t.parquet").await;
        assert_eq!(scan.schema().fields(), expected.schema().fields());
        assert_eq!(scan.groups().len(), 3);
        for batch_rows in [13, 8192] {
            assert_eq!(all(&scan, batch_rows).unwrap(), expected);
        }
        for (from, to) in [(0, 1), (699, 701), (350, 1750), (1999, 2000), (700, 1400), (90, 180), (5, 5)] {
            let batches = read(&scan, from..to, &names(&scan), 64).unwrap();
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            let id = names(&scan).iter().position(|n| n == "id").unwrap();
            assert_eq!(rows as u64, to - from);
            assert_eq!(ints(&batches, id), ints(&[expected.slice(from as usize, rows)], id));
        }
    }
}

#[tokio::test]
async fn text_comes_as_views_in_the_order_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "t.parquet", write(&every_type(), small_pages().build()));
    let scan = open(folder.path(), "t.parquet").await.unwrap();
    let wanted = ["text Dictionary(Int32, Utf8)", "id", "text LargeUtf8", "text Utf8"].map(str::to_owned);
    for name in ["text Utf8", "text LargeUtf8", "text Dictionary(Int16, LargeUtf8)"] {
        assert_eq!(scan.schema().field_with_name(name).unwrap().data_type(), &DataType::Utf8);
        // The decoder itself makes the views: nothing is cast.
        let file = &scan.inner.files[0];
        assert_eq!(file.schema().field_with_name(name).unwrap().data_type(), &DataType::Utf8View);
    }
    let reader = scan.read(10..20, &wanted, 100).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
    assert_eq!(batches[0].schema(), schema);
    let types: Vec<&DataType> = schema.fields().iter().map(|f| f.data_type()).collect();
    assert_eq!(types, [&DataType::Utf8View, &DataType::Int64, &DataType::Utf8View, &DataType::Utf8View]);
    let text = batches[0].column(3).as_any().downcast_ref::<StringViewArray>().unwrap();
    assert_eq!(text.value(0), "naïve value number 10");
}

#[tokio::test]
async fn batches_stay_in_their_row_group_and_no_column_still_counts_rows() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "t.parquet", write(&simple(0..2000), small_pages().build()));
    let scan = open(folder.path(), "t.parquet").await.unwrap();
    let sizes = |range, columns: &[String]| -> Vec<usize> {
        read(&scan, range, columns, 512).unwrap().iter().map(RecordBatch::num_rows).collect()
    };
    assert_eq!(sizes(0..2000, &["id".to_owned()]), [512, 188, 512, 188, 512, 88]);
    assert_eq!(sizes(650..800, &[]), [50, 100]);
}

#[tokio::test]
async fn files_of_other_widths_become_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let ints: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![Some(1), None]));
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![5, 6]));
    let money: ArrayRef =
        Arc::new(Decimal128Array::from(vec![150, 250]).with_precision_and_scale(10, 2).unwrap());
    let finer: ArrayRef =
        Arc::new(Decimal128Array::from(vec![1, 2]).with_precision_and_scale(12, 4).unwrap());
    let float: ArrayRef = Arc::new(Float64Array::from(vec![0.5, -0.0]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    let none: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 2]));
    let first = [("a", ints), ("m", money), ("v", Arc::clone(&whole)), ("t", none)];
    let second = [("t", text), ("m", finer), ("v", float), ("a", whole)];
    put(folder.path(), "t/1.parquet", write(&RecordBatch::try_from_iter(first).unwrap(), Default::default()));
    put(
        folder.path(),
        "t/2.parquet",
        write(&RecordBatch::try_from_iter(second).unwrap(), Default::default()),
    );
    let scan = open(folder.path(), "t").await.unwrap();
    let expected = relation(folder.path(), "t").await;
    assert_eq!(names(&scan), ["a", "m", "v", "t"]);
    assert_eq!(all(&scan, 10).unwrap(), expected);
    let (least, greatest) = scan.bounds(0, "m").unwrap();
    assert_eq!(least.data_type(), &DataType::Decimal128(12, 4));
    assert_eq!((least.len(), greatest.len()), (1, 1));
    assert_eq!((scan.nulls(0, "a"), scan.nulls(0, "t"), scan.nulls(1, "t")), (Some(1), Some(2), Some(0)));
}

#[tokio::test]
async fn numbers_that_the_common_type_does_not_hold_are_told_without_their_value() {
    let folder = tempfile::tempdir().unwrap();
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![(1 << 53) + 1]));
    let float: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    for (name, array) in [("t/1.parquet", whole), ("t/2.parquet", float)] {
        put(
            folder.path(),
            name,
            write(&RecordBatch::try_from_iter([("v", array)]).unwrap(), Default::default()),
        );
    }
    let scan = open(folder.path(), "t").await.unwrap();
    let error = all(&scan, 10).unwrap_err().to_string();
    assert!(error.starts_with("column \"v\" is Int64 in ") && !error.contains("9007199254740993"), "{error}");
    assert!(
        error.ends_with("1.parquet but Float64 over all files, which does not hold every value"),
        "{error}"
    );
}

#[tokio::test]
async fn texts_come_as_codes_of_one_dictionary_where_the_file_holds_them_so() {
    let folder = tempfile::tempdir().unwrap();
    let codes = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for has_dictionary in [true, false] {
        put(
            folder.path(),
            "t.parquet",
            write(&every_type(), small_pages().set_dictionary_enabled(has_dictionary).build()),
        );
        let scan = open(folder.path(), "t.parquet").await.unwrap();
        let (mut coded, mut dictionaries) = (0, Vec::new());
        let read = |columns: &[String]| scan.read_coded(3..1999, columns, 100).unwrap();
        let plain = scan.read(3..1999, &names(&scan), 100).unwrap();
        for (batch, plain) in read(&names(&scan)).zip(plain) {
            let (batch, plain) = (batch.unwrap(), plain.unwrap());
            for (field, (array, expected)) in
                batch.schema().fields().iter().zip(batch.columns().iter().zip(plain.columns()))
            {
                if array.data_type() == &codes && field.name() == "text Utf8" {
                    coded += 1;
                    let texts = array.as_dictionary::<Int32Type>().values().as_string::<i32>();
                    dictionaries.push(texts.offsets().clone());
                }
                assert_eq!(&compute::cast(array, expected.data_type()).unwrap(), expected);
            }
        }
        dictionaries.dedup_by(|a, b| a.inner().ptr_eq(b.inner()));
        // Every row group has one, and its batches share it.
        let expected = if has_dictionary { (20, 3) } else { (0, 0) };
        assert_eq!((coded, dictionaries.len()), expected);
    }
}
