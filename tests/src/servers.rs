//! Parts of the real servers that tests write to: a schema or a database for each test, dropped at its end.

use bson::Document;
use mongodb::Client;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

/// A schema of a PostgreSQL server.
pub struct Postgres {
    runtime: Runtime,
    url: String,
    /// The name of the schema.
    pub schema: String,
}

/// A database of a MongoDB server.
pub struct Mongo {
    runtime: Runtime,
    url: String,
    client: Client,
    /// The name of the database.
    pub database: String,
}

/// The value of a variable that names a test server. Without one the test says so and passes; in CI it fails.
///
/// # Panics
/// In CI, without a value.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so loudly")]
pub fn variable(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Some(value),
        _ if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{name} is not set"),
        _ => {
            eprintln!("SKIPPED: {name} is not set; `scripts/services env` tells it");
            None
        }
    }
}

fn runtime() -> Runtime {
    Runtime::new().unwrap_or_else(|error| panic!("no runtime: {error}"))
}

/// User and password of an URL.
fn login(url: &str) -> (&str, &str) {
    let login = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(login, _)| login);
    login
        .and_then(|login| login.split_once(':'))
        .unwrap_or_else(|| panic!("the URL of a test server has no login"))
}

/// Host and port of an URL.
fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    &rest[..rest.find(['/', '?']).unwrap_or(rest.len())]
}

impl Postgres {
    /// A new schema, where there is a server.
    ///
    /// # Panics
    /// The server refuses, or there is none and `CI` is true.
    pub fn open(name: &str) -> Option<Self> {
        let url = variable("DUALRUN_TEST_POSTGRES_URL")?.split('?').next().unwrap_or_default().to_owned();
        let this = Self { runtime: runtime(), url, schema: format!("e2e_{name}_{}", std::process::id()) };
        this.run(&format!("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}", this.schema));
        Some(this)
    }

    /// Runs statements; `$` stands for the schema.
    ///
    /// # Panics
    /// The server refuses.
    pub fn run(&self, sql: &str) {
        if let Err(error) = self.attempt(sql) {
            panic!("{sql}: {error}: {:?}", error.as_db_error());
        }
    }

    /// The first value of a query, as text; `$` stands for the schema.
    ///
    /// # Panics
    /// The server refuses, or gives no value.
    pub fn ask(&self, sql: &str) -> String {
        let sql = sql.replace('$', &self.schema);
        let url = format!("{}?sslmode=disable", self.url);
        let answer = self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            let connection = tokio::spawn(connection);
            let messages = client.simple_query(&sql).await;
            drop(client);
            let _ = connection.await;
            messages
        });
        let messages = answer.unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.as_db_error()));
        let value = messages.into_iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        value.unwrap_or_else(|| panic!("{sql}: no value"))
    }

    /// Host and port.
    pub fn address(&self) -> String {
        address(&self.url).to_owned()
    }

    /// The URL through another port of this machine.
    pub fn url_at(&self, port: u16) -> String {
        self.url(None).replacen(address(&self.url), &format!("127.0.0.1:{port}"), 1)
    }

    fn attempt(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let sql = sql.replace('$', &self.schema);
        let url = format!("{}?sslmode=disable", self.url);
        self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            let connection = tokio::spawn(connection);
            let done = client.batch_execute(&sql).await;
            drop(client);
            let _ = connection.await;
            done
        })
    }

    /// Runs statements in a transaction that is open until what comes back is dropped.
    ///
    /// # Panics
    /// The server refuses.
    pub fn hold(&self, sql: &str) -> tokio_postgres::Client {
        let sql = format!("BEGIN; {}", sql.replace('$', &self.schema));
        let url = format!("{}?sslmode=disable", self.url);
        self.runtime.block_on(async {
            let connected = tokio_postgres::connect(&url, NoTls).await;
            let (client, connection) = connected.unwrap_or_else(|error| panic!("{error}"));
            tokio::spawn(connection);
            client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            client
        })
    }

    /// The URL with another login, where one is given.
    pub fn url(&self, login: Option<(&str, &str)>) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let (user, password) = login.unwrap_or_else(|| self.login());
        format!("{scheme}://{user}:{password}@{rest}?sslmode=disable")
    }

    /// A table of the schema as a relation.
    pub fn relation(&self, table: &str) -> String {
        format!("{}#{}.{table}", self.url(None), self.schema)
    }

    /// User and password.
    pub fn login(&self) -> (&str, &str) {
        login(&self.url)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A test that has failed says why; what it made goes all the same.
        let _ = self.attempt("DROP SCHEMA $ CASCADE");
    }
}

impl Mongo {
    /// A new database, where there is a server.
    ///
    /// # Panics
    /// The server refuses, or there is none and `CI` is true.
    pub fn open(name: &str) -> Option<Self> {
        let url = variable("DUALRUN_TEST_MONGODB_URL")?;
        let runtime = runtime();
        let client =
            runtime.block_on(Client::with_uri_str(&url)).unwrap_or_else(|error| panic!("MongoDB: {error}"));
        let database = format!("dualrun_e2e_{name}_{}", std::process::id());
        Some(Self { runtime, url, client, database })
    }

    /// Puts documents into a collection.
    ///
    /// # Panics
    /// The server refuses.
    pub fn insert(&self, collection: &str, documents: &[Document]) {
        let collection = self.client.database(&self.database).collection::<Document>(collection);
        self.runtime
            .block_on(async { collection.insert_many(documents).await })
            .unwrap_or_else(|error| panic!("MongoDB: {error}"));
    }

    /// Puts many documents into a collection, in several inserts.
    ///
    /// # Panics
    /// The server refuses.
    pub fn insert_many(&self, collection: &str, documents: &[Document]) {
        documents.chunks(5000).for_each(|some| self.insert(collection, some));
    }

    /// Host and port.
    pub fn address(&self) -> String {
        address(&self.url).to_owned()
    }

    /// The URL with the database, through another port of this machine.
    pub fn url_at(&self, port: u16) -> String {
        self.url(None).replacen(address(&self.url), &format!("127.0.0.1:{port}"), 1)
    }

    /// Runs a command on the database.
    ///
    /// # Panics
    /// The server refuses.
    pub fn run(&self, command: Document) -> Document {
        let database = self.client.database(&self.database);
        self.runtime
            .block_on(async { database.run_command(command).await })
            .unwrap_or_else(|error| panic!("MongoDB: {error}"))
    }

    /// Runs a command on `admin`.
    ///
    /// # Panics
    /// The server refuses.
    pub fn admin(&self, command: Document) {
        let admin = self.client.database("admin");
        let done = self.runtime.block_on(async { admin.run_command(command).await });
        done.unwrap_or_else(|error| panic!("MongoDB: {error}"));
    }

    /// The URL with the database, with another login where one is given.
    pub fn url(&self, login: Option<(&str, &str)>) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let host = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        let (user, password) = login.unwrap_or_else(|| self.login());
        format!("{scheme}://{user}:{password}@{host}/{}?authSource=admin", self.database)
    }

    /// A collection of the database as a relation.
    pub fn relation(&self, collection: &str) -> String {
        format!("{}#{collection}", self.url(None))
    }

    /// User and password.
    pub fn login(&self) -> (&str, &str) {
        login(&self.url)
    }
}

impl Drop for Mongo {
    fn drop(&mut self) {
        let database = self.client.database(&self.database);
        let _ = self.runtime.block_on(async { database.drop().await });
    }
}
