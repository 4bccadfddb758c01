//! One service of a compose file → `[containers.NAME]`.

use crate::stack::ComposeStack;
use crate::toml_text::{key, list, text};
use crate::yaml::{YamlKind, YamlNode};
use crate::{advice, ports, words};
use diorite_model::secret;

/// A service while it is read.
pub(crate) struct ComposeService<'a> {
    stack: &'a mut ComposeStack,
    path: String,
    pub(crate) name: String,
    lines: Vec<String>,
    limits: Vec<String>,
    volumes: Vec<String>,
    secrets: Vec<String>,
    environment: Vec<(String, String)>,
    publish: Vec<String>,
    writable: Vec<String>,
    health: Vec<String>,
    after: Vec<String>,
}

/// Keys that mean here what happens anyway, or nothing at all.
const SILENT: [&str; 14] = [
    "container_name",
    "restart",
    "read_only",
    "cap_drop",
    "expose",
    "pull_policy",
    "stdin_open",
    "tty",
    "platform",
    "annotations",
    "attach",
    "image",
    "build",
    "scale",
];

/// The table of a service, in TOML.
pub(crate) fn table(stack: &mut ComposeStack, compose_name: &str, node: &YamlNode) -> String {
    let (name, path) = (words::name(compose_name), format!("services.{compose_name}"));
    let mut service = ComposeService {
        stack,
        path,
        name,
        lines: Vec::new(),
        limits: Vec::new(),
        volumes: Vec::new(),
        secrets: Vec::new(),
        environment: Vec::new(),
        publish: Vec::new(),
        writable: Vec::new(),
        health: Vec::new(),
        after: Vec::new(),
    };
    if service.name != compose_name {
        let what = format!("it is called `{}` here, and other containers reach it by that name", service.name);
        service.note(node.line, "", &what);
    }
    service.root(node);
    for (key, line, value) in node.entries() {
        service.key(key, *line, value);
    }
    if node.get("networks").is_none() && node.get("network_mode").is_none() {
        service.joins_default();
    }
    service.finish()
}

