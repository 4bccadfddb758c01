//! Real disks and real machines behind the simulator, where a test brings them.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a test brings: disks are raw files, machines run.
pub trait Hardware: fmt::Debug + Send + Sync {
    /// Where the bytes of a storage's volume are.
    fn place(&self, storage: &str, name: &str) -> PathBuf;
    /// An image's file → a raw disk.
    ///
    /// # Errors
    /// In the text that the task ends in.
    fn import(&self, from: &Path, to: &Path) -> Result<(), String>;
    /// Starts a machine with this configuration. Disks are named as in it.
    ///
    /// # Errors
    /// In the text that the task ends in.
    fn start(&self, id: u64, config: &BTreeMap<String, String>) -> Result<(), String>;
    /// Ends a machine, in order or at once; returns when it has ended.
    fn stop(&self, id: u64, orderly: bool);
    /// Asks a machine's guest agent.
    ///
    /// # Errors
    /// It does not answer.
    fn agent(&self, id: u64, command: &str) -> Result<Value, String>;
}
