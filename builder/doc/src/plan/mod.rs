//! Recipe → the network plan: links and what they are made of, who may reach what through the firewall, containers and their
//! networks.

pub(crate) mod draw;

use crate::language::Language;
use crate::terms;
use diorite_model::Recipe;
use diorite_model::listeners::{Listener, ListenerOwner};
use diorite_model::recipe::{Allow, Link, LinkKind, Peer, Policy, Traffic};

/// What is drawn.
pub(crate) struct NetworkPlan {
    /// What the drawing is called, for those who cannot see it.
    pub title: String,
    /// The machine's name.
    pub machine: String,
    /// What stands on the firewall.
    pub firewall: String,
    /// Links, those that others are made of first.
    pub links: Vec<LinkBox>,
    /// Who is outside.
    pub outside: Vec<NamedBox>,
    /// What is inside.
    pub inside: Vec<Inside>,
    /// Networks between containers.
    pub networks: Vec<NamedBox>,
    /// What may pass.
    pub flows: Vec<Flow>,
}

/// A name, and what is said of it.
pub(crate) struct NamedBox {
    /// Its name.
    pub name: String,
    /// Further lines.
    pub lines: Vec<String>,
}

/// A link.
pub(crate) struct LinkBox {
    /// Its name, its kind and its addresses.
    pub about: NamedBox,
    /// How many links lie between it and a card.
    pub depth: usize,
    /// Places in the list of the links it is made of.
    pub below: Vec<usize>,
    /// The network on its cable; only of a card.
    pub cable: Option<NamedBox>,
}

/// A service, a container or a network behind the machine.
pub(crate) struct Inside {
    /// What it is.
    pub about: NamedBox,
    /// Places in the list of the networks it is in.
    pub networks: Vec<usize>,
}

/// Something that may pass through the firewall.
pub(crate) struct Flow {
    /// Place of who is outside.
    pub outside: usize,
    /// Place of what is inside.
    pub inside: usize,
    /// Ports or protocol.
    pub what: String,
    /// What else there is to know: the links it may come by, how often.
    pub remark: String,
    /// It is begun inside.
    pub outward: bool,
}

impl NetworkPlan {
    pub(crate) fn of(recipe: &Recipe, language: Language) -> Self {
        let mut plan = Self {
            title: language.network_plan(),
            machine: recipe.image.hostname.clone(),
            firewall: language.firewall(),
            links: links(recipe, language),
            outside: Vec::new(),
            inside: Vec::new(),
            networks: Vec::new(),
            flows: Vec::new(),
        };
        plan.containers(recipe, language);
        for allow in &recipe.firewall.allow {
            plan.admit(recipe, allow, language);
        }
        plan.pass(recipe, language);
        plan.go_out(recipe, language);
        plan
    }

    fn containers(&mut self, recipe: &Recipe, language: Language) {
        for bridge in recipe.container_bridges() {
            let used = |name: &String| *name == bridge.network;
            let own = |networks: &[String]| networks.is_empty() && bridge.network == "podman";
            if !recipe.containers.values().any(|c| own(&c.networks) || c.networks.iter().any(used)) {
                continue;
            }
            let internal = bridge.internal.then(|| language.no_way_out());
            let lines = [bridge.ipv4.0.clone()].into_iter().chain(internal).collect();
            self.networks.push(NamedBox { name: bridge.network, lines });
        }
        for (name, container) in &recipe.containers {
            let of = |n: &str| self.networks.iter().position(|network| network.name == n);
            let mut networks: Vec<usize> = container.networks.iter().filter_map(|n| of(n)).collect();
            if container.networks.is_empty() {
                networks.extend(of("podman"));
            }
            let about = NamedBox { name: language.container_named(name), lines: published(container) };
            self.inside.push(Inside { about, networks });
        }
    }

