//! The connection to a MongoDB server.

use std::{
    future::Future,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bson::{Binary, Bson, Document, RawDocumentBuf, doc};
use futures::FutureExt;
use mongodb::{
    Client, ClientSession, Collection, Database,
    options::{
        ClientOptions, ReadPreference, ReadPreferenceOptions, SelectionCriteria, ServerAddress,
        SessionOptions, Tls, TlsOptions,
    },
};

use tokio::runtime::Handle;

use super::{Cut, MongoFault, MongoOptions, ReadFrom};
use crate::{SourceError, open::Open};

/// How dualrun calls itself in the server's logs and lists of operations.
const APP_NAME: &str = "dualrun";

/// A database on a MongoDB server. Cheap to clone: clones share their connections.
#[derive(Clone)]
pub struct MongoSource {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    database: Database,
    display: String,
    server: MongoServer,
    warnings: Vec<String>,
    encrypted: bool,
    command_time: Duration,
    /// Counted until the server was told to forget its cursors.
    open: Mutex<Option<Open>>,
}

impl Drop for Inner {
    /// A reading that was given up: its cursors are closed in the background.
    fn drop(&mut self) {
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(open), Ok(runtime)) = (open, Handle::try_current()) {
            let client = self.client.clone();
            runtime.spawn(async move {
                let _ = tokio::time::timeout(FAREWELL, client.shutdown()).await;
                drop(open);
            });
        }
    }
}

/// How long a server is given to close its cursors.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoServer {
    /// The version that the server reports.
    pub version: String,
    /// The replica set it belongs to.
    pub replica_set: Option<String>,
    /// Whether it is the router of a sharded cluster.
    pub sharded: bool,
    /// Its clock, in milliseconds since 1970.
    pub local_time: Option<i64>,
}

/// What stands behind a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CollectionInfo {
    /// Changes when the collection is dropped and written anew; none for views and for users who may not see it.
    pub(super) uuid: Option<Binary>,
    /// Whether it has an index on `_id`: views and time series have none.
    pub(super) plain: bool,
    /// Whether texts in it are compared by the rules of a language.
    pub(super) collation: bool,
}

impl MongoSource {
    /// Connects, and checks user and password with a first command.
    pub async fn connect(options: MongoOptions) -> Result<Self, SourceError> {
        let asked = crate::without_credentials(&options.url);
        let failed = |fault| SourceError::mongo(&asked, fault);
        let mut warnings = Vec::new();
        let settings = settings(&options, &mut warnings).await.map_err(failed)?;
        let hosts: Vec<String> = settings.hosts.iter().map(ToString::to_string).collect();
        let name = options.database.clone().or_else(|| settings.default_database.clone());
        let Some(name) = name.filter(|n| !n.is_empty()) else {
            return Err(failed(MongoFault::Url("the database is missing")));
        };
        let display = format!("mongodb://{}/{name}", hosts.join(","));
        let failed = |fault| SourceError::mongo(&display, fault);
        let command_time = options.server_selection_timeout + options.connect_timeout;
        let encrypted = matches!(settings.tls, Some(Tls::Enabled(_)));
        let client = Client::with_options(settings).map_err(|e| failed(MongoFault::of(&e, command_time)))?;
        let admin = client.database("admin");
        let hello = within(command_time, admin.run_command(doc! {"hello": 1})).await.map_err(failed)?;
        let build = within(command_time, admin.run_command(doc! {"buildInfo": 1})).await.unwrap_or_default();
        let server = MongoServer {
            version: build.get_str("version").unwrap_or("unknown").to_owned(),
            replica_set: hello.get_str("setName").ok().map(str::to_owned),
            sharded: hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid"),
            local_time: hello.get_datetime("localTime").ok().map(|t| t.timestamp_millis()),
        };
        let database = client.database(&name);
        let open = Mutex::new(Some(Open::new()));
        let inner = Inner { client, database, display, server, warnings, encrypted, command_time, open };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Server and database for people, without user and password.
    pub fn display(&self) -> &str {
        &self.inner.display
    }

    /// What the server says of itself.
    pub fn server(&self) -> &MongoServer {
        &self.inner.server
    }

    /// What a user should be told loudly: a connection that is not encrypted or not verified.
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// The state of the data that a run reads, taken before its first reading: a snapshot where the server has them,
    /// else the documents up to a watermark (a field that only grows, and its greatest value), else none.
    pub async fn cut(&self, watermark: Option<(String, Bson)>) -> Result<Cut, SourceError> {
        if let Some(cluster_time) = self.cluster_time().await? {
            return Ok(Cut::Snapshot { cluster_time });
        }
        Ok(watermark.map_or(Cut::None, |(field, value)| Cut::Watermark { field, value }))
    }

    /// Ends the connections, after the server was told to forget open cursors. Streams must be dropped before.
    pub async fn close(self) {
        let wait = self.inner.command_time;
        let _open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A server that is gone cannot be told anything.
        let _ = tokio::time::timeout(wait, self.inner.client.clone().shutdown()).await;
    }

    pub(super) fn place(&self, collection: &str) -> String {
        format!("{}#{collection}", self.inner.display)
    }

    /// How long an answer to a command may take.
    pub(super) fn command_time(&self) -> Duration {
        self.inner.command_time
    }

    pub(super) fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.inner.database.collection(name)
    }

