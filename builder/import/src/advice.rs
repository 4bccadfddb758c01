//! What is done in place of the keys of a service that have no meaning here.

/// For the note about a key.
pub(crate) fn instead_of(key: &str) -> &'static str {
    match key {
        "env_file" => "write its variables into `environment`, and its secrets as credentials",
        "labels" => {
            "nothing reads labels here; what a proxy takes from them belongs into the proxy's own configuration"
        }
        "logging" => "what a container says goes into the machine's journal",
        "privileged" => "no container has all privileges: name `capabilities` and `devices`",
        "configs" => "put the file into an overlay of the container",
        "extra_hosts" => "names for every container and the machine: `[hosts]`",
        "dns" | "dns_search" | "dns_opt" => "containers ask the machine's name servers: `[network.NAME]`",
        "security_opt" => "privileges cannot be gained by anything; SELinux and AppArmor profiles are not taken over",
        "sysctls" => "kernel settings are the machine's: `[hardening.sysctl]`",
        "extends" => "write out what the other service says: `docker compose config` does that",
        "profiles" => "every container of a profile is started",
        "stop_grace_period" | "stop_signal" => "a container has ten seconds to end on the signal that its image names",
        "ipc" | "pid" | "userns_mode" | "uts" | "cgroup" | "cgroup_parent" => "a container has namespaces of its own",
        "links" | "external_links" => "containers on one network find each other by name",
        "group_add" => "write the group into `user`: `user:group`",
        "gpus" => "graphics processors are not given to containers",
        _ => "it has no counterpart here",
    }
}
