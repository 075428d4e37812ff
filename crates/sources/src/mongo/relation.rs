//! Collections that nobody declared, for example a side of `dualrun diff`.

use dualrun_core::shape::Shape;

use super::{FindRequest, MongoFault, MongoOptions, MongoReport, MongoSource, ReadOptions};
use crate::{InputTable, SourceError, without_credentials};

/// The connection string and the collection of `mongodb://host/database#collection`; none for other texts.
pub fn mongo_relation(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with("mongodb://") && !text.starts_with("mongodb+srv://") {
        return None;
    }
    text.rsplit_once('#').filter(|(_, collection)| !collection.is_empty())
}

/// Reads a whole collection that is written as `mongodb://host/database#collection`. The columns are those of a dump
/// of it read with [`crate::read_relation`]; the URL of `options` is not used.
pub async fn read_mongo_relation(
    text: &str,
    options: MongoOptions,
    read: &ReadOptions,
) -> Result<(InputTable, MongoReport), SourceError> {
    let shown = without_credentials(text);
    let Some((url, collection)) = mongo_relation(text) else {
        return Err(SourceError::mongo(
            &shown,
            MongoFault::Url("the collection is missing: …/database#collection"),
        ));
    };
    let source = MongoSource::connect(MongoOptions { url: url.to_owned(), ..options }).await?;
    let read = ReadOptions { untyped_nulls: true, ..read.clone() };
    let found = source.read_table(collection, FindRequest::default(), &Shape::default(), &read).await;
    source.close().await;
    match found? {
        (table, _) if table.schema.fields().is_empty() => Err(SourceError::NoColumns { path: shown }),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_names_its_collection_behind_a_hash() {
        let text = "mongodb://u:p%23@h/db?tls=true#usage";
        assert_eq!(mongo_relation(text), Some(("mongodb://u:p%23@h/db?tls=true", "usage")));
        assert_eq!(mongo_relation("mongodb://h/db"), None);
        assert_eq!(mongo_relation("mongodb://h/db#"), None);
        assert_eq!(mongo_relation("postgres://h/db#t"), None);
    }
}
