//! The rule `multiset`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray},
    compute::take,
    datatypes::{DataType, FieldRef},
    error::ArrowError,
};

use crate::{
    canonical::Encoder,
    cast::{from_zero, order_within, plain_lists},
};

/// The items of a list type, whatever its layout.
pub(super) fn item(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item),
        _ => None,
    }
}

/// Sorts the items of each list by value, nulls first. Items of all types have an order, and the same one on both sides.
pub(super) fn sort(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let lists = plain_lists(array)?;
    let Some(list) = lists.as_list_opt::<i32>() else { return Ok(lists) };
    let Some(field) = item(list.data_type()) else { return Ok(lists) };
    let order = order_within(list.value_offsets(), &Encoder::new(list.values())?)?;
    let values = take(list.values(), &order, None)?;
    let offsets = from_zero(list.offsets());
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, list.nulls().cloned())?))
}
