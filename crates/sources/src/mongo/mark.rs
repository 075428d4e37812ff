//! A watermark where the server has no snapshots: the newest `_id` that stands in a collection.

use bson::{Bson, doc};

use super::{Cut, MongoFault, MongoSource, client::within};
use crate::SourceError;

impl MongoSource {
    /// The cut at the newest document whose `_id` the driver gave (an ObjectId, which begins with the time at which it was
    /// made): all that stands there now is on this side of it, and nearly all that comes later is not. None of a view, of a
    /// collection without such documents, and where the server has no time for the question.
    pub(crate) async fn newest(&self, collection: &str) -> Result<Cut, SourceError> {
        let failed = |fault| SourceError::mongo(&self.place(collection), fault);
        // What is not there is told by its reading.
        let Some(info) = self.info(collection).await.map_err(failed)? else { return Ok(Cut::None) };
        if !info.plain {
            return Ok(Cut::None);
        }
        let time = self.command_time();
        let collection = self.collection(collection);
        let find = collection
            .find_one(doc! {"_id": {"$type": "objectId"}})
            .projection(doc! {"_id": 1})
            .sort(doc! {"_id": -1})
            .max_time(time);
        let newest = match within(time * 2, find).await {
            Ok(newest) => newest,
            Err(MongoFault::TimeLimit(_) | MongoFault::Refused { .. }) => return Ok(Cut::None),
            Err(fault) => return Err(failed(fault)),
        };
        let id = newest.as_ref().and_then(|document| document.get_object_id("_id").ok());
        Ok(id.map_or(Cut::None, |id| Cut::Watermark { field: "_id".to_owned(), value: Bson::ObjectId(id) }))
    }

    /// Whether texts of a collection are compared by the rules of a language, or that is not known.
    pub(crate) async fn has_collation(&self, collection: &str) -> Result<bool, SourceError> {
        let info = self.info(collection).await;
        let info = info.map_err(|fault| SourceError::mongo(&self.place(collection), fault))?;
        Ok(info.is_none_or(|info| info.collation))
    }
}
