//! How far the secondaries of a replica set are behind.

use std::time::Duration;

use bson::{Bson, Document};

/// How far the slowest secondary is behind the primary, from the answer to `replSetGetStatus`; none where it does
/// not tell. <https://www.mongodb.com/docs/manual/reference/command/replSetGetStatus/>
pub(super) fn lag(status: &Document) -> Option<Duration> {
    let members = status.get_array("members").ok()?;
    let millis = |state: i64| {
        members.iter().filter_map(Bson::as_document).filter_map(move |member| {
            let number = |name: &str| member.get(name).and_then(integer);
            let healthy = number("health") == Some(1) && number("state") == Some(state);
            healthy.then(|| member.get_datetime("optimeDate").ok().map(|t| t.timestamp_millis())).flatten()
        })
    };
    let primary = millis(1).max()?;
    let slowest = millis(2).min()?;
    Some(Duration::from_millis(u64::try_from(primary.saturating_sub(slowest)).unwrap_or(0)))
}

fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        // The server gives states and health as either.
        Bson::Double(value) => Some(*value as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, doc};

    use super::*;

    fn member(state: i32, health: f64, seconds: i64) -> Document {
        doc! {"state": state, "health": health, "optimeDate": DateTime::from_millis(seconds * 1000)}
    }

    #[test]
    fn the_slowest_healthy_secondary_counts() {
        let status = doc! {"members": [
            member(1, 1.0, 1000), member(2, 1.0, 990), member(2, 1.0, 958), member(2, 0.0, 0), member(7, 1.0, 0)
        ]};
        assert_eq!(lag(&status), Some(Duration::from_secs(42)));
    }

    #[test]
    fn a_secondary_that_is_ahead_is_not_behind() {
        assert_eq!(lag(&doc! {"members": [member(1, 1.0, 10), member(2, 1.0, 11)]}), Some(Duration::ZERO));
    }

    #[test]
    fn nothing_is_known_without_a_primary_or_secondaries() {
        assert_eq!(lag(&doc! {"members": [member(2, 1.0, 990)]}), None);
        assert_eq!(lag(&doc! {"members": [member(1, 1.0, 990)]}), None);
        assert_eq!(lag(&doc! {}), None);
    }
}
