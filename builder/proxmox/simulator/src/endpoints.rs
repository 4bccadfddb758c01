//! The calls that are known, each as the API's own schema has it; a call's parameters may be fewer than the schema's, never
//! others. `tests/schema.rs` compares the two. Over 500 lines: it is one table, a row for each call.

/// Type of a parameter, in the schema's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `string`.
    Text,
    /// `integer`.
    Integer,
    /// `boolean`.
    Boolean,
}

/// What an answer's `data` is, in the schema's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// `object`.
    Object,
    /// `array`.
    List,
    /// `string`: the number of a task.
    Task,
    /// `integer`.
    Integer,
    /// `null`.
    Null,
}

/// Permission may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Anybody, without a login.
    World,
    /// Anybody with a login; the call itself may look closer.
    All,
    /// With all of these privileges at this path.
    Every(&'static str, &'static [&'static str]),
    /// With one of these.
    Some(&'static str, &'static [&'static str]),
    /// With all of these.
    And(&'static [Permission]),
    /// With one of these.
    Or(&'static [Permission]),
}

/// A parameter: name, type, whether it must be there.
pub type Parameter = (&'static str, Type, bool);

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// `GET`.
    pub method: &'static str,
    /// `/nodes/{node}/storage`.
    pub path: &'static str,
    /// Those of the path included.
    pub parameters: &'static [Parameter],
    /// What comes back.
    pub returns: Returns,
    /// Permission may.
    pub who: Permission,
}

use Returns::{Integer as Number, List, Null, Object, Task};
use Type::{Boolean, Integer, Text};

const fn call(
    method: &'static str,
    path: &'static str,
    parameters: &'static [Parameter],
    returns: Returns,
    who: Permission,
) -> Endpoint {
    Endpoint { method, path, parameters, returns, who }
}

const NODE: Parameter = ("node", Text, true);
const STORAGE: Parameter = ("storage", Text, true);
const VMID: Parameter = ("vmid", Integer, true);
const UPID: Parameter = ("upid", Text, true);

const CONFIGURE: Permission = Permission::Some(
    "/vms/{vmid}",
    &[
        "VM.Config.Disk",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.HWType",
        "VM.Config.Options",
        "VM.Config.Cloudinit",
    ],
);

const NAME: Parameter = ("name", Text, true);
const AGENT: Permission = Permission::Some("/vms/{vmid}", &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"]);
const NETWORK: Permission = Permission::Every("/vms/{vmid}", &["VM.Config.Network"]);

const SEE: Permission = Permission::Every("/", &["Sys.Audit"]);
const MANAGE: Permission = Permission::Every("/", &["Sys.Console"]);
const RULE: &[Parameter] = &[
    ("rule", Text, true),
    ("type", Text, true),
    ("resources", Text, true),
    ("affinity", Text, false),
    ("nodes", Text, false),
    ("strict", Boolean, false),
    ("comment", Text, false),
];
const CHANGED_RULE: &[Parameter] = &[
    ("rule", Text, true),
    ("type", Text, true),
    ("resources", Text, false),
    ("affinity", Text, false),
    ("nodes", Text, false),
    ("strict", Boolean, false),
    ("comment", Text, false),
];

/// Calls that are not in the schema that was written down: pve-manager, PVE/API2/ReplicationConfig.pm.
pub const UNRECORDED: &str = "/cluster/replication";

/// All of them.
pub const ENDPOINTS: &[Endpoint] = &[
    call("GET", "/version", &[], Object, Permission::All),
    call(
        "POST",
        "/access/ticket",
        &[
            ("username", Text, true),
            ("password", Text, true),
            ("realm", Text, false),
            ("otp", Text, false),
            ("tfa-challenge", Text, false),
            ("new-format", Boolean, false),
        ],
        Object,
        Permission::World,
    ),
    call("GET", "/access/permissions", &[("path", Text, false), ("userid", Text, false)], Object, Permission::All),
    call("GET", "/nodes", &[], List, Permission::All),
    call(
        "GET",
        "/nodes/{node}/storage",
        &[NODE, ("storage", Text, false), ("content", Text, false), ("enabled", Boolean, false)],
        List,
        Permission::All,
    ),
    call("GET", "/nodes/{node}/network", &[NODE, ("type", Text, false)], List, Permission::All),
    call("GET", "/cluster/firewall/options", &[], Object, Permission::Every("/", &["Sys.Audit"])),
    call("GET", "/cluster/nextid", &[("vmid", Integer, false)], Number, Permission::All),
    call("GET", "/cluster/resources", &[("type", Text, false)], List, Permission::All),
    call("GET", "/pools", &[("poolid", Text, false)], List, Permission::All),
    call(
        "POST",
        "/nodes/{node}/storage/{storage}/upload",
        &[
            NODE,
            STORAGE,
            ("content", Text, true),
            ("checksum-algorithm", Text, false),
            ("checksum", Text, false),
            ("filename", Text, true),
        ],
        Task,
        Permission::Every("/storage/{storage}", &["Datastore.AllocateTemplate"]),
    ),
    call(
        "POST",
        "/nodes/{node}/storage/{storage}/download-url",
        &[
            NODE,
            STORAGE,
            ("url", Text, true),
            ("content", Text, true),
            ("filename", Text, true),
            ("checksum-algorithm", Text, false),
            ("checksum", Text, false),
            ("verify-certificates", Boolean, false),
        ],
        Task,
        Permission::And(&[
            Permission::Every("/storage/{storage}", &["Datastore.AllocateTemplate"]),
            Permission::Or(&[
                Permission::Every("/", &["Sys.Audit", "Sys.Modify"]),
                Permission::Every("/nodes/{node}", &["Sys.AccessNetwork"]),
            ]),
        ]),
    ),
    call(
        "GET",
        "/nodes/{node}/storage/{storage}/content",
        &[NODE, STORAGE, ("content", Text, false), ("vmid", Integer, false)],
        List,
        Permission::Some("/storage/{storage}", &["Datastore.Audit", "Datastore.AllocateSpace"]),
    ),
    call(
        "DELETE",
        "/nodes/{node}/storage/{storage}/content/{volume}",
        &[NODE, ("storage", Text, false), ("volume", Text, true), ("delay", Integer, false)],
        Task,
        Permission::All,
    ),
    call("GET", "/nodes/{node}/tasks/{upid}/status", &[NODE, UPID], Object, Permission::All),
    call(
        "GET",
        "/nodes/{node}/tasks/{upid}/log",
        &[NODE, UPID, ("start", Integer, false), ("limit", Integer, false)],
        List,
        Permission::All,
    ),
    call(
        "GET",
        "/nodes/{node}/tasks",
        &[NODE, ("vmid", Integer, false), ("source", Text, false)],
        List,
        Permission::All,
    ),
    call("DELETE", "/nodes/{node}/tasks/{upid}", &[NODE, UPID], Null, Permission::All),
    call(
        "GET",
        "/nodes/{node}/qemu/{vmid}/config",
        &[NODE, VMID, ("current", Boolean, false)],
        Object,
        Permission::Every("/vms/{vmid}", &["VM.Audit"]),
    ),
    call(
        "GET",
        "/nodes/{node}/qemu/{vmid}/pending",
        &[NODE, VMID],
        List,
        Permission::Every("/vms/{vmid}", &["VM.Audit"]),
    ),
    call(
        "POST",
        "/nodes/{node}/qemu/{vmid}/config",
        &[
            NODE,
            VMID,
            ("scsi[n]", Text, false),
            ("unused[n]", Text, false),
            ("boot", Text, false),
            ("name", Text, false),
            ("description", Text, false),
            ("tags", Text, false),
            ("hotplug", Text, false),
            ("machine", Text, false),
            ("bios", Text, false),
            ("ostype", Text, false),
            ("cpu", Text, false),
            ("cores", Integer, false),
            ("memory", Text, false),
            ("scsihw", Text, false),
            ("net[n]", Text, false),
            ("agent", Text, false),
            ("serial[n]", Text, false),
            ("vga", Text, false),
            ("rng0", Text, false),
            ("onboot", Boolean, false),
            ("delete", Text, false),
            ("revert", Text, false),
            ("digest", Text, false),
            ("background_delay", Integer, false),
        ],
        Task,
        CONFIGURE,
    ),
    call(
        "POST",
        "/nodes/{node}/qemu",
        &[
            NODE,
            VMID,
            ("scsi[n]", Text, false),
            ("unused[n]", Text, false),
            ("boot", Text, false),
            ("name", Text, false),
            ("description", Text, false),
            ("tags", Text, false),
            ("hotplug", Text, false),
            ("machine", Text, false),
            ("bios", Text, false),
            ("ostype", Text, false),
            ("cpu", Text, false),
            ("cores", Integer, false),
            ("memory", Text, false),
            ("scsihw", Text, false),
            ("net[n]", Text, false),
            ("agent", Text, false),
            ("serial[n]", Text, false),
            ("vga", Text, false),
            ("smbios1", Text, false),
            ("rng0", Text, false),
            ("onboot", Boolean, false),
            ("efidisk0", Text, false),
            ("tpmstate0", Text, false),
            ("pool", Text, false),
        ],
        Task,
        // The call itself looks closer: at the pool, the storages and the bridge.
        Permission::All,
    ),
    call(
        "POST",
        "/nodes/{node}/qemu/{vmid}/move_disk",
        &[NODE, VMID, ("disk", Text, true), ("target-vmid", Integer, false), ("target-disk", Text, false)],
        Task,
        Permission::Every("/vms/{vmid}", &["VM.Config.Disk"]),
    ),
    call(
        "DELETE",
        "/nodes/{node}/qemu/{vmid}",
        &[NODE, VMID, ("purge", Boolean, false)],
        Task,
        Permission::Every("/vms/{vmid}", &["VM.Allocate"]),
    ),
    call(
        "GET",
        "/nodes/{node}/qemu/{vmid}/status/current",
        &[NODE, VMID],
        Object,
        Permission::Every("/vms/{vmid}", &["VM.Audit"]),
    ),
    call(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/start",
        &[NODE, VMID],
        Task,
        Permission::Every("/vms/{vmid}", &["VM.PowerMgmt"]),
    ),
    call(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/stop",
        &[NODE, VMID],
        Task,
        Permission::Every("/vms/{vmid}", &["VM.PowerMgmt"]),
    ),
    call(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/shutdown",
        &[NODE, VMID, ("timeout", Integer, false), ("forceStop", Boolean, false)],
        Task,
        Permission::Every("/vms/{vmid}", &["VM.PowerMgmt"]),
    ),
    call("POST", "/nodes/{node}/qemu/{vmid}/agent/ping", &[NODE, VMID], Object, AGENT),
    call("GET", "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces", &[NODE, VMID], Object, AGENT),
    call(
        "GET",
        "/nodes/{node}/qemu/{vmid}/firewall/options",
        &[NODE, VMID],
        Object,
        Permission::Every("/vms/{vmid}", &["VM.Audit"]),
    ),
    call(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/firewall/options",
        &[
            NODE,
            VMID,
            ("enable", Boolean, false),
            ("policy_in", Text, false),
            ("policy_out", Text, false),
            ("dhcp", Boolean, false),
            ("ndp", Boolean, false),
            ("radv", Boolean, false),
            ("macfilter", Boolean, false),
            ("ipfilter", Boolean, false),
        ],
        Null,
        NETWORK,
    ),
    call(
        "GET",
        "/nodes/{node}/qemu/{vmid}/firewall/ipset",
        &[NODE, VMID],
        List,
        Permission::Every("/vms/{vmid}", &["VM.Audit"]),
    ),
    call(
        "POST",
        "/nodes/{node}/qemu/{vmid}/firewall/ipset",
        &[NODE, VMID, ("name", Text, true), ("comment", Text, false)],
        Null,
        NETWORK,
    ),
    call(
        "GET",
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
        &[NODE, VMID, NAME],
        List,
        Permission::Every("/vms/{vmid}", &["VM.Audit"]),
    ),
    call(
        "POST",
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
        &[NODE, VMID, NAME, ("cidr", Text, true), ("nomatch", Boolean, false)],
        Null,
        NETWORK,
    ),
    call(
        "DELETE",
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
        &[NODE, VMID, NAME, ("force", Boolean, false)],
        Null,
        NETWORK,
    ),
    call(
        "DELETE",
        "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}",
        &[NODE, VMID, NAME, ("cidr", Text, true)],
        Null,
        NETWORK,
    ),
    call(
        "DELETE",
        "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
        &[NODE, VMID, ("pos", Integer, false), ("digest", Text, false)],
        Null,
        NETWORK,
    ),
    call(
        "GET",
        "/nodes/{node}/qemu/{vmid}/firewall/rules",
        &[NODE, VMID],
        List,
        Permission::Every("/vms/{vmid}", &["VM.Audit"]),
    ),
    call(
        "POST",
        "/nodes/{node}/qemu/{vmid}/firewall/rules",
        &[
            NODE,
            VMID,
            ("type", Text, true),
            ("action", Text, true),
            ("proto", Text, false),
            ("dport", Text, false),
            ("source", Text, false),
            ("dest", Text, false),
            ("icmp-type", Text, false),
            ("comment", Text, false),
            ("enable", Integer, false),
            ("pos", Integer, false),
        ],
        Null,
        Permission::Every("/vms/{vmid}", &["VM.Config.Network"]),
    ),
    call("GET", "/cluster/ha/resources", &[("type", Text, false)], List, SEE),
    call(
        "POST",
        "/cluster/ha/resources",
        &[("sid", Text, true), ("state", Text, false), ("group", Text, false), ("comment", Text, false)],
        Null,
        MANAGE,
    ),
    call(
        "PUT",
        "/cluster/ha/resources/{sid}",
        &[
            ("sid", Text, true),
            ("state", Text, false),
            ("group", Text, false),
            ("comment", Text, false),
            ("delete", Text, false),
        ],
        Null,
        MANAGE,
    ),
    call("DELETE", "/cluster/ha/resources/{sid}", &[("sid", Text, true)], Null, MANAGE),
    call("GET", "/cluster/ha/rules", &[("type", Text, false)], List, SEE),
    call("POST", "/cluster/ha/rules", RULE, Null, MANAGE),
    call("PUT", "/cluster/ha/rules/{rule}", CHANGED_RULE, Null, MANAGE),
    call("DELETE", "/cluster/ha/rules/{rule}", &[("rule", Text, true)], Null, MANAGE),
    call("GET", "/cluster/ha/groups", &[], List, SEE),
    call(
        "POST",
        "/cluster/ha/groups",
        &[("group", Text, true), ("nodes", Text, true), ("restricted", Boolean, false), ("comment", Text, false)],
        Null,
        MANAGE,
    ),
    call(
        "PUT",
        "/cluster/ha/groups/{group}",
        &[("group", Text, true), ("nodes", Text, false), ("restricted", Boolean, false), ("comment", Text, false)],
        Null,
        MANAGE,
    ),
    call("GET", "/cluster/replication", &[], List, Permission::All),
    call(
        "POST",
        "/cluster/replication",
        &[
            ("id", Text, true),
            ("target", Text, true),
            ("type", Text, true),
            ("schedule", Text, false),
            ("comment", Text, false),
        ],
        Null,
        // The call itself looks closer.
        Permission::All,
    ),
    call("PUT", "/cluster/replication/{id}", &[("id", Text, true), ("schedule", Text, false)], Null, Permission::All),
    call("DELETE", "/cluster/replication/{id}", &[("id", Text, true)], Null, Permission::All),
];

/// The call that a path belongs to, with the values of the path's own parameters.
pub(crate) fn find(method: &str, path: &str) -> Option<(&'static Endpoint, Vec<(String, String)>)> {
    let asked: Vec<&str> = path.split('/').collect();
    ENDPOINTS.iter().filter(|call| call.method == method).find_map(|call| {
        let names: Vec<&str> = call.path.split('/').collect();
        if names.len() != asked.len() {
            return None;
        }
        let mut values = Vec::new();
        for (name, value) in names.iter().zip(&asked) {
            match name.strip_prefix('{').and_then(|n| n.strip_suffix('}')) {
                Some(parameter) => values.push((parameter.to_owned(), crate::percent::decode(value))),
                None if name == value => {}
                None => return None,
            }
        }
        Some((call, values))
    })
}

impl Endpoint {
    /// The declaration of a parameter; `scsi3` is one of `scsi[n]`.
    pub(crate) fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        self.parameters.iter().find(|(declared, ..)| {
            *declared == name || (stem != name && declared.strip_suffix("[n]").is_some_and(|d| d == stem))
        })
    }
}
