//! Documents to record batches.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use bson::{Document, RawDocument, RawDocumentBuf};
use dualrun_core::shape::Shape;

use crate::{
    Misfit, SourceError,
    column::Columns,
    infer::{self, Learner, Seen},
    misfit::Misfits,
    rules::{self, Declared},
};

/// Rows of a record batch.
pub(crate) const BATCH_ROWS: usize = 8192;

/// Bytes of documents in a record batch, so that the text of one column stays far from the 2 GiB that an Arrow
/// array of text can hold.
pub(crate) const BATCH_BYTES: usize = 64 << 20;

/// Documents of one file with the place of each.
pub(crate) struct DocumentFile<'a> {
    pub(crate) name: Arc<str>,
    pub(crate) documents: Vec<(u64, &'a RawDocument)>,
}

/// Record batches of documents under a shape, with columns sorted by name, and the values that did not fit. The
/// place of a misfit is the number of its document.
pub fn to_batches(
    documents: &[Document],
    shape: &Shape,
) -> Result<(SchemaRef, Vec<RecordBatch>, Vec<Misfit>), SourceError> {
    let raw: Vec<RawDocumentBuf> =
        documents
            .iter()
            .map(RawDocumentBuf::try_from)
            .collect::<Result<_, _>>()
            .map_err(|e| SourceError::Config(format!("a document cannot be written as BSON: {e}")))?;
    let documents = (0u64..).zip(raw.iter().map(AsRef::as_ref)).collect();
    let file = DocumentFile { name: "documents".into(), documents };
    let mut learner = Learner::default();
    for (number, document) in &file.documents {
        learner.document(document).map_err(|what| SourceError::corrupt(&file.name, *number, what))?;
    }
    let mut misfits = Misfits::default();
    let (schema, batches) = build(&[file], &Declared::of(shape)?, &learner.finish(), &mut misfits)?;
    Ok((schema, batches, misfits.finish().0))
}

/// Builds the batches of files whose documents were all taken in before.
pub(crate) fn build(
    files: &[DocumentFile<'_>],
    declared: &Declared,
    seen: &Seen,
    misfits: &mut Misfits,
) -> Result<(SchemaRef, Vec<RecordBatch>), SourceError> {
    let mut members = infer::members(&declared.fields, seen.fields(), "")?;
    if declared.untyped_nulls {
        infer::untyped(&mut members, seen.fields());
    }
    let schema: SchemaRef = Arc::new(Schema::new(rules::fields(&members)));
    let mut columns = Columns::new(&members, "");
    let mut batches = Vec::new();
    let mut bytes = 0;
    for file in files {
        for (place, document) in &file.documents {
            misfits.row(&file.name, *place);
            columns.append_document(document, misfits);
            bytes += document.as_bytes().len();
            if columns.rows() == BATCH_ROWS || bytes >= BATCH_BYTES {
                batches.push(columns.finish(&schema)?);
                bytes = 0;
            }
        }
    }
    if columns.rows() > 0 {
        batches.push(columns.finish(&schema)?);
    }
    Ok((schema, batches))
}

#[cfg(test)]
mod tests {
    use arrow::{array::AsArray, datatypes::Int64Type};
    use bson::doc;

    use super::*;

    #[test]
    fn the_order_of_fields_does_not_matter() {
        let documents = [
            doc! {"a": 1, "b": 2, "c": 3},
            doc! {"c": 6, "b": 5, "a": 4},
            doc! {"x": 0, "a": 7, "c": 9},
            doc! {"b": 11},
            doc! {"a": 13, "b": 14, "c": 15},
        ];
        let (_, batches, _) = to_batches(&documents, &Shape::default()).unwrap();
        let column = |name: &str| {
            let column = batches[0].column_by_name(name).unwrap();
            column.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()
        };
        assert_eq!(column("a"), [Some(1), Some(4), Some(7), None, Some(13)]);
        assert_eq!(column("b"), [Some(2), Some(5), None, Some(11), Some(14)]);
        assert_eq!(column("c"), [Some(3), Some(6), Some(9), None, Some(15)]);
    }
}
