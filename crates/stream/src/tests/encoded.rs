//! What is encoded comes back, whatever the types, the nulls and the cuts.

use std::{fs::File, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
        Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray, UInt64Array,
        new_null_array,
    },
    buffer::NullBuffer,
    compute::{cast, concat_batches},
    datatypes::{DataType, Field, Fields, Int32Type, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use parquet::{
    arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
        statistics::Statistics,
    },
    schema::types::ColumnPath,
};
use proptest::prelude::*;

use crate::encode::Encoder;

fn document(fields: &Fields, columns: Vec<ArrayRef>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(StructArray::try_new(fields.clone(), columns, nulls).unwrap())
}

fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_statistics_enabled(EnabledStatistics::Chunk)
}

fn parts() -> Fields {
    vec![
        Field::new("verdict", DataType::Utf8, true),
        Field::new("legacy", DataType::Float64, true),
        Field::new("new", DataType::Decimal128(20, 3), true),
    ]
    .into()
}

/// A document within a document: more leaves than fields.
fn nested() -> Fields {
    let inner: Fields =
        vec![Field::new("m", DataType::Int64, true), Field::new("n", DataType::Int64, true)].into();
    vec![
        Field::new("legacy", DataType::Struct(inner.clone()), true),
        Field::new("new", DataType::Struct(inner), true),
    ]
    .into()
}

fn schema() -> SchemaRef {
    let micro = TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC");
    let simple: Fields = parts().iter().take(2).cloned().collect();
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
    Arc::new(Schema::new(vec![
        Field::new("text", DataType::Utf8, true),
        Field::new("word", DataType::Utf8, false),
        Field::new("long", DataType::Int64, true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", micro.data_type().clone(), true),
        Field::new("count", DataType::UInt64, true),
        Field::new("float", DataType::Float64, true),
        Field::new("single", DataType::Float32, false),
        Field::new("nothing", DataType::Utf8, true),
        Field::new("cell", DataType::Struct(simple), true),
        Field::new("deep", DataType::Struct(parts()), true),
        Field::new("list", list, true),
        Field::new("far", DataType::Struct(nested()), true),
        Field::new("last", DataType::Utf8, true),
        Field::new("later", DataType::Utf8, true),
    ]))
}

type Row = (Option<u16>, Option<i64>, Option<f64>, u8);

fn batch(rows: &[Row], coded: bool) -> RecordBatch {
    let text = |n: u16| format!("text {}", "x".repeat(usize::from(n % 20)) + &n.to_string());
    let texts: StringArray = rows.iter().map(|r| r.0.map(text)).collect();
    let words = StringArray::from_iter_values(rows.iter().map(|r| ["a", "bc", ""][usize::from(r.3 % 3)]));
    let as_codes = |texts: &StringArray| -> ArrayRef {
        if !coded {
            return Arc::new(texts.clone());
        }
        Arc::new(texts.iter().collect::<DictionaryArray<Int32Type>>())
    };
    let present: NullBuffer = rows.iter().map(|r| !r.3.is_multiple_of(4)).collect();
    let floats: ArrayRef = Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>());
    let longs = || rows.iter().map(|r| r.1);
    let decimals: Decimal128Array = longs().map(|v| v.map(|v| i128::from(v % 1000))).collect();
    let decimals: ArrayRef = Arc::new(decimals.with_precision_and_scale(20, 3).unwrap());
    let verdicts = as_codes(&words);
    let field = |name: &str, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
    let simple: Fields = vec![field("verdict", &verdicts), field("legacy", &floats)].into();
    let plain: ArrayRef = Arc::new(words.clone());
    let cell = document(&simple, vec![verdicts, Arc::clone(&floats)], Some(present.clone()));
    let deep = document(&parts(), vec![plain, Arc::clone(&floats), decimals], Some(present));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(
        rows.iter().map(|r| r.0.map(|n| vec![Some(i32::from(n)); usize::from(r.3 % 3)])),
    );
    let micro: TimestampMicrosecondArray = longs().collect();
    let number = || -> ArrayRef { Arc::new(longs().collect::<Int64Array>()) };
    let inner = || match nested()[0].data_type() {
        DataType::Struct(fields) => document(fields, vec![number(), number()], None),
        other => new_null_array(other, rows.len()),
    };
    let columns: Vec<ArrayRef> = vec![
        as_codes(&texts),
        as_codes(&words),
        Arc::new(longs().collect::<Int64Array>()),
        Arc::new(longs().map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        Arc::new(micro.with_timezone("UTC")),
        Arc::new(longs().map(|v| v.map(i64::cast_unsigned)).collect::<UInt64Array>()),
        floats,
        Arc::new(rows.iter().map(|r| f32::from(r.3)).collect::<Float32Array>()),
        Arc::new(StringArray::new_null(rows.len())),
        cell,
        deep,
        Arc::new(list),
        document(&nested(), vec![inner(), inner()], None),
        as_codes(&words),
        as_codes(&texts),
    ];
    let fields = schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(f, c)| f.as_ref().clone().with_data_type(c.data_type().clone()))
        .collect::<Vec<_>>();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn plain(rows: &[Row]) -> RecordBatch {
    let batch = batch(rows, false);
    let schema = schema();
    let columns = batch.columns().iter().zip(schema.fields()).map(|(c, f)| cast(c, f.data_type()).unwrap());
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn written(groups: &[Vec<(Vec<Row>, bool)>], properties: WriterPropertiesBuilder) -> File {
    let file = tempfile::tempfile().unwrap();
    let (mut writer, encoder) = Encoder::create(file.try_clone().unwrap(), &schema(), properties).unwrap();
    for batches in groups {
        let mut group = encoder.group().unwrap();
        for (rows, coded) in batches {
            encoder.write(&mut group, &batch(rows, *coded)).unwrap();
        }
        encoder.append(&mut writer, group.close().unwrap()).unwrap();
    }
    writer.close().unwrap();
    file
}

fn read(file: &File) -> RecordBatch {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    concat_batches(&schema(), &batches).unwrap()
}

fn row() -> impl Strategy<Value = Row> {
    let long = prop::option::weighted(0.8, any::<i64>());
    let float = prop::option::weighted(0.8, any::<f64>().prop_filter("comparable", |v| !v.is_nan()));
    (prop::option::weighted(0.8, 0u16..300), long, float, any::<u8>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn what_is_encoded_comes_back(
        groups in prop::collection::vec(
            prop::collection::vec((prop::collection::vec(row(), 1..120), any::<bool>()), 1..4),
            1..3,
        ),
        has_dictionary in any::<bool>(),
    ) {
        let properties = WriterProperties::builder().set_dictionary_enabled(has_dictionary).set_statistics_enabled(EnabledStatistics::Chunk);
        let rows: Vec<Row> = groups.iter().flatten().flat_map(|(rows, _)| rows.clone()).collect();
        let file = written(&groups, properties);
        prop_assert_eq!(read(&file), plain(&rows));
    }
}

/// One column, ten thousand rows a batch.
fn one_column(values: &ArrayRef) -> ArrayRef {
    let file = tempfile::tempfile().unwrap();
    let schema: SchemaRef =
        Arc::new(Schema::new(vec![Field::new("v", values.data_type().clone(), values.null_count() > 0)]));
    let (mut writer, encoder) = Encoder::create(file.try_clone().unwrap(), &schema, properties()).unwrap();
    let mut group = encoder.group().unwrap();
    for start in (0..values.len()).step_by(10_000) {
        let values = values.slice(start, 10_000.min(values.len() - start));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![values]).unwrap();
        encoder.write(&mut group, &batch).unwrap();
    }
    encoder.append(&mut writer, group.close().unwrap()).unwrap();
    writer.close().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    Arc::clone(concat_batches(&schema, &batches).unwrap().column(0))
}

#[test]
fn a_dictionary_that_grows_too_large_is_left() {
    let text = |i: u32| format!("a text of its own, number {i:020}");
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..150_000).map(text)));
    assert_eq!(&one_column(&texts), &texts);
}

