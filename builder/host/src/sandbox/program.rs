//! The path of our own program, which is started again inside a sandbox and shown in the place of others.

/// Our own program: `DIORITE_PROGRAM` for tests, else the file we run from.
pub(crate) fn program_path() -> std::path::PathBuf {
    std::env::var_os("DIORITE_PROGRAM").unwrap_or_else(|| "/proc/self/exe".into()).into()
}
