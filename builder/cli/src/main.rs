//! `diorite`: arguments in, exit code out.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod args;
mod disc;
mod images;
mod pipeline;
mod plan;
mod print;
mod print_deploy;
mod print_scenario;
mod project;
mod trees;
mod verbs;

use clap::Parser as _;
use diorite_host::{interrupt, multicall, sandbox, simulate};
use diorite_model::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Inside a Debian tree this program stands in for others, by the name it is called by.
    if let Some(code) = multicall::dispatch(pipeline::STANDINS) {
        return code;
    }
    simulate::apply();
    if let Some(code) = sandbox::inside(pipeline::INSIDE) {
        return code;
    }
    interrupt::install();
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            let _ = usage.print();
            return ExitCode::from(if usage.use_stderr() { Exit::Usage } else { Exit::Done } as u8);
        }
    };
    let outcome = verbs::run(&cli);
    interrupt::settle();
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            if cli.json {
                println!("{}", print::error_json(&error));
            }
            eprintln!("{error}");
            ExitCode::from(error.exit as u8)
        }
    }
}
