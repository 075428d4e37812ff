//! Passwords are nowhere but where they are needed: not in what is printed, logged, kept or told, not in the list of
//! processes, not in the environment of a command.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use dualrun_e2e::{
    meters,
    servers::{Mongo, Postgres, variable},
};
use dualrun_testkit::{Project, command};

/// Asserts that none of the secrets stands in some bytes.
#[track_caller]
fn quiet(what: &str, bytes: &[u8], secrets: &[&str]) {
    for secret in secrets {
        let found = bytes.windows(secret.len()).position(|part| part == secret.as_bytes());
        let around = found
            .map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(60)..(at + 20).min(bytes.len())]));
        assert!(found.is_none(), "{what} holds {secret}: …{}…", around.unwrap_or_default());
    }
}

/// Asserts it of all files below a folder; says how many there are.
fn quiet_below(folder: &Path, secrets: &[&str]) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files += quiet_below(&path, secrets);
        } else if let Ok(bytes) = std::fs::read(&path) {
            quiet(&path.display().to_string(), &bytes, secrets);
            files += 1;
        }
    }
    files
}

/// Looks at the list of processes until it is told to stop: everything that it saw of dualrun and its children.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Watcher {
    fn start() -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, found) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !stopped.load(SeqCst) {
                for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let name = std::fs::read(entry.path().join("comm")).unwrap_or_default();
                    if let Ok(line) = std::fs::read(entry.path().join("cmdline"))
                        && (name.starts_with(b"dualrun") || name.starts_with(b"sh"))
                    {
                        let line = String::from_utf8_lossy(&line).into_owned();
                        let mut found = found.lock().unwrap();
                        if !found.contains(&line) {
                            found.push(line);
                        }
                    }
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { stop, thread: Some(thread), seen }
    }

    fn seen(mut self) -> Vec<String> {
        self.stop.store(true, SeqCst);
        self.thread.take().unwrap().join().unwrap();
        self.seen.lock().unwrap().clone()
    }
}

