//! From what the cluster does to what it is to do, one call at a time.

use super::{ClusterMember, ClusterSpec, ClusterState, HaResource, MARK, PAUSED, sid};
use crate::client::{Method, Parameters, Path};
use crate::desired::Keys;
use crate::plan::Call;
use std::collections::BTreeSet;
use std::fmt;

/// How often disks are replicated by default.
const USUAL: &str = "*/15";

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterChange {
    /// The cluster leaves the machine alone from now on.
    Pause(HaResource),
    /// The cluster sees to the machine again.
    Resume(HaResource),
    /// The machine comes under high availability, in a group where there are groups.
    Add(Option<String>),
    /// It goes to another group.
    Join(String),
    /// It is taken out.
    Remove,
    /// A group of nodes is made, or changed.
    Group(ClusterObject),
    /// A rule is made, or changed.
    Rule(ClusterObject),
    /// A rule goes.
    RemoveRule(String),
    /// A job that copies disks is made, or changed.
    Copy(u32, ClusterObject),
    /// A job ends, and the copies go.
    EndCopy(u32),
}

/// Something with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterObject {
    /// Its name.
    pub name: String,
    /// Its keys.
    pub keys: Keys,
    /// It is not there yet.
    pub new: bool,
}

/// The next call, if one is needed, for a machine that works.
pub fn next(spec: &ClusterSpec, cluster: &ClusterState, of: ClusterMember) -> Option<ClusterChange> {
    let here = spec.ha && cluster.can();
    if let Some(resource) = cluster.resource.as_ref().filter(|resource| resource.is_paused()) {
        return Some(ClusterChange::Resume(resource.clone()));
    }
    let availability = match (&cluster.resource, here) {
        (None, false) => None,
        (None, true) => Some(group(spec, cluster, of).unwrap_or(ClusterChange::Add(group_of(spec, cluster, of)))),
        // What somebody else has put there stays.
        (Some(resource), false) => resource.is_ours().then_some(ClusterChange::Remove),
        (Some(resource), true) => group(spec, cluster, of)
            .or_else(|| {
                group_of(spec, cluster, of).filter(|g| Some(g) != resource.group.as_ref()).map(ClusterChange::Join)
            })
            .or_else(|| rule(spec, cluster, of)),
    };
    availability.or_else(|| copies(spec, cluster, of))
}

/// The group that the machine is to be in.
fn group_of(spec: &ClusterSpec, cluster: &ClusterState, of: ClusterMember) -> Option<String> {
    if cluster.has_rules {
        return None;
    }
    let home = |node: &&String| {
        let its = cluster.resource.as_ref().and_then(|r| r.group.as_deref());
        its == Some(of.named(&format!("-{node}")).as_str())
    };
    match spec.anti_affinity {
        true => {
            let home = cluster.usable.iter().find(home).map_or(of.node, String::as_str);
            Some(of.named(&format!("-{home}")))
        }
        false => cluster.limited().then(|| of.named("")),
    }
}

/// That group, where it is not as it must be.
fn group(spec: &ClusterSpec, cluster: &ClusterState, of: ClusterMember) -> Option<ClusterChange> {
    let name = group_of(spec, cluster, of)?;
    let priority = |node: &String| match spec.anti_affinity {
        true if name == of.named(&format!("-{node}")) => format!("{node}:2"),
        true => format!("{node}:1"),
        false => node.clone(),
    };
    let nodes: Vec<_> = cluster.usable.iter().map(priority).collect();
    let keys = keys([
        ("nodes", nodes.join(",")),
        ("restricted", u8::from(cluster.limited()).to_string()),
        ("comment", MARK.into()),
    ]);
    let there = cluster.groups.get(&name);
    (!there.is_some_and(|there| same(there, &keys)))
        .then(|| ClusterChange::Group(ClusterObject { name, keys, new: there.is_none() }))
}

