//! What a check found: for people a page, for programs JSON.

use crate::Target;
use diorite_host::progress::bytes;
use serde::Serialize;
use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingSeverity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// A deployment would fail, or not be what was declared.
    Problem,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetFinding {
    /// How much it matters.
    pub level: FindingSeverity,
    /// What it is about: `privilege`, `node`, `storage`, `space`, `bridge`, `pool`, `firewall`, `version`.
    pub about: &'static str,
    /// For people, naming the thing.
    pub what: String,
    /// What to do; empty when nothing is.
    pub hint: String,
}

/// A storage of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorageReport {
    /// Its name.
    pub name: String,
    /// The node that sees it.
    pub node: String,
    /// `dir`, `zfspool`…
    pub kind: String,
    /// What may be kept there.
    pub content: Vec<String>,
    /// Bytes left.
    pub free: Option<u64>,
    /// Bytes in all.
    pub total: Option<u64>,
    /// Whether all nodes see the same.
    pub shared: bool,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeReport {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub online: bool,
    /// Its bridges.
    pub bridges: Vec<String>,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetReport {
    /// Version of this form.
    pub schema: u32,
    /// The target's name.
    pub target: String,
    /// Its address.
    pub url: String,
    /// Who asked.
    pub login: String,
    /// Its version.
    pub version: String,
    /// Nodes that may be used.
    pub nodes: Vec<NodeReport>,
    /// Storages that the login sees on them.
    pub storages: Vec<StorageReport>,
    /// What is worth saying, in the order in which it was looked for.
    pub findings: Vec<TargetFinding>,
}

impl TargetReport {
    pub(super) fn new(target: &Target, login: &str, version: &str) -> Self {
        Self {
            schema: 1,
            target: target.name.clone(),
            url: target.url.clone(),
            login: login.to_owned(),
            version: version.to_owned(),
            nodes: Vec::new(),
            storages: Vec::new(),
            findings: Vec::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        level: FindingSeverity,
        about: &'static str,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings.push(TargetFinding { level, about, what: what.into(), hint: hint.into() });
    }

    /// What stands in the way.
    pub fn problems(&self) -> impl Iterator<Item = &TargetFinding> {
        self.findings.iter().filter(|finding| finding.level == FindingSeverity::Problem)
    }
}

impl fmt::Display for TargetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "target   {} at {}: Proxmox VE {}", self.target, self.url, self.version)?;
        writeln!(f, "login    {}", self.login)?;
        for node in &self.nodes {
            let bridges = if node.bridges.is_empty() { "none seen".into() } else { node.bridges.join(", ") };
            let state = if node.online { format!("bridges: {bridges}") } else { "offline".into() };
            writeln!(f, "node     {}: {state}", node.name)?;
        }
        for storage in &self.storages {
            let space = match (storage.free, storage.total) {
                (Some(free), Some(total)) => format!(", {} of {} free", bytes(free), bytes(total)),
                _ => String::new(),
            };
            let shared = if storage.shared { ", shared" } else { "" };
            let content = storage.content.join(", ");
            let StorageReport { name, node, kind, .. } = storage;
            writeln!(f, "storage  {name} on {node} ({kind}{shared}): {content}{space}")?;
        }
        for finding in &self.findings {
            let word = match finding.level {
                FindingSeverity::Ok => "ok",
                FindingSeverity::Note => "note",
                FindingSeverity::Problem => "PROBLEM",
            };
            writeln!(f, "{word:<8} {}", finding.what)?;
            if !finding.hint.is_empty() {
                writeln!(f, "         help: {}", finding.hint)?;
            }
        }
        match self.problems().count() {
            0 => writeln!(f, "ready"),
            1 => writeln!(f, "1 problem"),
            n => writeln!(f, "{n} problems"),
        }
    }
}
