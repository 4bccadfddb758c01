//! `make variations`: the same bytes under changed conditions. A profile is built once as this machine is, then again under
//! each variation of list.rs, always from the same lock; and two larger profiles by two people on two distributions with 1, 2
//! and 8 threads. Every disk must have the same SHA-256, taken by `openssl`, not by the program itself. A positive control
//! changes one file of an overlay: the digests must differ, and `diffoscope` must name that file.
//!
//! Writes docs/measurements/DATE-variations.md and ends with 1 when a disk differs or a build fails. A variation that this
//! machine cannot have is a line with its reason, and counted as such. `ONLY="clock locale"` runs variations whose name has one
//! of these words; `OTHER=PATH` is another compilation of the program. Run from the repository as root, with ./diorite built.

mod clock;
#[path = "../../tests/common/harness.rs"]
mod harness;
#[path = "../../tests/common/host.rs"]
mod host;
mod list;
mod matrix;
mod page;
mod place;

use list::Variation;
use page::Line;
use place::{Place, World};
use std::process::ExitCode;
use std::time::Instant;

/// The profile of the many variations, and those of the matrix.
const SMALL: &str = "base";
const LARGE: &[&str] = &["server", "example-node"];

/// Whether this is root, for host.rs.
fn root() -> bool {
    rustix::process::geteuid().is_root()
}

fn main() -> ExitCode {
    let only = std::env::var("ONLY").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only.split_whitespace().any(|word| name.contains(word));
    let world = World::new();
    let mut lines = Vec::new();
    for variation in list::ALL.iter().filter(|variation| wanted(variation.name)) {
        lines.push(one(&world, variation));
        page::write(&world, &lines, None);
    }
    if wanted("matrix") {
        for profile in LARGE {
            matrix::run(&world, profile, &mut |line| {
                lines.push(line);
                page::write(&world, &lines, None);
            });
        }
    }
    let control = wanted("control").then(|| place::control(&world));
    let bad = page::write(&world, &lines, control.as_ref());
    eprintln!("{} builds, {bad} bad", lines.len());
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(world: &World, variation: &Variation) -> Line {
    let (begun, place) = (Instant::now(), Place::new(world, SMALL, variation.path));
    let outcome = (variation.run)(&place);
    let line = Line::new(SMALL, variation.name, variation.how, world.expected(SMALL), outcome, begun.elapsed());
    eprintln!("{line}");
    line
}
