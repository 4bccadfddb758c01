//! `diorite`: arguments in, exit code out.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod advisories;
mod args;
mod attestations;
mod build;
mod built;
mod child;
mod config_drive;
mod context;
mod disks;
mod downloads;
mod file;
mod init;
mod lock;
mod out;
mod paranoid;
mod print;
mod print_attest;
mod print_compare;
mod print_deploy;
mod print_init;
mod print_inspect;
mod print_paranoid;
mod print_rebuild;
mod print_scenario;
mod project;
mod project_directory;
mod rebuild;
mod reference;
mod results;
mod sides;
mod signer;
mod signing;
mod subject;
mod textfile;
mod verbs;

use clap::Parser as _;
use diorite_host::{interrupt, multicall, sandbox, simulate};
use diorite_model::{Error, Exit, Result};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Inside a Debian tree this program stands in for others, by the name it is called by.
    if let Some(code) = multicall::dispatch(child::STANDINS) {
        return code;
    }
    simulate::apply();
    if let Some(code) = sandbox::inside(child::INSIDE) {
        return code;
    }
    interrupt::install();
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return ended(printed(args::explain(usage, std::env::args())), false),
    };
    let outcome = verbs::run(&cli);
    interrupt::settle();
    ended(outcome, cli.json)
}

/// Shows help, the version, or what is wrong with the command line.
fn printed(usage: clap::Error) -> Result<Exit> {
    usage.print().map_err(out::failure)?;
    Ok(if usage.use_stderr() { Exit::Usage } else { Exit::Done })
}

/// Says why it has failed, if it has.
fn ended(outcome: Result<Exit>, json: bool) -> ExitCode {
    let exit = outcome.unwrap_or_else(|error| {
        say(&error, json);
        error.exit
    });
    ExitCode::from(exit as u8)
}

fn say(error: &Error, json: bool) {
    // Who has stopped reading is not told so.
    if error.exit == Exit::OutputClosed {
        return;
    }
    if json {
        let _ = out::line(print::error_json(error));
    }
    let _ = writeln!(std::io::stderr(), "{error}");
}
