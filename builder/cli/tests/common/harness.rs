//! Test files whose tests need something of the host that not every host has: such a test ends as `ignored`, with its
//! reason, and is counted as that. Rust's own runner cannot be told so while a test runs; libtest-mimic can, and takes the
//! same arguments. Tests run one after another: they are whole builds, which use every core themselves.
#![allow(dead_code)]

use libtest_mimic::{Arguments, Completion, Trial};
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

/// Runs those that are asked for.
pub fn run(tests: &[Test]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    let trial = |(name, test): &Test| {
        let test = *test;
        Trial::ignorable_test(*name, move || match test() {
            Ok(()) => Ok(Completion::Completed),
            Err(Ignored(why)) => Ok(Completion::ignored_with(why)),
        })
    };
    libtest_mimic::run(&arguments, tests.iter().map(trial).collect()).exit_code()
}
