//! The dualrun command line: arguments, settings, wiring. The only crate that names concrete adapters.
//!
//! Data goes to standard output, everything else to standard error; the exit code is the contract with the nightly
//! job. No policy and no calculation lives here.

use std::process::ExitCode as Code;

use clap::Parser;
use dualrun_core::ExitCode;

mod adapters;
mod args;
mod commands;
mod error;
mod output;
mod progress;
mod project;
mod secrets;
mod usage;

use args::{Cli, Command};
use output::Output;

fn main() -> Code {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help and version to standard output and usage errors to standard error.
            let _ = error.print();
            if error.use_stderr() {
                usage::record(&std::env::args_os().collect::<Vec<_>>(), &error);
            }
            return Code::from(if error.use_stderr() { u8::from(ExitCode::Usage) } else { 0 });
        }
    };
    logging();
    let output = Output::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&error::CliError::Runtime(error));
            return Code::from(u8::from(ExitCode::Infrastructure));
        }
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            code = run(&cli, &output) => Ok(code),
            signal = interrupted() => Err(signal),
        }
    });
    // Nothing is read any more: queries and cursors that were given up are ended on their servers.
    runtime.block_on(dualrun_sources::settled(FAREWELL));
    // Ends what still runs, and with it the processes of external jobs.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    let code = match ended {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            output.error(&error);
            error.exit_code()
        }
        // What a shell answers for a process that a signal ended.
        Err(signal) => return Code::from(128 + signal),
    };
    Code::from(u8::from(code))
}

/// How long servers are given to end what was given up.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(5);

/// Waits for the signals that end a process, and answers with the number of the one that came. Jobs that dualrun
/// started are in groups of their own, which no terminal and no scheduler would end.
async fn interrupted() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without a handler the signals end the process as ever.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
    }
}

async fn run(cli: &Cli, output: &Output) -> Result<ExitCode, error::CliError> {
    let global = &cli.global;
    match &cli.command {
        Command::Demo(args) => commands::demo::run(args, output).await,
        Command::Init(args) => commands::init::run(args, output),
        Command::Validate => commands::validate::run(global, output).await,
        Command::Plan(args) => commands::plan::run(global, args, output).await,
        Command::Load(args) => commands::load::run(global, args, output).await,
        Command::Run(args) => commands::run::run(global, args, output).await,
        Command::Nightly(args) => commands::nightly::run(global, args, output).await,
        Command::Diff(args) => commands::diff::run(args, output).await,
        Command::Doctor => commands::doctor::run(global, output).await,
        Command::Explain(args) => commands::explain::run(global, args, output).await,
        Command::Review(args) => commands::review::run(global, args, output).await,
        Command::Status(args) => commands::status::run(global, args, output).await,
        Command::Readiness(args) => commands::readiness::run(global, args, output).await,
    }
}

/// Logs go to standard error, and only where `DUALRUN_LOG` asks for them.
fn logging() {
    use tracing_subscriber::{EnvFilter, fmt};
    let filter = EnvFilter::try_from_env("DUALRUN_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    let _ = fmt()
        .with_env_filter(filter)
        .with_writer(|| secrets::Masked(std::io::stderr()))
        .without_time()
        .try_init();
}