    fn admit(&mut self, recipe: &Recipe, allow: &Allow, language: Language) {
        let by = (!allow.links.is_empty()).then(|| language.by_links(allow.links.join(", ")));
        let rate = allow.rate.as_ref().map(terms::rate);
        let remark = [by, rate].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let what = terms::traffic(&allow.what, language);
        for target in targets(recipe, allow, language) {
            let inside = self.inside(target);
            for outside in self.peers(recipe, &allow.from, language.anybody()) {
                self.flows.push(Flow { outside, inside, what: what.clone(), remark: remark.clone(), outward: false });
            }
        }
    }

    /// What passes through the machine, and ports of it that lead to others.
    fn pass(&mut self, recipe: &Recipe, language: Language) {
        for forward in &recipe.firewall.forward {
            let outside = self.outside(language.behind(forward.input.join(", ")), vec![]);
            let inside = self.inside(language.behind(forward.output.join(", ")));
            let what = terms::traffic(&forward.what, language);
            self.flows.push(Flow { outside, inside, what, remark: language.passes_through(), outward: false });
        }
        for port in &recipe.firewall.nat.ports {
            let outside = self.outside(language.behind(port.input.join(", ")), vec![]);
            let to = port.to_port.unwrap_or(port.port);
            let inside = self.inside(format!("{}:{to}", port.to));
            let what = terms::traffic(&port.what(), language);
            self.flows.push(Flow { outside, inside, what, remark: language.translated(), outward: false });
        }
    }

    fn go_out(&mut self, recipe: &Recipe, language: Language) {
        let all = if recipe.containers.is_empty() { language.the_machine() } else { language.machine_and_containers() };
        let inside = self.inside(all);
        let egress = &recipe.firewall.egress;
        if egress.policy == Policy::Accept {
            let outside = self.outside(language.anywhere(), vec![]);
            let what = language.everything();
            self.flows.push(Flow { outside, inside, what, remark: String::new(), outward: true });
        }
        for allow in &egress.allow {
            let what = terms::traffic(&allow.what, language);
            for outside in self.peers(recipe, &allow.to, language.anywhere()) {
                self.flows.push(Flow { outside, inside, what: what.clone(), remark: String::new(), outward: true });
            }
        }
    }

    fn peers(&mut self, recipe: &Recipe, peers: &[Peer], all: String) -> Vec<usize> {
        if peers.is_empty() {
            return vec![self.outside(all, vec![])];
        }
        let of = |peer: &Peer| match peer {
            Peer::Network(network) => (network.to_string(), vec![]),
            Peer::Set(name) => {
                let networks = recipe.firewall.networks(std::slice::from_ref(peer));
                (name.clone(), networks.iter().map(ToString::to_string).collect())
            }
        };
        peers.iter().map(of).map(|(name, lines)| self.outside(name, lines)).collect()
    }

    fn outside(&mut self, name: String, lines: Vec<String>) -> usize {
        let found = self.outside.iter().position(|o| o.name == name);
        found.unwrap_or_else(|| {
            self.outside.push(NamedBox { name, lines });
            self.outside.len() - 1
        })
    }

    fn inside(&mut self, name: String) -> usize {
        let found = self.inside.iter().position(|o| o.about.name == name);
        found.unwrap_or_else(|| {
            let about = NamedBox { name, lines: vec![] };
            self.inside.push(Inside { about, networks: vec![] });
            self.inside.len() - 1
        })
    }
}

/// Published ports as `8080 → 80/tcp`.
fn published(container: &diorite_model::recipe::Container) -> Vec<String> {
    let one = |p: &diorite_model::recipe::Publish| format!("{} → {}/{}", p.host, p.container, p.protocol.name());
    container.publish.iter().map(one).collect()
}