    /// A session that reads at the snapshot of a cut, or an ordinary one.
    pub(super) async fn session(&self, cut: &Cut) -> Result<ClientSession, MongoFault> {
        let options = match cut {
            Cut::Snapshot { cluster_time: (time, increment) } => {
                let at = bson::Timestamp { time: *time, increment: *increment };
                SessionOptions::builder().snapshot(true).snapshot_time(at).build()
            }
            _ => SessionOptions::builder().causal_consistency(false).build(),
        };
        within(self.inner.command_time, self.inner.client.start_session().with_options(options)).await
    }

    /// Whether connections are encrypted.
    pub fn encrypted(&self) -> bool {
        self.inner.encrypted
    }

    /// Runs a command on the database.
    pub(super) async fn command(&self, command: Document) -> Result<Document, MongoFault> {
        within(self.inner.command_time, self.inner.database.run_command(command)).await
    }

    /// Runs a command on `admin`; none where the server does not know it or the user may not.
    pub(super) async fn ask(&self, command: Document) -> Result<Option<Document>, MongoFault> {
        let admin = self.inner.client.database("admin");
        match within(self.inner.command_time, admin.run_command(command)).await {
            Ok(answer) => Ok(Some(answer)),
            Err(MongoFault::Refused { .. } | MongoFault::NotAuthorised) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// What stands behind a name; none where nothing does.
    pub(super) async fn info(&self, collection: &str) -> Result<Option<CollectionInfo>, MongoFault> {
        let command = |names: bool| {
            doc! {"listCollections": 1, "filter": {"name": collection}, "nameOnly": names, "authorizedCollections": names}
        };
        let time = self.inner.command_time;
        let listed = match within(time, self.inner.database.run_command(command(false))).await {
            Err(MongoFault::NotAuthorised) => {
                within(time, self.inner.database.run_command(command(true))).await
            }
            listed => listed,
        };
        let answer = match listed {
            Ok(answer) => answer,
            // Who may not list may still read.
            Err(MongoFault::NotAuthorised) => {
                return Ok(Some(CollectionInfo { uuid: None, plain: true, collation: true }));
            }
            Err(fault) => return Err(fault),
        };
        let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let found = batch.ok().and_then(|batch| batch.first()).and_then(Bson::as_document);
        Ok(found.map(|entry| CollectionInfo {
            uuid: entry.get_document("info").ok().and_then(|info| match info.get("uuid") {
                Some(Bson::Binary(uuid)) => Some(uuid.clone()),
                _ => None,
            }),
            plain: entry.get_str("type").is_ok_and(|kind| kind == "collection"),
            collation: entry.get_document("options").is_ok_and(|options| options.contains_key("collation")),
        }))
    }

    /// The time of a snapshot; none where the server has none. A stand-in may take the request and ignore it: only an
    /// answer that names the time is one.
    async fn cluster_time(&self) -> Result<Option<(u32, u32)>, SourceError> {
        let failed = |fault| SourceError::mongo(&self.inner.display, fault);
        let time = self.inner.command_time;
        let options = SessionOptions::builder().snapshot(true).build();
        let session = self.inner.client.start_session().with_options(options);
        let mut session = within(time, session).await.map_err(failed)?;
        // Any read takes a snapshot, also of a collection that does not exist.
        let probe: Collection<RawDocumentBuf> = self.inner.database.collection("dualrun_snapshot");
        // Boxed, so that the compiler sees that it can be sent to another thread.
        let find = probe.find(doc! {}).limit(1).session(&mut session).into_future().boxed();
        match within(time, find).await {
            Ok(_) => Ok(session.snapshot_time().map(|at| (at.time, at.increment))),
            Err(MongoFault::Refused { .. } | MongoFault::NotAuthorised | MongoFault::SnapshotTooOld) => {
                Ok(None)
            }
            Err(fault) => Err(failed(fault)),
        }
    }
}

impl std::fmt::Debug for MongoSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoSource").field("display", &self.inner.display).finish_non_exhaustive()
    }
}

/// Waits for the driver no longer than `limit`: it has no time limit of its own for a server that is silent.
pub(super) async fn within<T, F>(limit: Duration, action: F) -> Result<T, MongoFault>
where
    F: IntoFuture<Output = mongodb::error::Result<T>, IntoFuture: Future + Send>,
{
    match tokio::time::timeout(limit, action.into_future()).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(MongoFault::of(&error, limit)),
        Err(_) => Err(MongoFault::NoAnswer(limit)),
    }
}

