//! One process and everything that it starts, under a time limit.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::unix::pipe::Receiver,
    process::Command,
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    error::{CommandError, LastOutput},
    output::Tail,
};

/// After the end of the process, so long is waited for the end of what it printed: a process that it left behind in a
/// session of its own may hold the pipe.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs a program to its end.
pub(super) async fn run(
    line: &[String],
    folder: &Path,
    environment: &BTreeMap<String, OsString>,
    limit: Duration,
    mask: &(dyn Fn(&str) -> String + Sync),
) -> Result<(), CommandError> {
    let (name, arguments) =
        line.split_first().ok_or_else(|| CommandError::NotFound { program: String::new() })?;
    let program = || name.clone();
    let path = find_program(name, folder).ok_or_else(|| CommandError::NotFound { program: program() })?;
    let failed = |source| CommandError::Start { program: program(), source };
    // One pipe for both streams: what is shown stands in the order in which it was printed.
    let (printed, out) = std::io::pipe().map_err(failed)?;
    let err = out.try_clone().map_err(failed)?;
    let printed = Receiver::from_owned_fd(printed.into()).map_err(failed)?;
    let mut child = Command::new(path)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        // Its own group, so that it can be killed with all that it starts.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let group = Group(child.id());
    let (tail, over) = (Tail::default(), Notify::new());
    let waiting = async {
        let ended = timeout(limit, child.wait()).await;
        group.kill();
        over.notify_one();
        ended
    };
    let reading = async {
        tokio::select! {
            () = tail.read(printed) => {}
            () = async { over.notified().await; sleep(PATIENCE).await } => {}
        }
    };
    let (ended, ()) = tokio::join!(waiting, reading);
    let output = || LastOutput(tail.text(mask));
    match ended {
        Err(_) => Err(CommandError::TimedOut { program: program(), limit, output: output() }),
        Ok(Err(source)) => Err(CommandError::Start { program: program(), source }),
        Ok(Ok(status)) if !status.success() => {
            Err(CommandError::Failed { program: program(), status, output: output() })
        }
        Ok(Ok(_)) => Ok(()),
    }
}

/// The file of a program: a name with `/` relative to the folder, any other on `PATH`.
pub fn find_program(name: &str, folder: &Path) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    let absolute = |path: PathBuf| std::path::absolute(path).ok().filter(|path| path.is_file());
    if name.contains('/') {
        return absolute(folder.join(name));
    }
    std::env::split_paths(&std::env::var_os("PATH")?).find_map(|place| absolute(place.join(name)))
}

/// The processes of a job. They do not outlive it, also where it is cancelled.
struct Group(Option<u32>);

impl Group {
    fn kill(&self) {
        let Some(id) = self.0 else { return };
        // The standard library cannot signal a group. The shell's own `kill` can, and is where any job is.
        let _ = std::process::Command::new("/bin/sh")
            .args(["-c", "kill -s KILL -- \"-$1\"", "sh", &id.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
