//! Poorer hosts, simulated for tests of whole builds: `DIORITE_SIMULATE=single-uid` or `plain-container`.

/// Does what `DIORITE_SIMULATE` says to this process. Called first in `main`, before any thread.
pub fn apply() {}

/// Whether this process shall believe that no range of ids is to be had.
pub(crate) fn single_uid() -> bool {
    wanted("single-uid")
}

fn wanted(name: &str) -> bool {
    std::env::var("DIORITE_SIMULATE").is_ok_and(|v| v.split(',').any(|w| w == name))
}
