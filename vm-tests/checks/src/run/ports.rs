//! Which ports of the host lead to which of the machine: those the user names, or every one that the recipe admits.

use diorite_model::{
    Error, Recipe, Result,
    listeners::{Listener, ListenerOwner},
    recipe::{Allow, Protocol, RootLogin},
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
};

/// A port of the host that is to lead to one of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Of the host; 0: any that is free.
    pub host: u16,
    /// Of the machine.
    pub guest: u16,
}

/// A port of the host that leads to one of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Of the host; loopback alone.
    pub host: SocketAddr,
    /// Of the machine.
    pub guest: u16,
    /// What is there, in words.
    pub what: String,
}

/// Each with the port of the machine that it is to lead to.
pub(super) type HostListeners = Vec<(TcpListener, u16)>;

/// Ports of the host begin here, so that the same machine has the same ones whenever they are free.
const ABOVE: u16 = 40_000;
/// Of a wide range only its ends are led to, and what is known to listen inside.
const RANGE: usize = 8;

/// Listens on all of them: what leads where, and the listener of each port of the machine. `source` is where the
/// machine will see connections come from.
pub(super) fn listen(recipe: &Recipe, source: IpAddr, wanted: &[Forward]) -> Result<(Vec<Forwarded>, HostListeners)> {
    let any: Vec<Forward>;
    let wanted = if wanted.is_empty() {
        let usual = |guest| Forward { host: 0, guest };
        any = admitted(recipe, source).into_iter().map(usual).collect();
        any.as_slice()
    } else {
        wanted
    };
    let (mut table, mut listeners) = (Vec::new(), Vec::new());
    for Forward { host, guest } in wanted {
        let failed = |e| {
            let error = Error::host(format!("port {host} of this host cannot be listened on")).because(e);
            error.hint("name another one, or 0 for any that is free")
        };
        let listener = match host {
            0 => any_port(*guest),
            port => TcpListener::bind((Ipv4Addr::LOCALHOST, *port)),
        };
        let listener = listener.map_err(failed)?;
        let host = listener.local_addr().map_err(failed)?;
        table.push(Forwarded { host, guest: *guest, what: words(recipe, source, *guest) });
        listeners.push((listener, *guest));
    }
    Ok((table, listeners))
}

/// The one that is easily remembered, or any that is free.
fn any_port(guest: u16) -> std::io::Result<TcpListener> {
    let any = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    match ABOVE.checked_add(guest) {
        Some(port) => TcpListener::bind((Ipv4Addr::LOCALHOST, port)).or_else(|_| any()),
        None => any(),
    }
}

/// TCP ports that `source` is admitted to.
fn admitted(recipe: &Recipe, source: IpAddr) -> BTreeSet<u16> {
    let ports = |a: &Allow| -> Vec<u16> {
        let Some(ports) = a.ports(Protocol::Tcp) else { return Vec::new() };
        if ports.len() <= RANGE {
            return ports.collect();
        }
        let listening = recipe.listeners().into_iter().filter(Listener::is_public_tcp).map(|listener| listener.port);
        listening.filter(|port| ports.contains(port)).chain([*ports.start(), *ports.end()]).collect()
    };
    entries(recipe, source).flat_map(ports).collect()
}

fn entries(recipe: &Recipe, source: IpAddr) -> impl Iterator<Item = &Allow> {
    recipe.firewall.allow.iter().filter(move |a| recipe.firewall.names(&a.from, source))
}

/// What is behind a port.
fn words(recipe: &Recipe, source: IpAddr, port: u16) -> String {
    let Some(allow) = entries(recipe, source).find(|a| a.what.is_port(Protocol::Tcp, port)) else {
        return "not admitted by the machine's firewall".to_owned();
    };
    let listener = recipe.listeners().into_iter().find(|l| l.is_public_tcp() && l.port == port);
    match listener.map(|listener| listener.owner) {
        Some(ListenerOwner::SecureShell) => ssh(recipe),
        Some(ListenerOwner::Container { name, .. }) => format!("container {name}"),
        Some(ListenerOwner::NodeExporter) => "metrics".to_owned(),
        Some(owner @ (ListenerOwner::Prometheus | ListenerOwner::BlackboxExporter | ListenerOwner::Alertmanager)) => {
            owner.to_string()
        }
        Some(owner @ ListenerOwner::Acme(_)) => owner.to_string(),
        Some(ListenerOwner::Tunnel(name)) => format!("tunnel {name}"),
        None => {
            let described = [&allow.listener, &allow.name, &allow.why].into_iter().flatten().next();
            described.cloned().unwrap_or_else(|| "admitted".to_owned())
        }
    }
}

/// The secure shell, and who may log in.
fn ssh(recipe: &Recipe) -> String {
    let access = &recipe.access;
    let root = (access.root_login == RootLogin::Credential).then(|| "root with a key by credential".to_owned());
    let administrators = access.administrators.keys().map(|name| format!("administrator {name}"));
    let people: Vec<_> = administrators.chain(access.users.keys().cloned()).chain(root).collect();
    let people = if people.is_empty() { "nobody may log in".to_owned() } else { people.join(", ") };
    format!("ssh ({people})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::profile;

    const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));

    fn recipe(text: &str) -> Recipe {
        let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{text}");
        let mut none = |name: &str| -> Result<profile::Loaded> { panic!("{name} is asked for") };
        profile::parse(&text, "x.toml", &mut none).unwrap_or_else(|e| panic!("{e}")).0
    }

    #[test]
    fn what_is_admitted_has_a_port_and_words() {
        let recipe = recipe(
            "[firewall]\nallow = [{ port = 22 }, { port = 8080 }, { port = 5432, from = [\"192.0.2.0/24\"], listener = \"database\" }, \
             { port = 53, protocol = \"udp\", listener = \"names\" }, { port = 6000, last_port = 6999, listener = \"games\" }]\n\
             [access.administrators.anna]\nssh_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOlWxRzO96EftjA7NDYqP9wUBklD4qPZix7G3KrMLdCi anna@example\"]\n\
             [containers.web]\npackages = [\"busybox\"]\ncommand = [\"busybox\"]\npublish = [{ host = 8080, container = 80 }]\n",
        );
        let (table, listeners) = listen(&recipe, SOURCE, &[]).expect("free ports");
        let rows: Vec<_> = table.iter().map(|f| (f.guest, f.what.as_str())).collect();
        let expected = [(22, "ssh (administrator anna)"), (6000, "games"), (6999, "games"), (8080, "container web")];
        assert_eq!(rows, expected);
        assert!(table.iter().all(|f| f.host.ip().is_loopback()) && listeners.len() == 4);
        let elsewhere = words(&recipe, SOURCE, 5432);
        assert_eq!(elsewhere, "not admitted by the machine's firewall", "others may");
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = taken.local_addr().expect("its address").port();
        let error = listen(&recipe(""), SOURCE, &[Forward { host: port, guest: 22 }]).expect_err("it is taken");
        assert_eq!(error.what, format!("port {port} of this host cannot be listened on"));
        let (table, _) = listen(&recipe(""), SOURCE, &[Forward { host: 0, guest: 9 }]).expect("a free port");
        assert!(table[0].host.port() > 0 && table[0].guest == 9);
    }
}