/// Pages of codes stand before pages of numbers, in one column.
#[test]
fn numbers_that_cease_to_repeat_are_stored_as_they_are() {
    for few in [0u64, 100_000, 140_000, 200_000] {
        let number =
            move |i: u64| if i < few { i / 1000 % 50 } else { i.wrapping_mul(0x0123_4567_89ab_cdef) };
        let counts: ArrayRef = Arc::new(UInt64Array::from_iter_values((0..200_000).map(number)));
        assert_eq!(&one_column(&counts), &counts, "{few}");
        let some = |i: u64| Some(number(i).cast_signed()).filter(|_| !i.is_multiple_of(7));
        let longs: ArrayRef = Arc::new((0..200_000).map(some).collect::<Int64Array>());
        assert_eq!(&one_column(&longs), &longs, "{few}");
        let days: ArrayRef = Arc::new(Date32Array::from_iter_values((0..200_000).map(|i| number(i) as i32)));
        assert_eq!(&one_column(&days), &days, "{few}");
        let floats: ArrayRef =
            Arc::new(Float64Array::from_iter_values((0..200_000).map(|i| number(i) as f64 / 8.0)));
        assert_eq!(&one_column(&floats), &floats, "{few}");
    }
}

#[test]
fn a_reader_that_looks_for_a_key_finds_its_bounds() {
    let properties = properties().set_column_dictionary_enabled(ColumnPath::from("text"), false);
    let rows: Vec<Row> =
        vec![(Some(7), Some(-5), Some(1.0), 1), (None, None, None, 2), (Some(4), Some(12), Some(2.0), 5)];
    let file = written(&[vec![(rows, true)]], properties);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let group = reader.metadata().row_group(0);
    let of = |column: usize| group.column(column).statistics().cloned().unwrap();
    let text = of(0);
    assert_eq!(text.min_bytes_opt(), Some("text xxxx4".as_bytes()));
    assert_eq!(text.max_bytes_opt(), Some("text xxxxxxx7".as_bytes()));
    assert_eq!(text.null_count_opt(), Some(1));
    let Statistics::Int64(long) = of(2) else { panic!("not a statistic of longs") };
    assert_eq!((long.min_opt(), long.max_opt()), (Some(&-5), Some(&12)));
    let Statistics::Int32(day) = of(3) else { panic!("not a statistic of days") };
    assert_eq!((day.min_opt(), day.max_opt()), (Some(&-5), Some(&12)));
}

#[test]
fn the_first_rows_of_an_encoded_group_come_back() {
    let (_, encoder) = Encoder::create(tempfile::tempfile().unwrap(), &schema(), properties()).unwrap();
    let rows: Vec<Row> = (0..50).map(|i| (Some(i), Some(i64::from(i)), Some(0.5), i as u8)).collect();
    let mut group = encoder.group().unwrap();
    encoder.write(&mut group, &batch(&rows, true)).unwrap();
    let first = encoder.first_rows(group.close().unwrap(), 7).unwrap();
    assert_eq!(concat_batches(&schema(), &first).unwrap(), plain(&rows[..7]));
    assert_eq!(encoder.plain(&batch(&rows, true)).unwrap(), plain(&rows));
}
