//! One state of each server for all that a run reads, whoever reads it: the fence and the calculations of both sides, or a
//! copy of tables and collections.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::OwnedMutexGuard;

use super::{Server, ServerSession, session::States};
use crate::SourceError;

/// A server that will be read, and what of it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The server.
    pub server: Server,
    /// Tables or collections whose state is wanted.
    pub names: Vec<String>,
}

/// The servers of a process. A server is lent to one cut-off at a time, so that its ceilings on connections and on rows per
/// second hold for all that read it.
#[derive(Default)]
pub struct Servers {
    /// By URL, which may hold a password.
    lent: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers").finish_non_exhaustive()
    }
}

impl Servers {
    /// Waits until the servers are free and fixes their states, one shortly after the other.
    ///
    /// # Errors
    /// What a server or the way to it does.
    pub fn cut_off(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<CutOff, SourceError>> {
        async move {
            let mut servers: BTreeMap<String, Wanted> = BTreeMap::new();
            for one in wanted {
                let known = servers
                    .entry(one.server.identity())
                    .or_insert_with(|| Wanted { server: one.server.clone(), names: Vec::new() });
                known.names.extend(one.names);
            }
            // In the order of their names: two cut-offs never wait for each other.
            let mut urls: Vec<&str> = servers.values().map(|one| one.server.url()).collect();
            urls.sort_unstable();
            urls.dedup();
            let mut lent = Vec::with_capacity(urls.len());
            for url in urls {
                let free = {
                    let mut known = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
                    Arc::clone(known.entry(url.to_owned()).or_default())
                };
                lent.push(free.lock_owned().await);
            }
            let mut states = States::default();
            let mut sessions = Vec::with_capacity(servers.len());
            for one in servers.into_values() {
                let session =
                    ServerSession::among(one.server, &mut states, Some(one.names.as_slice())).await?;
                sessions.push(Arc::new(session));
            }
            Ok(CutOff { open: Mutex::new(Open { sessions, lent }) })
        }
        .boxed()
    }
}

/// One state of each of some servers. Released or dropped, it lets go of them.
#[derive(Debug, Default)]
pub struct CutOff {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    sessions: Vec<Arc<ServerSession>>,
    lent: Vec<OwnedMutexGuard<()>>,
}

impl CutOff {
    /// The session with a server; none where the server was not asked for, or is not held any more.
    pub fn session(&self, server: &Server) -> Option<Arc<ServerSession>> {
        let identity = server.identity();
        self.sessions().into_iter().find(|session| session.identity == identity)
    }

    /// All sessions.
    pub fn sessions(&self) -> Vec<Arc<ServerSession>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).sessions.clone()
    }

    /// Ends the sessions in an orderly way and lets others have the servers.
    pub async fn release(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for session in &open.sessions {
            session.close().await;
        }
        drop(open.sessions);
        drop(open.lent);
    }
}