/// The next rule that is not as it must be.
fn rule(spec: &ClusterSpec, cluster: &ClusterState, of: ClusterMember) -> Option<ClusterChange> {
    if !cluster.has_rules {
        return None;
    }
    let family = cluster.family(of);
    let resources = family.iter().map(|id| sid(*id)).collect::<Vec<_>>().join(",");
    let nodes = cluster.usable.iter().cloned().collect::<Vec<_>>().join(",");
    let comment = ("comment", MARK.to_owned());
    // One machine is apart from itself, and more machines than nodes cannot be: the cluster refuses such rules.
    let apart = (spec.anti_affinity && (2..=cluster.usable.len()).contains(&family.len())).then(|| {
        keys([
            ("type", "resource-affinity".into()),
            ("affinity", "negative".into()),
            ("resources", resources.clone()),
            comment.clone(),
        ])
    });
    let limited = cluster.limited().then(|| {
        keys([
            ("type", "node-affinity".into()),
            ("nodes", nodes),
            ("strict", "1".into()),
            ("resources", resources),
            comment,
        ])
    });
    [("-apart", apart), ("-nodes", limited)].into_iter().find_map(|(what, desired)| {
        let name = of.named(what);
        match (desired, cluster.rules.get(&name)) {
            (Some(keys), Some(there)) if same(there, &keys) => None,
            (Some(keys), there) => Some(ClusterChange::Rule(ClusterObject { name, keys, new: there.is_none() })),
            (None, Some(_)) => Some(ClusterChange::RemoveRule(name)),
            (None, None) => None,
        }
    })
}

/// The next job that is not as it must be: one to each other node that the machine may be on.
fn copies(spec: &ClusterSpec, cluster: &ClusterState, of: ClusterMember) -> Option<ClusterChange> {
    let schedule = spec.replication.as_ref().filter(|_| cluster.copies(spec));
    let is_ours = |job: &Keys| job.get("comment").is_some_and(|comment| comment.starts_with(MARK));
    // A job that is being removed is none any more; its number is taken all the same.
    let lives = |job: &Keys| !job.contains_key("remove_job");
    let to = |job: &Keys, node: &String| job.get("target") == Some(node) && lives(job);
    let Some(schedule) = schedule else {
        let ours = cluster.jobs.iter().find(|(_, job)| is_ours(job) && lives(job));
        return ours.map(|(number, _)| ClusterChange::EndCopy(*number));
    };
    for node in cluster.usable.iter().filter(|node| *node != of.node) {
        let keys = keys([("target", node.clone()), ("schedule", schedule.clone()), ("comment", MARK.into())]);
        let there = cluster.jobs.iter().find(|(_, job)| to(job, node));
        match there {
            // Somebody's own copies are copies.
            Some((_, job)) if !is_ours(job) => {}
            Some((_, job)) if job.get("schedule").map_or(USUAL, String::as_str) == schedule => {}
            Some((number, _)) => {
                let name = format!("{}-{number}", of.id);
                return Some(ClusterChange::Copy(*number, ClusterObject { name, keys, new: false }));
            }
            None => {
                let number = (0..).find(|n| !cluster.jobs.contains_key(n)).unwrap_or(0);
                let name = format!("{}-{number}", of.id);
                return Some(ClusterChange::Copy(number, ClusterObject { name, keys, new: true }));
            }
        }
    }
    None
}