async fn settings(options: &MongoOptions, warnings: &mut Vec<String>) -> Result<ClientOptions, MongoFault> {
    // The texts of the driver may quote the URL.
    let parsed = within(options.connect_timeout, ClientOptions::parse(&options.url)).await;
    let mut settings = parsed.map_err(|fault| match fault {
        MongoFault::Unreachable(_) | MongoFault::NoAnswer(_) | MongoFault::CaFile(_) => fault,
        _ => MongoFault::Url("it is not a connection string of MongoDB"),
    })?;
    settings.app_name = Some(APP_NAME.to_owned());
    settings.connect_timeout.get_or_insert(options.connect_timeout);
    settings.server_selection_timeout.get_or_insert(options.server_selection_timeout);
    settings.max_pool_size.get_or_insert(options.max_connections.max(1));
    settings.selection_criteria.get_or_insert_with(|| criteria(options));
    if let Some(password) = &options.password {
        let Some(credential) = &mut settings.credential else {
            return Err(MongoFault::Url("a password is given, but no user"));
        };
        credential.password = Some(password.clone());
    }
    secure(options, &mut settings, warnings)?;
    Ok(settings)
}

/// TLS is on unless the URL says otherwise or the server is on this machine.
fn secure(
    options: &MongoOptions,
    settings: &mut ClientOptions,
    warnings: &mut Vec<String>,
) -> Result<(), MongoFault> {
    let local = settings.hosts.iter().all(is_local);
    let wanted = options.ca_file.is_some() || options.insecure || !local;
    if settings.tls.is_none() && wanted {
        settings.tls = Some(Tls::Enabled(TlsOptions::default()));
    }
    match &mut settings.tls {
        Some(Tls::Enabled(tls)) => {
            if let Some(file) = &options.ca_file {
                tls.ca_file_path = Some(file.clone());
            }
            if let Some(file) = &tls.ca_file_path {
                std::fs::File::open(file).map_err(|_| MongoFault::CaFile(file.display().to_string()))?;
            }
            if options.insecure {
                tls.allow_invalid_certificates = Some(true);
            }
            if tls.allow_invalid_certificates == Some(true) {
                warnings.push("the certificate of the MongoDB server is not verified".to_owned());
            }
        }
        _ if !local => warnings.push("the connection to the MongoDB server is not encrypted".to_owned()),
        _ => {}
    }
    Ok(())
}

fn is_local(address: &ServerAddress) -> bool {
    match address {
        ServerAddress::Tcp { host, .. } => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        _ => true,
    }
}

fn criteria(options: &MongoOptions) -> SelectionCriteria {
    let staleness = options.max_staleness;
    let rules = staleness.map(|age| ReadPreferenceOptions::builder().max_staleness(age).build());
    SelectionCriteria::ReadPreference(match options.read_from {
        ReadFrom::Primary => ReadPreference::Primary,
        ReadFrom::PrimaryPreferred => ReadPreference::PrimaryPreferred { options: rules },
        ReadFrom::Secondary => ReadPreference::Secondary { options: rules },
        ReadFrom::SecondaryPreferred => ReadPreference::SecondaryPreferred { options: rules },
        ReadFrom::Nearest => ReadPreference::Nearest { options: rules },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn set(url: &str) -> (Result<ClientOptions, MongoFault>, Vec<String>) {
        let mut warnings = Vec::new();
        let set = settings(&MongoOptions::new(url), &mut warnings).await;
        (set, warnings)
    }

    #[tokio::test]
    async fn secondaries_are_preferred_and_the_name_is_told() {
        let (set, warnings) = set("mongodb://db.example/x").await;
        let set = set.unwrap();
        assert_eq!(set.app_name.as_deref(), Some("dualrun"));
        assert!(matches!(
            set.selection_criteria,
            Some(SelectionCriteria::ReadPreference(ReadPreference::SecondaryPreferred { options: None }))
        ));
        assert!(matches!(set.tls, Some(Tls::Enabled(_))), "TLS is on");
        assert!(warnings.is_empty());
    }

    #[tokio::test]
    async fn the_url_wins_and_what_is_not_safe_is_said() {
        let (options, warnings) = set("mongodb://db.example/x?readPreference=primary&tls=false").await;
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        assert_eq!(options.unwrap().selection_criteria, Some(primary));
        assert_eq!(warnings, ["the connection to the MongoDB server is not encrypted"]);
        let (_, warnings) = set("mongodb://db.example/x?tls=true&tlsInsecure=true").await;
        assert_eq!(warnings, ["the certificate of the MongoDB server is not verified"]);
        let (options, warnings) = set("mongodb://127.0.0.1:27017,localhost/x").await;
        assert!(options.unwrap().tls.is_none() && warnings.is_empty());
    }

    #[tokio::test]
    async fn an_url_that_cannot_be_read_is_not_repeated() {
        for url in ["postgres://u:s3cr3t@h/x", "mongodb://u:s3cr3t/@h/x", "mongodb://u:s3cr3t@h/x?tls=maybe"]
        {
            let fault = set(url).await.0.unwrap_err();
            assert!(
                !fault.to_string().contains("s3cr3t") && !format!("{fault:?}").contains("s3cr3t"),
                "{fault}"
            );
        }
        let mut options = MongoOptions::new("mongodb://127.0.0.1/x");
        options.password = Some("s3cr3t".to_owned());
        let fault = settings(&options, &mut Vec::new()).await.unwrap_err();
        assert_eq!(fault, MongoFault::Url("a password is given, but no user"));
    }
}