/// Who is behind an admitted port.
pub(crate) fn targets(recipe: &Recipe, allow: &Allow, language: Language) -> Vec<String> {
    let Traffic::Ports { protocol, first, last } = allow.what else { return vec![language.the_machine()] };
    let meant = |l: &&Listener| l.protocol == protocol && (first..=last).contains(&l.port) && !l.local;
    let listeners = recipe.listeners();
    let mut all: Vec<String> = listeners.iter().filter(meant).map(|l| owner(l, language)).collect();
    if all.is_empty() {
        all.push(allow.listener.clone().unwrap_or_else(|| language.the_machine()));
    }
    all.dedup();
    all
}

fn owner(listener: &Listener, language: Language) -> String {
    match listener.owner {
        ListenerOwner::SecureShell => "SSH (sshd)".into(),
        ListenerOwner::NodeExporter => "node-exporter".into(),
        ListenerOwner::Prometheus => "Prometheus".into(),
        ListenerOwner::BlackboxExporter => "blackbox-exporter".into(),
        ListenerOwner::Alertmanager => "Alertmanager".into(),
        ListenerOwner::Acme(_) => "ACME".into(),
        ListenerOwner::Tunnel(name) => language.tunnel_named(name),
        ListenerOwner::Container { name, .. } => language.container_named(name),
    }
}

fn links(recipe: &Recipe, language: Language) -> Vec<LinkBox> {
    fn below(link: &Link) -> Vec<&str> {
        link.below().into_iter().chain(link.routed().iter().map(String::as_str)).collect()
    }
    fn depth(recipe: &Recipe, link: &Link) -> usize {
        let all = below(link).into_iter().filter_map(|name| recipe.network.get(name));
        all.map(|link| depth(recipe, link) + 1).max().unwrap_or(0)
    }
    let mut names: Vec<(usize, &String)> = recipe.network.iter().map(|(name, l)| (depth(recipe, l), name)).collect();
    names.sort();
    let place = |name: &str| names.iter().position(|(_, n)| n.as_str() == name);
    let one = |(depth, name): &(usize, &String)| {
        let link = &recipe.network[*name];
        let mut lines = vec![terms::link_kind(&link.kind, language)];
        lines.extend(terms::addresses(link, language));
        let cable = matches!(link.kind, LinkKind::Card(_)).then(|| NamedBox {
            name: language.network_at(name),
            lines: link.gateways.iter().map(|g| language.gateway(g)).collect(),
        });
        let about = NamedBox { name: (*name).clone(), lines };
        LinkBox { about, depth: *depth, below: below(link).into_iter().filter_map(place).collect(), cable }
    };
    names.iter().map(one).collect()
}

/// The plan in words, a line for each thing that is drawn.
pub(crate) fn words(plan: &NetworkPlan, language: Language) -> Vec<String> {
    let with = |about: &NamedBox| match about.lines.is_empty() {
        true => about.name.clone(),
        false => format!("{} ({})", about.name, about.lines.join(", ")),
    };
    let mut all: Vec<String> = Vec::new();
    for link in &plan.links {
        let below: Vec<&str> = link.below.iter().map(|i| plan.links[*i].about.name.as_str()).collect();
        let over = (!below.is_empty()).then(|| language.over(below.join(", ")));
        let cable = link.cable.as_ref().map(with);
        let parts: Vec<String> = [Some(with(&link.about)), over, cable].into_iter().flatten().collect();
        all.push(parts.join(" — "));
    }
    for flow in &plan.flows {
        let (outside, inside) = (&plan.outside[flow.outside].name, &plan.inside[flow.inside].about.name);
        let (from, to) = if flow.outward { (inside, outside) } else { (outside, inside) };
        let remark = if flow.remark.is_empty() { String::new() } else { format!(" ({})", flow.remark) };
        all.push(format!("{from} → {} → {to}{remark}", flow.what));
    }
    for inside in plan.inside.iter().filter(|i| !i.networks.is_empty()) {
        let networks: Vec<String> = inside.networks.iter().map(|i| with(&plan.networks[*i])).collect();
        all.push(format!("{} — {}", inside.about.name, networks.join(", ")));
    }
    all
}