fn keys<const N: usize>(all: [(&str, String); N]) -> Keys {
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Whether everything that is desired is there. The order in a list says nothing; a flag that is not there is off.
fn same(there: &Keys, desired: &Keys) -> bool {
    let list = |text: &str| -> BTreeSet<String> { text.split(',').map(str::to_owned).collect() };
    desired.iter().all(|(key, value)| list(there.get(key).map_or("0", String::as_str)) == list(value))
}

impl ClusterChange {
    /// The call that it is.
    pub fn call(&self, id: u32) -> Call {
        let names = |last: &[&str]| Path::new([&["cluster"][..], last].concat());
        let resource = |state: Option<&str>, comment: &str| {
            let state = state.map_or(Parameters::none(), |state| Parameters::none().text("state", state));
            match comment {
                "" => state.text("delete", "comment"),
                comment => state.text("comment", comment),
            }
        };
        let (sid, at) = (sid(id), ["ha", "resources"]);
        let one = || names(&["ha", "resources", &sid]);
        let (method, path, parameters) = match self {
            ClusterChange::Pause(before) => {
                let comment = [PAUSED, &before.comment].into_iter().filter(|c| !c.is_empty()).collect::<Vec<_>>();
                (Method::Put, one(), resource(Some("ignored"), &comment.join("; ")))
            }
            ClusterChange::Resume(paused) => (Method::Put, one(), resource(Some("started"), paused.own_comment())),
            ClusterChange::Add(group) => {
                let parameters = Parameters::none().text("sid", sid.clone()).text("state", "started");
                let parameters = parameters.text("comment", MARK);
                let group = group.iter().fold(parameters, |all, group| all.text("group", group.clone()));
                (Method::Post, names(&at), group)
            }
            ClusterChange::Join(group) => (Method::Put, one(), Parameters::none().text("group", group.clone())),
            ClusterChange::Remove => (Method::Delete, one(), Parameters::none()),
            ClusterChange::Group(entry) => entry.call(&["cluster", "ha", "groups"], "group"),
            ClusterChange::Rule(entry) => entry.call(&["cluster", "ha", "rules"], "rule"),
            ClusterChange::RemoveRule(name) => (Method::Delete, names(&["ha", "rules", name]), Parameters::none()),
            ClusterChange::Copy(_, entry) if entry.new => {
                let (method, path, parameters) = entry.call(&["cluster", "replication"], "id");
                (method, path, parameters.text("type", "local"))
            }
            // Its target is what it is.
            ClusterChange::Copy(_, entry) => {
                let schedule = entry.keys.get("schedule").cloned().unwrap_or_default();
                (Method::Put, names(&["replication", &entry.name]), Parameters::none().text("schedule", schedule))
            }
            ClusterChange::EndCopy(number) => {
                (Method::Delete, names(&["replication", &format!("{id}-{number}")]), Parameters::none())
            }
        };
        Call { method, path, parameters }
    }

    /// What is there afterwards.
    pub fn apply(&self, cluster: &mut ClusterState) {
        match self {
            ClusterChange::Pause(before) => {
                let comment = format!("{PAUSED}; {}", before.comment);
                cluster.resource = Some(HaResource { state: "ignored".into(), comment, ..before.clone() });
            }
            ClusterChange::Resume(paused) => {
                let comment = paused.own_comment().to_owned();
                cluster.resource = Some(HaResource { state: "started".into(), comment, ..paused.clone() });
            }
            ClusterChange::Add(group) => {
                let (state, comment) = ("started".into(), MARK.into());
                cluster.resource = Some(HaResource { state, comment, group: group.clone() });
            }
            ClusterChange::Join(group) => {
                if let Some(resource) = &mut cluster.resource {
                    resource.group = Some(group.clone());
                }
            }
            ClusterChange::Remove => cluster.resource = None,
            ClusterChange::Group(entry) => drop(cluster.groups.insert(entry.name.clone(), entry.keys.clone())),
            ClusterChange::Rule(entry) => drop(cluster.rules.insert(entry.name.clone(), entry.keys.clone())),
            ClusterChange::RemoveRule(name) => drop(cluster.rules.remove(name)),
            ClusterChange::Copy(number, entry) => drop(cluster.jobs.insert(*number, entry.keys.clone())),
            ClusterChange::EndCopy(number) => drop(cluster.jobs.remove(number)),
        }
    }
}

impl ClusterObject {
    fn call(&self, names: &[&str], name: &'static str) -> (Method, Path, Parameters) {
        let own =
            |all: Parameters| self.keys.iter().fold(all, |all, (key, value)| all.text(key.clone(), value.clone()));
        match self.new {
            true => (Method::Post, Path::new(names), own(Parameters::none().text(name, self.name.clone()))),
            false => (Method::Put, Path::new([names, &[&self.name]].concat()), own(Parameters::none())),
        }
    }
}

impl fmt::Display for ClusterChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |entry: &ClusterObject| {
            let what = ["nodes", "resources"].iter().filter_map(|key| entry.keys.get(*key));
            what.cloned().collect::<Vec<_>>().join(" on ")
        };
        match self {
            ClusterChange::Pause(_) => write!(f, "set to `ignored` while its disk is swapped"),
            ClusterChange::Resume(_) => write!(f, "set to `started` again"),
            ClusterChange::Add(None) => write!(f, "add it to high availability"),
            ClusterChange::Add(Some(group)) => {
                write!(f, "add it to high availability, in group {group}")
            }
            ClusterChange::Join(group) => write!(f, "move it to group {group}"),
            ClusterChange::Remove => write!(f, "remove it from high availability"),
            ClusterChange::Group(entry) => write!(f, "group {}: {}", entry.name, listed(entry)),
            ClusterChange::Rule(entry) if entry.keys.contains_key("affinity") => {
                write!(f, "rule {}: keep apart {}", entry.name, listed(entry))
            }
            ClusterChange::Rule(entry) => write!(f, "rule {}: {}", entry.name, listed(entry)),
            ClusterChange::RemoveRule(name) => write!(f, "remove rule {name}"),
            ClusterChange::Copy(_, entry) => {
                let of = |key: &str| entry.keys.get(key).map_or("", String::as_str);
                write!(f, "replicate its disks to {} ({})", of("target"), of("schedule"))
            }
            ClusterChange::EndCopy(number) => write!(f, "remove replication job {number}"),
        }
    }
}
