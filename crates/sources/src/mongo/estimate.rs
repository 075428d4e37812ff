//! What a reading would cost: the sizes that the server keeps, and the plan that it would choose. Nothing is read, but for
//! a count by an index under a short time limit.

use std::time::Duration;

use bson::{Bson, Document, doc};
use dualrun_core::plan::{Certainty, ReadLoad, Way};

use super::{FindRequest, MongoFault, MongoSource, ReadOptions, pipeline, probe::whole};
use crate::SourceError;

/// A count takes no longer on the server.
const COUNT: Duration = Duration::from_secs(2);

/// What a collection holds.
struct Stats {
    documents: Option<u64>,
    bytes: Option<u64>,
}

/// What a plan goes by.
#[derive(Debug, Default, PartialEq)]
struct Access {
    indexes: Vec<String>,
    full_scan: bool,
}

impl MongoSource {
    /// What reading documents of a collection would cost.
    ///
    /// # Errors
    ///
    /// [`SourceError::Mongo`], also where there is no such collection.
    pub async fn estimate_find(
        &self,
        collection: &str,
        find: &FindRequest,
        read: &ReadOptions,
    ) -> Result<ReadLoad, SourceError> {
        let failed = |fault| SourceError::mongo(&self.place(collection), fault);
        if self.info(collection).await.map_err(failed)?.is_none() {
            return Err(failed(MongoFault::UnknownCollection));
        }
        let stats = self.stats(collection).await.map_err(failed)?;
        let query = doc! {"find": collection, "filter": find.filter.clone(), "sort": {"_id": 1}};
        let access = self.access(query).await.map_err(failed)?;
        let mut load = ReadLoad {
            rows: stats.documents,
            rows_are: if stats.documents.is_none() { Certainty::Unknown } else { Certainty::Estimated },
            bytes: stats.bytes,
            way: Some(Way::ById),
            queries: None,
            connections: 1,
            seconds: None,
            access: Vec::new(),
            full_scan: None,
            note: stats
                .documents
                .is_none()
                .then(|| "the user may not see how large the collection is".to_owned()),
        };
        if find.filter.is_empty() {
            load.full_scan = Some(true);
            load.access = vec![format!("full scan of {collection}")];
        } else {
            load.rows_are = if stats.documents.is_none() { Certainty::Unknown } else { Certainty::AtMost };
            // The index on _id gives the order only: every document is looked at.
            let by_filter = |access: &Access| access.indexes.iter().any(|name| name != "_id_");
            load.full_scan = access.as_ref().map(|access| access.full_scan || !by_filter(access));
            load.access = match &access {
                Some(access) if by_filter(access) && !access.full_scan => {
                    access.indexes.iter().map(|name| format!("index {name}")).collect()
                }
                Some(_) => vec![format!("full scan of {collection}")],
                None => Vec::new(),
            };
            if load.full_scan == Some(false)
                && let Some(rows) = self.counted(collection, &find.filter).await.map_err(failed)?
            {
                load.bytes =
                    stats.bytes.zip(stats.documents.filter(|n| *n > 0)).map(|(bytes, n)| bytes / n * rows);
                (load.rows, load.rows_are) = (Some(rows), Certainty::Counted);
            }
            if access.is_none() {
                load.note.get_or_insert_with(|| "the server does not tell its plan".to_owned());
            }
        }
        load.queries = load.rows.map(|rows| read.pace().queries(rows));
        Ok(load)
    }

    /// What an aggregation pipeline over a collection would look at. How many documents come out of it, nobody knows
    /// beforehand.
    ///
    /// # Errors
    ///
    /// [`SourceError::Mongo`], also where there is no such collection; [`SourceError::Config`] for one that writes.
    pub async fn estimate_pipeline(
        &self,
        collection: &str,
        stages: &[Document],
    ) -> Result<ReadLoad, SourceError> {
        pipeline::only_reads(stages)?;
        let failed = |fault| SourceError::mongo(&self.place(collection), fault);
        if self.info(collection).await.map_err(failed)?.is_none() {
            return Err(failed(MongoFault::UnknownCollection));
        }
        let stats = self.stats(collection).await.map_err(failed)?;
        let query = doc! {"aggregate": collection, "pipeline": stages, "cursor": {}};
        let access = self.access(query).await.map_err(failed)?;
        let size = match stats.documents {
            Some(documents) => format!("; {collection} holds {documents} documents"),
            None => String::new(),
        };
        Ok(ReadLoad {
            way: Some(Way::OneQuery),
            queries: Some(1),
            connections: 1,
            full_scan: access.as_ref().map(|access| access.full_scan || access.indexes.is_empty()),
            access: match &access {
                Some(access) if !access.full_scan && !access.indexes.is_empty() => {
                    access.indexes.iter().map(|name| format!("index {name}")).collect()
                }
                Some(_) => vec![format!("full scan of {collection}")],
                None => Vec::new(),
            },
            ..ReadLoad::unknown(format!("what comes out of a pipeline is not known beforehand{size}"))
        })
    }