impl ComposeService<'_> {
    fn note(&mut self, line: usize, key: &str, what: &str) {
        let path = if key.is_empty() { self.path.clone() } else { format!("{}.{key}", self.path) };
        self.stack.note(line, &path, what);
    }

    /// Text without variables of the shell that would start docker compose.
    fn plain(&mut self, node: &YamlNode, key: &str) -> Option<String> {
        let (value, missing) = crate::interpolate::interpolated(node.text()?);
        if !missing.is_empty() {
            let names = missing.join(", ");
            self.note(node.line, key, &format!("{names} came from the environment of docker compose: write the value"));
        }
        Some(value)
    }

    fn plain_list(&mut self, node: &YamlNode, key: &str) -> Vec<String> {
        node.items().into_iter().filter_map(|item| self.plain(item, key)).collect()
    }

    /// What its root is made from.
    fn root(&mut self, node: &YamlNode) {
        if let Some(build) = node.get("build") {
            let archive = format!("images/{}.tar", self.name);
            let what = format!(
                "images are not built here: build it elsewhere, and put it beside the profile as {archive} \
                 (`podman save --format oci-archive`)"
            );
            self.note(build.line, "build", &what);
            self.lines.push(format!("archive = {}", text(&archive)));
            return;
        }
        let Some(image) = node.get("image") else {
            self.note(node.line, "", "it has neither `image` nor `build`: write `archive`, `oci` or `packages`");
            return;
        };
        let Some(reference) = self.plain(image, "image") else { return };
        let full = words::reference(&reference);
        if full.contains("@sha256:") {
            self.lines.push(format!("oci = {}", text(&full)));
        } else {
            let what = format!(
                "an image is named by its digest: write it behind the tag, as `skopeo inspect --format '{{{{.Digest}}}}' \
                 docker://{full}` prints it"
            );
            self.note(image.line, "image", &what);
            self.lines.push(format!("oci = {}", text(&format!("{full}@sha256:DIGEST"))));
        }
    }

    fn key(&mut self, name: &str, line: usize, node: &YamlNode) {
        match name {
            _ if SILENT.contains(&name) || name.starts_with("x-") => self.silent(name, line, node),
            "command" | "entrypoint" => {
                let all = match &node.kind {
                    YamlKind::Text(_) => self.plain(node, name).map(|t| words::shell_words(&t)).unwrap_or_default(),
                    _ => self.plain_list(node, name),
                };
                if !all.is_empty() {
                    self.lines.push(format!("{name} = {}", list(&all)));
                }
            }
            "user" | "hostname" | "working_dir" => {
                let here = if name == "working_dir" { "workdir" } else { name };
                if let Some(value) = self.plain(node, name) {
                    self.lines.push(format!("{here} = {}", text(&value)));
                }
            }
            "init" => self.lines.push(format!("init = {}", node.is_true())),
            "environment" => self.environment(node),
            "ports" => self.ports(node),
            "volumes" => node.items().into_iter().for_each(|volume| self.volume(volume)),
            "tmpfs" => {
                for path in self.plain_list(node, name) {
                    self.memory(path.split(':').next().unwrap_or_default(), node.line, path.contains(':'));
                }
            }
            "networks" => self.networks(node),
            "network_mode" => {
                self.note(line, name, "a container has networks of its own; take it out of others' and the machine's")
            }
            "depends_on" => self.depends_on(node),
            "healthcheck" => self.healthcheck(node),
            "secrets" => node.items().into_iter().for_each(|secret| self.secret(secret)),
            "cap_add" => {
                let all = self.plain_list(node, name);
                let all: Vec<String> = all.iter().map(|c| c.trim_start_matches("CAP_").to_owned()).collect();
                self.lines.push(format!("capabilities = {}", list(&all)));
            }
            "devices" => self.devices(node),
            "shm_size" => self.size("shm", node),
            "mem_limit" => self.size("memory", node),
            "cpus" => self.cpus(node),
            "pids_limit" => self.limits.extend(node.text().map(|n| format!("pids = {n}"))),
            "ulimits" => self.ulimits(node),
            "deploy" => self.deploy(node),
            _ => self.note(line, name, advice::instead_of(name)),
        }
    }

    /// Keys that need no line, unless they ask for less than there is.
    fn silent(&mut self, name: &str, line: usize, node: &YamlNode) {
        match name {
            "restart" if node.text() == Some("no") => {
                self.note(line, name, "a container that fails is always started again");
            }
            "read_only" if !node.is_true() => self.note(line, name, "the root of every container is read-only"),
            "scale" => self.note(line, name, "there is one container of each name"),
            _ => {}
        }
    }

    fn environment(&mut self, node: &YamlNode) {
        let mut all: Vec<(String, usize, Option<String>, Vec<String>)> = Vec::new();
        let mut add = |name: &str, line: usize, value: Option<&str>| {
            let (value, missing) =
                value.map(crate::interpolate::interpolated).map_or((None, vec![]), |(v, m)| (Some(v), m));
            all.push((name.to_owned(), line, value, missing));
        };
        for (name, line, value) in node.entries() {
            add(name, *line, value.text());
        }
        for item in if node.entries().is_empty() { node.items() } else { Vec::new() } {
            let line = item.text().unwrap_or_default();
            let (name, value) = line.split_once('=').map_or((line, None), |(n, v)| (n, Some(v)));
            add(name, item.line, value);
        }
        for (name, line, value, missing) in all {
            let at = format!("environment.{name}");
            let unsaid = value.is_none() || !missing.is_empty();
            let secret = (unsaid && secret::names_one(&name))
                || value
                    .as_deref()
                    .is_some_and(|v| secret::holds_one(&name, v) || secret::userinfo(v).next().is_some());
            match value {
                _ if secret => {
                    self.credential(&name, &format!("environment = {}", text(&name)));
                    let credential = self.secret_name(&name);
                    let what =
                        format!("a secret: give it to the machine as the credential `{credential}`, not in a file");
                    self.note(line, &at, &what);
                }
                Some(value) if missing.is_empty() => self.environment.push((name, value)),
                _ => self.note(
                    line,
                    &at,
                    "its value came from the environment of docker compose: write it, or a credential",
                ),
            }
        }
    }

    fn secret_name(&self, name: &str) -> String {
        format!("{}.{}", self.name, words::name(name))
    }

    fn credential(&mut self, name: &str, to: &str) {
        let credential = self.secret_name(name);
        let line = format!("{} = {{ credential = {}, {to} }}", words::name(name), text(&credential));
        self.secrets.push(line);
    }

    fn ports(&mut self, node: &YamlNode) {
        for item in node.items() {
            let plain = self.plain(item, "ports").unwrap_or_default();
            match ports::ports(item, &plain) {
                Err(why) => self.note(item.line, "ports", &why),
                Ok(all) => {
                    for port in all {
                        let inner = if port.host == port.container {
                            String::new()
                        } else {
                            format!(", container = {}", port.container)
                        };
                        let protocol = if port.udp { ", protocol = \"udp\"" } else { "" };
                        let local = if port.local { ", local = true" } else { "" };
                        self.publish.push(format!("{{ host = {}{inner}{protocol}{local} }}", port.host));
                        if !port.local {
                            self.stack.admit(port.host, port.udp);
                        }
                    }
                }
            }
        }
    }

    fn volume(&mut self, node: &YamlNode) {
        let of = |key: &str| node.get(key).and_then(YamlNode::text).map(str::to_owned);
        let (source, target, read_only) = match node.entries() {
            [] => {
                let Some(whole) = self.plain(node, "volumes") else { return };
                let parts: Vec<&str> = whole.splitn(3, ':').collect();
                match parts[..] {
                    [target] => (None, target.to_owned(), false),
                    [source, target] => (Some(source.to_owned()), target.to_owned(), false),
                    [source, target, options] => {
                        (Some(source.to_owned()), target.to_owned(), options.split(',').any(|o| o == "ro"))
                    }
                    _ => return,
                }
            }
            _ if of("type").as_deref() == Some("tmpfs") => {
                return self.memory(&of("target").unwrap_or_default(), node.line, node.get("tmpfs").is_some());
            }
            _ => (of("source"), of("target").unwrap_or_default(), node.get("read_only").is_some_and(YamlNode::is_true)),
        };
        let outside =
            source.as_deref().is_some_and(|s| s.starts_with(['.', '/', '~']) || of("type").as_deref() == Some("bind"));
        if outside {
            let what = match source.as_deref().unwrap_or_default() {
                "/var/run/docker.sock" | "/run/docker.sock" => {
                    "there is no Docker here, and whoever may use such a socket has the whole machine".to_owned()
                }
                from => format!(
                    "a directory of the host: put files that do not change into an overlay of the container at {target}, and \
                     what it writes into a volume ({from} is not looked at)"
                ),
            };
            return self.note(node.line, "volumes", &what);
        }
        let name = words::name(source.as_deref().unwrap_or(target.trim_matches('/')));
        if let Some(source) = &source {
            self.stack.used(source, &self.name.clone(), node.line);
        }
        let access = if read_only { ", read_only = true" } else { "" };
        self.volumes.push(format!("{name} = {{ path = {}{access} }}", text(target.trim_end_matches('/'))));
    }

    fn memory(&mut self, path: &str, line: usize, options: bool) {
        self.writable.push(path.trim_end_matches('/').to_owned());
        if options {
            self.note(
                line,
                "tmpfs",
                "its options are left out; `limits.writable` is a size for every directory in memory",
            );
        }
    }

    fn networks(&mut self, node: &YamlNode) {
        let mut names = Vec::new();
        for item in node.items() {
            names.extend(item.text().map(str::to_owned));
        }
        for (name, line, about) in node.entries() {
            names.push(name.clone());
            if !about.entries().is_empty() {
                self.note(*line, "networks", "aliases and addresses are left out: a container is found by its name");
            }
        }
        let names: Vec<String> = names.iter().map(|name| self.stack.network(name)).collect();
        self.lines.push(format!("networks = {}", list(&names)));
    }

    /// Services of one file find each other by name, on a network that nobody has to write.
    fn joins_default(&mut self) {
        let name = self.stack.network("default");
        self.lines.push(format!("networks = {}", list(&[name])));
    }

    fn depends_on(&mut self, node: &YamlNode) {
        for item in node.items() {
            self.after.extend(item.text().map(words::name));
        }
        for (name, line, about) in node.entries() {
            self.after.push(words::name(name));
            if about.get("condition").and_then(YamlNode::text) == Some("service_completed_successfully") {
                let what = "a container that ends is no service: let a unit of `[services.units]` do this once, or the program itself";
                self.note(*line, "depends_on", what);
            }
        }
    }

    fn healthcheck(&mut self, node: &YamlNode) {
        if node.get("disable").is_some_and(YamlNode::is_true) {
            return self.note(
                node.line,
                "healthcheck",
                "an image's own health check is not used unless the profile says one",
            );
        }
        let Some(test) = node.get("test") else { return };
        let mut command = match &test.kind {
            YamlKind::Text(_) => vec!["CMD-SHELL".to_owned(), self.plain(test, "healthcheck.test").unwrap_or_default()],
            _ => self.plain_list(test, "healthcheck.test"),
        };
        match command.first().map(String::as_str) {
            Some("NONE") | None => return,
            Some("CMD") => drop(command.remove(0)),
            Some("CMD-SHELL") => drop(command.splice(0..1, ["/bin/sh".to_owned(), "-c".to_owned()])),
            Some(_) => {}
        }
        self.health.push(format!("command = {}", list(&command)));
        for key in ["interval", "timeout", "start_period"] {
            let Some(said) = node.get(key) else { continue };
            match said.text().and_then(words::seconds) {
                Some(seconds) => self.health.push(format!("{key} = \"{seconds}s\"")),
                None => self.note(said.line, &format!("healthcheck.{key}"), "it is no length of time"),
            }
        }
        self.health.extend(node.get("retries").and_then(YamlNode::text).map(|n| format!("retries = {n}")));
        if let Some(other) = node.get("start_interval") {
            self.note(other.line, "healthcheck.start_interval", "there is one interval");
        }
    }

    fn secret(&mut self, node: &YamlNode) {
        let of = |key: &str| node.get(key).and_then(YamlNode::text).map(str::to_owned);
        let Some(source) = of("source").or_else(|| node.text().map(str::to_owned)) else { return };
        let target = of("target").unwrap_or_else(|| source.clone());
        let file = if target.starts_with('/') { target } else { format!("/run/secrets/{target}") };
        let credential = self.stack.credential(&source);
        self.secrets.push(format!(
            "{} = {{ credential = {}, file = {} }}",
            words::name(&source),
            text(&credential),
            text(&file)
        ));
        if node.get("mode").is_some() || node.get("uid").is_some() {
            self.note(node.line, "secrets", "the file is for the container's user alone (0400)");
        }
    }

    fn devices(&mut self, node: &YamlNode) {
        let mut all = Vec::new();
        for device in self.plain_list(node, "devices") {
            let parts: Vec<&str> = device.split(':').collect();
            if parts.get(1).is_some_and(|inner| *inner != parts[0]) {
                self.note(node.line, "devices", "a device has the same path in the container as outside");
            }
            all.push(parts[0].to_owned());
        }
        self.lines.push(format!("devices = {}", list(&all)));
    }

    fn size(&mut self, limit: &str, node: &YamlNode) {
        let Some(value) = self.plain(node, limit) else { return };
        match words::mebibytes(&value) {
            Some(size) => self.limits.push(format!("{limit} = \"{size}M\"")),
            None => self.note(node.line, limit, "it is no size"),
        }
    }

    fn cpus(&mut self, node: &YamlNode) {
        let value = self.plain(node, "cpus");
        self.limits.extend(value.map(|cpus| format!("cpus = {}", text(&cpus))));
    }

    fn ulimits(&mut self, node: &YamlNode) {
        for (name, line, value) in node.entries() {
            let most = value.text().or_else(|| value.get("hard").and_then(YamlNode::text));
            match (name.as_str(), most) {
                ("nofile", Some(most)) => self.limits.push(format!("open_files = {most}")),
                _ => self.note(
                    *line,
                    &format!("ulimits.{name}"),
                    "of these limits there is only the number of open files",
                ),
            }
        }
    }

    fn deploy(&mut self, node: &YamlNode) {
        for (name, line, value) in node.entries() {
            match name.as_str() {
                "resources" => {
                    let limits = value.get("limits");
                    if let Some(memory) = limits.and_then(|l| l.get("memory")) {
                        self.size("memory", memory);
                    }
                    if let Some(cpus) = limits.and_then(|l| l.get("cpus")) {
                        self.cpus(cpus);
                    }
                    let pids = limits.and_then(|l| l.get("pids")).and_then(YamlNode::text);
                    self.limits.extend(pids.map(|n| format!("pids = {n}")));
                }
                "replicas" if value.text() == Some("1") => {}
                "restart_policy" | "labels" => {}
                _ => self.note(*line, &format!("deploy.{name}"), "it is for a swarm of machines"),
            }
        }
    }

    fn finish(self) -> String {
        let Self { name, lines, limits, volumes, secrets, environment, publish, writable, health, mut after, .. } =
            self;
        let mut out = format!("[containers.{name}]\n");
        for line in lines {
            out += &format!("{line}\n");
        }
        if !environment.is_empty() {
            let all: Vec<String> =
                environment.iter().map(|(name, value)| format!("{} = {}", key(name), text(value))).collect();
            out += &format!("environment = {{ {} }}\n", all.join(", "));
        }
        if !publish.is_empty() {
            out += &format!("publish = [{}]\n", publish.join(", "));
        }
        if !writable.is_empty() {
            out += &format!("writable = {}\n", list(&writable));
        }
        for (kind, all) in [("volumes", volumes), ("secrets", secrets)] {
            for line in all {
                out += &format!("{kind}.{line}\n");
            }
        }
        if !limits.is_empty() {
            out += &format!("limits = {{ {} }}\n", limits.join(", "));
        }
        if !health.is_empty() {
            out += &format!("health = {{ {} }}\n", health.join(", "));
        }
        after.sort();
        after.dedup();
        if !after.is_empty() {
            out += &format!("after = {}\n", list(&after));
        }
        out
    }
}
