//! A gateway of a test's own before the store of the MongoDB server of the tests: one that may be killed, or given a bad
//! certificate.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A gateway; ended when dropped.
pub struct Gateway {
    program: PathBuf,
    store: String,
    folder: TempDir,
    certificate: Option<(PathBuf, PathBuf)>,
    child: Option<Child>,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Gateway {
    /// Starts one; with a certificate and its key it speaks TLS only. Where `scripts/services` built none, the test says
    /// so and passes.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(certificate: Option<(&Path, &Path)>) -> Option<Self> {
        let cache = std::env::var_os("DUALRUN_CACHE").map(PathBuf::from);
        let cache =
            cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/dualrun")))?;
        let program = cache.join("services/bin/ferretdb");
        let port = std::env::var("DUALRUN_DOCUMENTDB_PORT").unwrap_or_else(|_| "25433".to_owned());
        let store = format!("127.0.0.1:{port}");
        if !program.is_file() || TcpStream::connect(&store).is_err() {
            skipped("there is no FerretDB of scripts/services");
            return None;
        }
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}"));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let mut gateway = Self {
            program,
            store,
            folder,
            certificate: certificate.map(|(certificate, key)| (certificate.to_owned(), key.to_owned())),
            child: None,
            port: free.map_or(0, |address| address.port()),
        };
        gateway.up();
        Some(gateway)
    }

    /// Starts it again.
    ///
    /// # Panics
    /// It does not start.
    pub fn up(&mut self) {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new(&self.program);
        command
            .arg(format!("--postgresql-url=postgres://postgres@{}/postgres", self.store))
            .args(["--telemetry=disable", "--debug-addr=-", "--log-level=ERROR"])
            .arg(format!("--state-dir={}", self.folder.path().display()));
        match &self.certificate {
            None => _ = command.arg(format!("--listen-addr={listen}")),
            Some((certificate, key)) => {
                command
                    .args(["--listen-addr=", &format!("--listen-tls={listen}")])
                    .arg(format!("--listen-tls-cert-file={}", certificate.display()))
                    .arg(format!("--listen-tls-key-file={}", key.display()));
            }
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{}: {error}", self.program.display())));
        let started = Instant::now();
        while TcpStream::connect(&listen).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "the gateway does not start");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so loudly")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