#[test]
fn a_password_is_found_nowhere() {
    let (Some(postgres), Some(mongo)) = (Postgres::open("secrets"), Mongo::open("secrets")) else { return };
    let Some(s3) = variable("DUALRUN_TEST_S3_URL") else { return };
    // One in the environment, one in a file, one in the settings, and those of the store.
    let pid = std::process::id();
    let (role, in_file) = (format!("e2e_secrets_{pid}"), format!("m4rker-in-file-{pid}"));
    postgres.run(&format!(
        "{}; CREATE ROLE {role} LOGIN PASSWORD '{in_file}'; GRANT USAGE ON SCHEMA $ TO {role}; \
         GRANT SELECT ON $.meters TO {role}",
        meters::table("$.meters", 300, 1)
    ));
    mongo.insert_many("meters", &meters::documents(300, 1));
    let (mongo_user, in_environment) = mongo.login();
    let rest = s3.split_once("://").unwrap().1;
    let (login, place) = rest.rsplit_once('@').unwrap();
    let ((key, in_settings), (host, bucket)) =
        (login.split_once(':').unwrap(), place.split_once('/').unwrap());
    let in_settings = in_settings.to_owned();

    let url = postgres.url(Some((&role, "x"))).replace(":x@", "@");
    let source =
        format!("[source.legacy]\nkind = \"postgres\"\nurl = \"{url}\"\npassword_file = \"secrets/pg\"\n");
    let project = meters::project(&source, &format!("table = \"{}.meters\"", postgres.schema), 300);
    project.write("secrets/pg", format!("{in_file}\n"));
    let mongo_url = mongo.url(Some((mongo_user, "${MARKER_MONGO}"))) + "&serverSelectionTimeoutMS=1500";
    project.replace(
        "dualrun.toml",
        "[source.factors]",
        &format!("[source.new_mongo]\nkind = \"mongodb\"\nurl = \"{mongo_url}\"\n\n[source.factors]"),
    );
    let new = "new = { source = \"lake\", path = \"meters.csv\" }";
    project.replace("energy/mapping.toml", new, "new = { source = \"new_mongo\", collection = \"meters\" }");
    // The new side is a command, which writes down its own environment and command line.
    project.replace(
        "energy/mapping.toml",
        "[new]\nengine = \"sql\"\nmodels = [\"new/10_silver.sql\", \"new/20_gold.sql\"]",
        "[new]\nengine = \"command\"\ncommand = [\"sh\", \"calculate.sh\"]\nresult = { format = \"csv\" }\nshape = { day = \"date\" }",
    );
    project.write(
        "energy/calculate.sh",
        "env > ../seen-environment\ntr '\\0' ' ' < /proc/$PPID/cmdline > ../seen-parent\necho telling on stderr >&2\n\
         printf 'customer_id,day,country,kwh,co2e_kg\\nacme-fr,2025-03-01,FR,1.5,0.5\\n' > \"$DUALRUN_RESULT\"\n",
    );
    let plain = project.read("dualrun.toml");
    let secrets = [in_file.as_str(), in_environment, in_settings.as_str()];

    let mut ran = 0;
    let watcher = Watcher::start();
    let mut said: Vec<(String, Vec<u8>)> = Vec::new();
    let mut run = |project: &Project, arguments: &[&str], what: &str| {
        let path = project.path().display().to_string();
        let args = arguments.iter().copied().chain(["--project", &path]);
        let mut command: Command = command(args);
        command.env("MARKER_MONGO", in_environment).env("DUALRUN_LOG", "trace").env("RUST_LOG", "trace");
        let output = command.output().unwrap();
        said.push((format!("stdout of {what} {arguments:?}"), output.stdout));
        said.push((format!("stderr of {what} {arguments:?}"), output.stderr));
        ran += 1;
        output.status.code()
    };
    let result = project.at("result.json");
    let once = [&meters::RUN[..], &["--result-file", &result]].concat();
    let code = run(&project, &once, "a run");
    assert!([Some(1), Some(4), Some(5)].contains(&code), "{code:?}: {}", String::from_utf8_lossy(&said[1].1));
    let nightly = ["nightly", "--period", "2025-03-01", "--as-of", "2025-03-03"];
    for arguments in
        [&nightly[..], &["doctor"], &["plan", "--period", "2025-03-01"], &["validate"], &["status"]]
    {
        run(&project, arguments, "a command");
    }
    // Evidence on S3.
    let store = format!(
        "\n[store]\nurl = \"s3://{bucket}/secrets-{pid}\"\n[store.options]\naws_endpoint = \"http://{host}\"\n\
         aws_access_key_id = \"{key}\"\naws_secret_access_key = \"{in_settings}\"\naws_allow_http = \"true\"\n\
         aws_region = \"us-east-1\"\n"
    );
    project.write("dualrun.toml", format!("{plain}{store}"));
    let later = ["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-04"];
    run(&project, &later, "a run with S3");
    run(&project, &["doctor"], "with S3");
    project.write("dualrun.toml", &plain);
    // And what goes wrong: right passwords at wrong places, and mistakes beside them.
    let broken: [(&str, &str, &str); 4] = [
        ("dualrun.toml", "127.0.0.1", "127.0.0.254"),
        ("dualrun.toml", "sslmode=disable", "sslmode=maybe"),
        ("dualrun.toml", "authSource=admin", "authSource=nowhere&tls=perhaps"),
        ("energy/mapping.toml", ".meters\"", ".metres\""),
    ];
    for (file, from, to) in broken {
        let before = project.read(file);
        project.replace(file, from, to);
        let code =
            run(&project, &["run", "-p", "energy", "--period", "2025-03-01", "--as-of", "2025-03-05"], to);
        assert!([Some(2), Some(3)].contains(&code), "{to}: {code:?}");
        run(&project, &["doctor", "--format", "json"], to);
        run(&project, &["plan", "--period", "2025-03-01", "--format", "json"], to);
        project.write(file, before);
    }
    let processes = watcher.seen();
    postgres.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));

    assert!(
        ran > 15 && said.iter().any(|(_, bytes)| bytes.windows(5).any(|part| part == b"TRACE")),
        "logs at trace"
    );
    for (what, bytes) in &said {
        quiet(what, bytes, &secrets);
    }
    assert!(processes.iter().any(|line| line.contains("dualrun")), "{processes:?}");
    quiet("the list of processes", processes.join("\n").as_bytes(), &secrets);
    let environment = project.read("seen-environment");
    assert!(environment.contains("DUALRUN_PERIOD_START") && project.read("seen-parent").contains("dualrun"));
    quiet("the environment of a command", environment.as_bytes(), &secrets);
    assert!(!environment.contains("MARKER_MONGO"), "{environment}");
    quiet("the command line of its parent", project.read("seen-parent").as_bytes(), &secrets);
    // State, evidence, what was spilled, and the result file.
    assert!(quiet_below(&project.path().join(".dualrun"), &secrets) > 5);
    quiet("the result file", project.read("result.json").as_bytes(), &secrets);
}
