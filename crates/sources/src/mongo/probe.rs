//! What a MongoDB server tells of itself and of the rights that its user has.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use jiff::Timestamp;

use super::{MongoFault, MongoSource, lag::lag};
use crate::SourceError;

/// What a server says of itself and of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoProbe {
    /// How long a question took.
    pub answered_in: Duration,
    /// How far its clock is ahead of ours, in milliseconds; behind where negative. None where it does not tell.
    pub clock_ahead: Option<i64>,
    /// Whether the member that answered is a secondary.
    pub secondary: bool,
    /// How far the slowest secondary is behind, where the server tells.
    pub lag: Option<Duration>,
    /// The roles of the user as `role@database`; none where the server does not tell.
    pub roles: Option<Vec<String>>,
    /// Bytes used on the disk of the server, and all that it has, where the server tells.
    pub disk: Option<(u64, u64)>,
    /// Whether it is a stand-in with the protocol of MongoDB, which may not hold users to their roles.
    pub stand_in: bool,
}

/// What a server says of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionProbe {
    /// Whether an index begins with the field that was asked for; none where the user may not see the indexes.
    pub indexed: Option<bool>,
}

impl MongoSource {
    /// Asks the server about itself and the user.
    ///
    /// # Errors
    ///
    /// [`SourceError::Mongo`] where it does not answer. What the user may not ask is left open.
    pub async fn probe(&self) -> Result<MongoProbe, SourceError> {
        let failed = |fault| SourceError::mongo(self.display(), fault);
        let (asked, before) = (Instant::now(), Timestamp::now().as_millisecond());
        let hello = self.ask(doc! {"hello": 1}).await.map_err(failed)?.unwrap_or_default();
        let answered_in = asked.elapsed();
        let half = i64::try_from(answered_in.as_millis() / 2).unwrap_or(0);
        let clock = hello.get_datetime("localTime").ok().map(|at| at.timestamp_millis());
        let build = self.ask(doc! {"buildInfo": 1}).await.map_err(failed)?.unwrap_or_default();
        let status = match self.server().replica_set {
            Some(_) => self.ask(doc! {"replSetGetStatus": 1}).await.map_err(failed)?,
            None => None,
        };
        Ok(MongoProbe {
            answered_in,
            clock_ahead: clock.map(|clock| clock - before - half),
            secondary: hello.get_bool("secondary").unwrap_or(false),
            lag: status.as_ref().and_then(lag),
            disk: self.disk().await.map_err(failed)?,
            roles: self.roles().await.map_err(failed)?,
            stand_in: build.contains_key("ferretdb"),
        })
    }

    /// Asks the server for a document of a collection and for an index that begins with a field.
    ///
    /// # Errors
    ///
    /// [`SourceError::Mongo`], also where there is no such collection or the user may not read it.
    pub async fn probe_collection(
        &self,
        collection: &str,
        field: Option<&str>,
    ) -> Result<CollectionProbe, SourceError> {
        let failed = |fault| SourceError::mongo(&self.place(collection), fault);
        if self.info(collection).await.map_err(failed)?.is_none() {
            return Err(failed(MongoFault::UnknownCollection));
        }
        let find = doc! {"find": collection, "limit": 1, "singleBatch": true, "projection": {"_id": 1}};
        self.command(find).await.map_err(failed)?;
        let indexes = match self.command(doc! {"listIndexes": collection}).await {
            Ok(answer) => Some(answer),
            Err(MongoFault::NotAuthorised | MongoFault::Refused { .. }) => None,
            Err(fault) => return Err(failed(fault)),
        };
        let begins = |index: &Document| {
            let first = index.get_document("key").ok().and_then(|key| key.keys().next().cloned());
            first.as_deref() == field && !index.contains_key("partialFilterExpression")
        };
        let indexed = indexes.map(|answer| {
            let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
            batch.into_iter().flatten().filter_map(Bson::as_document).any(begins)
        });
        Ok(CollectionProbe { indexed })
    }

    /// How full the disk of the server is.
    async fn disk(&self) -> Result<Option<(u64, u64)>, MongoFault> {
        let stats = match self.command(doc! {"dbStats": 1}).await {
            Ok(stats) => stats,
            Err(MongoFault::NotAuthorised | MongoFault::Refused { .. }) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let bytes = |name: &str| stats.get(name).and_then(whole);
        Ok(bytes("fsUsedSize").zip(bytes("fsTotalSize")).filter(|(_, all)| *all > 0))
    }

    /// The roles of the user, by the login or, where it does not tell, by the list of users.
    async fn roles(&self) -> Result<Option<Vec<String>>, MongoFault> {
        let status = self.ask(doc! {"connectionStatus": 1}).await?.unwrap_or_default();
        let info = status.get_document("authInfo").cloned().unwrap_or_default();
        if let Some(roles) = info.get_array("authenticatedUserRoles").ok().filter(|roles| !roles.is_empty()) {
            return Ok(Some(names(roles)));
        }
        let user = info
            .get_array("authenticatedUsers")
            .ok()
            .and_then(|users| users.first())
            .and_then(Bson::as_document);
        let Some(user) = user.and_then(|user| user.get_str("user").ok()) else { return Ok(None) };
        let users = self.ask(doc! {"usersInfo": user}).await?.unwrap_or_default();
        let found = users.get_array("users").ok().and_then(|users| users.first()).and_then(Bson::as_document);
        Ok(found.and_then(|user| user.get_array("roles").ok()).map(|roles| names(roles)))
    }
}

/// A number of whichever type that counts something.
pub(super) fn whole(value: &Bson) -> Option<u64> {
    match value {
        Bson::Int32(value) => u64::try_from(*value).ok(),
        Bson::Int64(value) => u64::try_from(*value).ok(),
        Bson::Double(value) if *value >= 0.0 => Some(*value as u64),
        _ => None,
    }
}

fn names(roles: &[Bson]) -> Vec<String> {
    let name = |role: &Document| {
        Some(format!("{}@{}", role.get_str("role").ok()?, role.get_str("db").unwrap_or("admin")))
    };
    let mut names: Vec<String> = roles.iter().filter_map(Bson::as_document).filter_map(name).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_their_database() {
        let roles = [
            doc! {"role": "read", "db": "core"}.into(),
            doc! {"role": "clusterMonitor", "db": "admin"}.into(),
            doc! {"role": "read", "db": "core"}.into(),
        ];
        assert_eq!(names(&roles), ["clusterMonitor@admin", "read@core"]);
    }
}
