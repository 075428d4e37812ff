//! A PostgreSQL server of a test's own, made from the packages of the machine: one that may be killed, followed by a
//! standby, or given a bad certificate.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

/// The user and the password of such a server.
pub const LOGIN: (&str, &str) = ("dualrun", "cluster-secret");

/// A running server; ended and removed when dropped.
pub struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    /// Its port on 127.0.0.1.
    pub port: u16,
    runtime: Runtime,
}

impl Cluster {
    /// A new server with more lines of `postgresql.conf`. Without the programs the test says so and passes; in CI it
    /// fails.
    ///
    /// # Panics
    /// It does not start, or there are no programs and `CI` is true.
    pub fn start(settings: &str) -> Option<Self> {
        let cluster = Self::empty()?;
        let secret = cluster.folder.path().join("password");
        write(&secret, LOGIN.1);
        let (data, secret) = (cluster.data(), secret.display().to_string());
        cluster.run(
            "initdb",
            &[
                "-D",
                &data,
                "-U",
                LOGIN.0,
                "--pwfile",
                &secret,
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
        );
        let ports = format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nfsync = off\n\
             synchronous_commit = off\nfull_page_writes = off\nmax_connections = 40\nshared_buffers = '32MB'\n{settings}\n",
            cluster.port
        );
        append(&Path::new(&data).join("postgresql.conf"), &ports);
        append(&Path::new(&data).join("pg_hba.conf"), "\nhost replication all 127.0.0.1/32 scram-sha-256\n");
        cluster.up();
        Some(cluster)
    }

    /// A standby that follows this server, with more lines of `postgresql.conf`.
    ///
    /// # Panics
    /// It does not start.
    pub fn standby(&self, settings: &str) -> Self {
        let standby = Self::empty().unwrap_or_else(|| panic!("the programs are gone"));
        let (data, port) = (standby.data(), self.port.to_string());
        standby.run(
            "pg_basebackup",
            &[
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                LOGIN.0,
                "-D",
                &data,
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
            ],
        );
        append(
            &Path::new(&data).join("postgresql.conf"),
            &format!("\nport = {}\nhot_standby = on\n{settings}\n", standby.port),
        );
        standby.up();
        standby
    }

    fn empty() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "no programs of PostgreSQL");
            skipped("there is no initdb");
            return None;
        };
        // Not below the build: the server's own user must be able to enter it.
        let folder = tempfile::Builder::new()
            .prefix("dualrun-cluster-")
            .tempdir_in("/tmp")
            .unwrap_or_else(|error| panic!("a folder for a cluster: {error}"));
        let _ = fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755));
        if is_root() {
            let owned = Command::new("chown").arg("postgres:").arg(folder.path()).status();
            assert!(owned.is_ok_and(|status| status.success()), "no user postgres");
        }
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_or(0, |a| a.port());
        let runtime = Runtime::new().unwrap_or_else(|error| panic!("no runtime: {error}"));
        Some(Self { programs, folder, port, runtime })
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// Starts it again.
    ///
    /// # Panics
    /// It does not start.
    pub fn up(&self) {
        let log = self.folder.path().join("log").display().to_string();
        self.run("pg_ctl", &["start", "-D", &self.data(), "-l", &log, "-w", "-t", "60"]);
    }

    /// Ends it at once, as a machine that loses its power would.
    pub fn kill(&self) {
        let _ = self.attempt("pg_ctl", &["stop", "-D", &self.data(), "-m", "immediate", "-w", "-t", "30"]);
    }

    /// Puts a certificate and its key into its folder, for settings that name `server.pem` and `server.key`. It must be
    /// started again.
    ///
    /// # Panics
    /// They cannot be copied.
    pub fn certificate(&self, certificate: &Path, key: &Path) {
        for (from, name, mode) in [(certificate, "server.pem", 0o644), (key, "server.key", 0o600)] {
            let to = Path::new(&self.data()).join(name);
            let copied =
                fs::copy(from, &to).and_then(|_| fs::set_permissions(&to, fs::Permissions::from_mode(mode)));
            copied.unwrap_or_else(|error| panic!("{}: {error}", from.display()));
            if is_root() {
                let _ = Command::new("chown").arg("postgres:").arg(&to).status();
            }
        }
    }

    /// Its URL, on another port where one is given.
    pub fn url(&self, port: Option<u16>) -> String {
        let (user, password) = LOGIN;
        format!(
            "postgres://{user}:{password}@127.0.0.1:{}/postgres?sslmode=disable",
            port.unwrap_or(self.port)
        )
    }

    /// Runs statements.
    ///
    /// # Panics
    /// The server refuses.
    pub fn sql(&self, sql: &str) {
        self.ask(sql);
    }

    /// The first value of a query as text, where it gives rows.
    ///
    /// # Panics
    /// The server refuses.
    pub fn ask(&self, sql: &str) -> Option<String> {
        self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url(None), NoTls)
                .await
                .unwrap_or_else(|error| panic!("port {}: {error}", self.port));
            let connection = tokio::spawn(connection);
            let messages = client
                .simple_query(sql)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.as_db_error()));
            drop(client);
            let _ = connection.await;
            messages.into_iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
        })
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        if let Err(said) = self.attempt(program, arguments) {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            panic!("{program}: {said}\n{log}");
        }
    }

    fn attempt(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).env("PGPASSWORD", LOGIN.1).current_dir("/").stdin(Stdio::null());
        // A server that inherits a pipe would keep it open.
        let said = self.folder.path().join("said");
        let file = fs::File::create(&said).map_err(|error| error.to_string())?;
        let copy = file.try_clone().map_err(|error| error.to_string())?;
        let status = command.stdout(file).stderr(copy).status().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(fs::read_to_string(said).unwrap_or_default()) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so loudly")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

/// The newest of Debian's, else what the PATH has.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .collect();
    folders.sort();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
    };
    folders.pop().map(|(_, bin)| bin).or_else(on_path)
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o644));
}

fn append(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // In place: the file belongs to the server's own user.
    fs::write(path, before + text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
