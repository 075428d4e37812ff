//! One reading of a server at a time, inputs and calculations alike, so that its ceilings hold for all pipelines together.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

/// Whose turn it is, by the URL of the server. Copies share it.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>);

impl Turns {
    /// Waits until no other reading of the server is under way.
    pub(super) async fn take(&self, url: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(url.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}
