//! A simulator, a target that means it, and a client with small limits.
#![allow(dead_code)]

pub mod case;
#[path = "../../../cli/tests/common/harness.rs"]
pub mod harness;

use diorite_model::Error;
use diorite_proxmox::target::parse;
use diorite_proxmox::{Client, ClientLimits, Target};
use diorite_proxmox_simulator::{Simulator, TOKEN, World};
use std::path::Path;
use std::time::Duration;

/// Nothing is waited for longer than this. A lock is never waited for in real time: the simulator's own clock runs.
pub fn limits() -> ClientLimits {
    let ms = Duration::from_millis;
    ClientLimits {
        connect: ms(8000),
        stall: ms(8000),
        uploaded: ms(3000),
        attempts: 3,
        pause: ms(2),
        lock: ms(60_000),
        poll: ms(2),
        silence: ms(20_000),
        ticket: Duration::from_secs(3600),
    }
}

/// The environment of these tests: a token, and nothing else.
pub fn environment(name: &str) -> Option<String> {
    (name == "PVE_TOKEN").then(|| TOKEN.to_owned())
}

/// `targets.toml` with a target of this address, and more lines.
pub fn described(url: &str, more: &str) -> String {
    let token = if more.contains("password_") { "" } else { "token_env = \"PVE_TOKEN\"\n" };
    let bridge = if more.contains("bridge =") { "" } else { "bridge = \"vmbr0\"\n" };
    let storage = match more.contains("storage =") {
        true => "",
        false => "storage = { import = \"local\", disks = \"local-zfs\" }\n",
    };
    let pool = if more.contains("pool =") { "" } else { "pool = \"school\"\n" };
    format!("[targets.school]\nurl = \"{url}\"\n{storage}{bridge}{pool}{token}{more}\n")
}

/// A target of this address, with more lines.
pub fn target(url: &str, more: &str) -> Target {
    let text = described(url, more);
    parse(&text, "targets.toml", Path::new("."), None).unwrap_or_else(|e| panic!("{text}\n{e}")).remove(0)
}

/// A client of it.
pub fn client_with(
    url: &str,
    more: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    limits: ClientLimits,
) -> Client {
    let target = target(url, more);
    let credential = target.credential(environment).unwrap_or_else(|e| panic!("{e}"));
    Client::new(target, credential, environment, limits).unwrap_or_else(|e| panic!("{e}"))
}

/// A client of a simulator.
pub fn client(simulator: &Simulator) -> Client {
    client_with(&simulator.url(), "", &environment, limits())
}

/// A simulator that offers all that is needed.
pub fn simulator() -> Simulator {
    Simulator::http(World::new())
}

/// An error without what differs from run to run: ports and fingerprints.
pub fn steady(error: &Error) -> String {
    let text = error.to_string();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("127.0.0.1:") {
        let (before, behind) = rest.split_at(at + "127.0.0.1:".len());
        out += before;
        out += "PORT";
        rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}
