//! The runner of test files whose tests need something of the host that not every host has: such a test ends as
//! `ignored`, with its reason, and is counted as that. Rust's own runner knows only passed and failed.
//!
//! Arguments: words are parts of names, as with `cargo test`; options are taken and mean nothing. Tests run one after
//! another: they are whole builds, which use every core themselves.
#![allow(dead_code)]

use std::panic::catch_unwind;
use std::process::ExitCode;

/// Why a test cannot run on this host.
#[derive(Debug)]
pub struct Ignored(pub String);

/// A test panics, has nothing more to say, or could not run.
pub type Outcome = Result<(), Ignored>;

/// The end of a test that cannot run here.
pub fn ignored<T>(why: impl Into<String>) -> Result<T, Ignored> {
    Err(Ignored(why.into()))
}

/// A test with its name.
pub type Test = (&'static str, fn() -> Outcome);

/// The tests of a file, by their functions. One that is missing here is an unused function, which lints refuse.
#[macro_export]
macro_rules! tests {
    ($($test:ident),+ $(,)?) => { &[$((stringify!($test), $test as fn() -> $crate::common::harness::Outcome)),+] };
}

/// Runs those that are asked for and prints as cargo's own runner does.
pub fn run(tests: &[Test]) -> ExitCode {
    let mut words = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--test-threads" | "--skip" | "--format" | "--color" => drop(arguments.next()),
            "--list" => {
                tests.iter().for_each(|(name, _)| println!("{name}: test"));
                return ExitCode::SUCCESS;
            }
            option if option.starts_with('-') => {}
            _ => words.push(argument),
        }
    }
    let asked = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let wanted: Vec<_> = tests.iter().filter(|(name, _)| asked(name)).collect();
    println!("\nrunning {} tests", wanted.len());
    let (mut failed, mut without) = (Vec::new(), 0);
    for (name, test) in &wanted {
        match catch_unwind(test) {
            Ok(Ok(())) => println!("test {name} ... ok"),
            Ok(Err(Ignored(why))) => {
                without += 1;
                println!("test {name} ... ignored, {why}");
            }
            Err(_) => {
                println!("test {name} ... FAILED");
                failed.push(*name);
            }
        }
    }
    let result = if failed.is_empty() { "ok".to_owned() } else { format!("FAILED: {}", failed.join(", ")) };
    let passed = wanted.len() - failed.len() - without;
    println!(
        "\ntest result: {result}. {passed} passed; {} failed; {without} ignored; {} filtered out\n",
        failed.len(),
        tests.len() - wanted.len()
    );
    ExitCode::from(u8::from(!failed.is_empty()))
}