    async fn stats(&self, collection: &str) -> Result<Stats, MongoFault> {
        let nothing = Stats { documents: None, bytes: None };
        match self.command(doc! {"collStats": collection}).await {
            Ok(stats) => Ok(Stats {
                documents: stats.get("count").and_then(whole),
                bytes: stats.get("size").and_then(whole),
            }),
            Err(MongoFault::NotAuthorised | MongoFault::Refused { .. }) => Ok(nothing),
            Err(fault) => Err(fault),
        }
    }

    /// The plan of a query; none where the server does not tell.
    async fn access(&self, query: Document) -> Result<Option<Access>, MongoFault> {
        let time = i64::try_from(COUNT.as_millis()).unwrap_or(i64::MAX);
        match self.command(doc! {"explain": query, "verbosity": "queryPlanner", "maxTimeMS": time}).await {
            Ok(answer) => Ok(access(&answer)),
            Err(MongoFault::NotAuthorised | MongoFault::Refused { .. } | MongoFault::TimeLimit(_)) => {
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    async fn counted(&self, collection: &str, filter: &Document) -> Result<Option<u64>, MongoFault> {
        let time = i64::try_from(COUNT.as_millis()).unwrap_or(i64::MAX);
        let count = doc! {"count": collection, "query": filter.clone(), "maxTimeMS": time};
        match self.command(count).await {
            Ok(answer) => Ok(answer.get("n").and_then(whole)),
            Err(MongoFault::NotAuthorised | MongoFault::Refused { .. } | MongoFault::TimeLimit(_)) => {
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// What the winning plan goes by: the stages of MongoDB, or the plan of the store below a stand-in.
fn access(answer: &Document) -> Option<Access> {
    let mut found = Access::default();
    let mut known = false;
    look(&Bson::Document(answer.clone()), &mut found, &mut known);
    known.then_some(found)
}

/// An index in the plan of a stand-in. One without a key goes through the whole collection in its order.
fn stand_in(index: &Document, found: &mut Access) {
    match index.get_str("indexName") {
        Ok(name) if index.contains_key("indexKey") => {
            if !found.indexes.iter().any(|other| other == name) {
                found.indexes.push(name.to_owned());
            }
        }
        _ => found.full_scan = true,
    }
}

fn look(value: &Bson, found: &mut Access, known: &mut bool) {
    match value {
        Bson::Document(document) => {
            match document.get_str("stage") {
                Ok("COLLSCAN") => (found.full_scan, *known) = (true, true),
                Ok("IXSCAN" | "COUNT_SCAN" | "DISTINCT_SCAN") => {
                    *known = true;
                    if let Ok(name) = document.get_str("indexName")
                        && !found.indexes.iter().any(|other| other == name)
                    {
                        found.indexes.push(name.to_owned());
                    }
                }
                Ok("IDHACK" | "CLUSTERED_IXSCAN" | "EXPRESS_IXSCAN") => {
                    *known = true;
                    found.indexes.push("_id_".to_owned());
                }
                _ => {}
            }
            if document.get_str("Node Type").is_ok_and(|kind| kind == "Seq Scan") {
                (found.full_scan, *known) = (true, true);
            }
            for (name, value) in document {
                match (name.as_str(), value) {
                    // Plans that were not chosen, and what was asked.
                    ("rejectedPlans" | "command" | "parsedQuery" | "serverInfo" | "IndexCosts", _) => {}
                    ("IndexDetails", Bson::Array(indexes)) => {
                        *known = true;
                        indexes.iter().filter_map(Bson::as_document).for_each(|index| stand_in(index, found));
                    }
                    _ => look(value, found, known),
                }
            }
        }
        Bson::Array(values) => values.iter().for_each(|value| look(value, found, known)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_winning_plan_tells_the_index() {
        let answer = doc! {"queryPlanner": {
            "parsedQuery": {"stage": "COLLSCAN"},
            "winningPlan": {"stage": "FETCH", "inputStage": {"stage": "OR", "inputStages": [
                {"stage": "IXSCAN", "indexName": "day_1"}, {"stage": "IXSCAN", "indexName": "day_1"}]}},
            "rejectedPlans": [{"stage": "COLLSCAN"}]
        }};
        let found = access(&answer).unwrap();
        assert_eq!(found, Access { indexes: vec!["day_1".to_owned()], full_scan: false });
        assert!(access(&doc! {"queryPlanner": {"winningPlan": {"stage": "COLLSCAN"}}}).unwrap().full_scan);
        assert_eq!(access(&doc! {"ok": 1}), None);
        let of_stand_in = |details: Document| {
            let costs =
                doc! {"IndexCosts": [{"indexName": "_id_", "indexKey": "{}"}], "IndexDetails": [details]};
            access(&doc! {"queryPlanner": {"Plan": {"Node Type": "Sort", "Plans": [costs]}}}).unwrap()
        };
        assert_eq!(of_stand_in(doc! {"indexName": "day_1", "indexKey": "{}"}), found);
        assert!(of_stand_in(doc! {"indexName": "_id_"}).full_scan);
    }
}
