use std::sync::Arc;

use arrow::{
    array::{
        Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array, LargeStringArray,
        StringViewArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
    },
    datatypes::Field,
};
use proptest::prelude::*;

use super::*;

fn encoded(array: impl Array + 'static) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&(Arc::new(array) as ArrayRef)).unwrap().encode(0, &mut out).unwrap();
    out
}

#[test]
fn a_number_is_the_same_in_every_type() {
    let decimal = |v: i128, s: i8| Decimal128Array::from(vec![v]).with_precision_and_scale(38, s).unwrap();
    let five = encoded(Int32Array::from(vec![5]));
    for other in [
        encoded(Int64Array::from(vec![5])),
        encoded(UInt64Array::from(vec![5])),
        encoded(Float64Array::from(vec![5.0])),
        encoded(Float32Array::from(vec![5.0])),
        encoded(decimal(5_000, 3)),
    ] {
        assert_eq!(five, other);
    }
    assert_eq!(encoded(Float64Array::from(vec![5.52])), encoded(decimal(55_200_000_000, 10)));
    assert_eq!(encoded(Float32Array::from(vec![0.1])), encoded(Float64Array::from(vec![0.1])));
    assert_eq!(encoded(Float64Array::from(vec![-0.0])), encoded(decimal(0, 10)));
    assert_eq!(encoded(Float64Array::from(vec![f64::NAN])), encoded(Float64Array::from(vec![-f64::NAN])));
    assert_ne!(encoded(Int64Array::from(vec![1 << 53])), encoded(Int64Array::from(vec![(1 << 53) + 1])));
}

#[test]
fn texts_and_instants_do_not_depend_on_layout() {
    assert_eq!(encoded(LargeStringArray::from(vec!["a\0b"])), encoded(StringViewArray::from(vec!["a\0b"])));
    assert_eq!(
        encoded(TimestampMillisecondArray::from(vec![1_500]).with_timezone("Europe/Paris")),
        encoded(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC")),
    );
    assert_ne!(encoded(Date32Array::from(vec![1])), encoded(Int32Array::from(vec![1])));
}

#[test]
fn a_missing_field_and_a_null_field_agree() {
    let a = Arc::new(Int32Array::from(vec![1])) as ArrayRef;
    let null = Arc::new(Int32Array::from(vec![None])) as ArrayRef;
    let field = |name: &str| Arc::new(Field::new(name, DataType::Int32, true));
    let one = StructArray::from(vec![(field("a"), a.clone())]);
    let two = StructArray::from(vec![(field("b"), null), (field("a"), a)]);
    assert_eq!(encoded(one), encoded(two));
}

#[test]
fn numbers_read_as_plain_decimals() {
    let text = |v: f64| Number::from_f64(v).to_string();
    assert_eq!(
        [text(0.001), text(-12.5), text(1e21), text(100.0), text(0.0)],
        ["0.001", "-12.5", "1000000000000000000000", "100", "0"]
    );
    assert_eq!(Number::from_decimal(i256::from_i128(1_100), 3).to_string(), "1.1");
    assert_eq!(Number::from_decimal(i256::from_i128(-5), 3).to_string(), "-0.005");
}

proptest! {
    #[test]
    fn bytes_are_ordered_as_floats_are(a in any::<f64>(), b in any::<f64>()) {
        prop_assume!(!a.is_nan() && !b.is_nan());
        let order = encoded(Float64Array::from(vec![a])).cmp(&encoded(Float64Array::from(vec![b])));
        prop_assert_eq!(Some(order), a.partial_cmp(&b));
    }

    #[test]
    fn bytes_are_ordered_as_texts_are(a in "[\u{0}a-c]{0,5}", b in "[\u{0}a-c]{0,5}") {
        let of = |t: &str| encoded(LargeStringArray::from(vec![t]));
        prop_assert_eq!(of(&a).cmp(&of(&b)), a.cmp(&b));
    }

    #[test]
    fn numbers_print_what_they_are(v in any::<f64>()) {
        prop_assume!(v.is_finite());
        prop_assert_eq!(Number::from_f64(v).to_string().parse::<f64>().unwrap(), v);
    }
}
