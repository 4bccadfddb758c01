//! Whether a machine works: asked of its guest agent by the hypervisor, and from here by what its profile declares.

use crate::client::{CallError, CallErrorKind, Client, Method, Parameters, Path};
use crate::observed::Vm;
use crate::properties::Properties;
use diorite_host::interrupt;
use diorite_host::progress::Progress;
use diorite_model::recipe::Protocol;
use diorite_model::verify::{Ask, IpFamily, Level, OwnCheck, PortState};
use serde_json::Value;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A question that can be asked from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthProbe {
    /// Name of the check in the profile.
    pub name: String,
    /// What is asked.
    pub ask: ProbeKind,
    /// At addresses of this family only, which the machine must then have; else at all of them.
    pub family: Option<IpFamily>,
}

/// What can be asked from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// Whether a TCP port answers.
    Port {
        /// Its number.
        port: u16,
        /// Whether it must.
        open: bool,
    },
    /// A page.
    Http {
        /// Port.
        port: u16,
        /// Path and query.
        path: String,
        /// Status code.
        status: u16,
        /// Texts that the page must hold.
        contains: Vec<String>,
        /// Texts that it must not hold.
        lacks: Vec<String>,
    },
}

/// What a machine has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthEvidence {
    /// Its guest agent answers.
    pub agent: bool,
    /// Addresses of its card, by its agent's word.
    pub addresses: Vec<IpAddr>,
    /// Questions that were answered as they must be.
    pub asked: Vec<String>,
}

/// The probes among a profile's own checks that can be asked from here, in the families in which a verification asks them,
/// and the names of the others.
pub fn probes(checks: &[OwnCheck]) -> (Vec<HealthProbe>, Vec<String>) {
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    for check in checks {
        let ask = match &check.ask {
            Ask::Port(p) if p.protocol == Protocol::Tcp => {
                Some(ProbeKind::Port { port: p.port, open: p.state == PortState::Open })
            }
            Ask::Http(h) if !h.tls => Some(ProbeKind::Http {
                port: h.port,
                path: h.path.clone(),
                status: h.status,
                contains: h.contains.clone(),
                lacks: h.lacks.clone(),
            }),
            _ => None,
        };
        match ask.filter(|_| check.level == Level::Outside) {
            Some(ask) => mine.push(HealthProbe { name: check.name.clone(), ask, family: check.ask.family() }),
            None => others.push(check.name.clone()),
        }
    }
    (mine, others)
}

/// How to ask, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct HealthCheck<'a> {
    /// Whom to ask.
    pub client: &'a Client,
    /// Whether it has a guest agent.
    pub agent: bool,
    /// How long it may take.
    pub timeout: Duration,
}

/// One connection.
const CONNECT: Duration = Duration::from_secs(5);

impl HealthCheck<'_> {
    /// Asks until everything is as it must be, or the time is over. The text says what was not.
    ///
    /// # Errors
    /// The hypervisor itself cannot be asked.
    pub fn wait(
        &self,
        vm: &Vm,
        probes: &[HealthProbe],
        progress: &Progress,
    ) -> Result<Result<HealthEvidence, String>, CallError> {
        let stage = progress.stage(format!("wait until VM {} is healthy", vm.id));
        let end = Instant::now() + self.timeout;
        loop {
            let answer = self.once(vm, probes)?;
            match answer {
                Ok(evidence) => {
                    stage.done(format!("{} probes answered", evidence.asked.len() + usize::from(evidence.agent)));
                    return Ok(Ok(evidence));
                }
                Err(why) if Instant::now() >= end => {
                    return Ok(Err(format!("{why}, {} seconds after it was started", self.timeout.as_secs())));
                }
                Err(_) if interrupt::came() => {
                    return Err(self.client.failure(
                        CallErrorKind::Interrupted,
                        Method::Get,
                        &self.path(vm, &[]),
                        "interrupted",
                    ));
                }
                Err(_) => self.client.rest(2),
            }
        }
    }

    fn path(&self, vm: &Vm, last: &[&str]) -> Path {
        let id = vm.id.to_string();
        Path::new([&["nodes", &vm.node, "qemu", &id][..], last].concat())
    }

    fn once(&self, vm: &Vm, probes: &[HealthProbe]) -> Result<Result<HealthEvidence, String>, CallError> {
        let status = self.client.get(&self.path(vm, &["status", "current"]), &Parameters::none())?;
        if status.get("status").and_then(Value::as_str) != Some("running") {
            return Ok(Err("it does not run".into()));
        }
        let mut evidence = HealthEvidence::default();
        if self.agent {
            if let Err(failure) =
                self.client.call(Method::Post, &self.path(vm, &["agent", "ping"]), &Parameters::none())
            {
                return not_yet(failure, "its guest agent does not answer");
            }
            evidence.agent = true;
            let path = self.path(vm, &["agent", "network-get-interfaces"]);
            match self.client.get(&path, &Parameters::none()) {
                Ok(answer) => evidence.addresses = addresses(&answer, vm),
                Err(failure) => return not_yet(failure, "its guest agent does not say its addresses"),
            }
            if evidence.addresses.is_empty() {
                return Ok(Err("its network card has no address".into()));
            }
        }
        for question in probes {
            let fits = |address: &&IpAddr| question.family.is_none_or(|family| family.holds(**address));
            let mut there = evidence.addresses.iter().filter(fits).peekable();
            if let (Some(family), None, false) = (question.family, there.peek(), evidence.addresses.is_empty()) {
                let name = if family == IpFamily::Ipv4 { "IPv4" } else { "IPv6" };
                return Ok(Err(format!("check `{}`: its network card has no {name} address", question.name)));
            }
            for address in there {
                if let Err(why) = asked(*address, &question.ask) {
                    return Ok(Err(format!("check `{}` at {address}: {why}", question.name)));
                }
            }
            if !evidence.addresses.is_empty() {
                evidence.asked.push(question.name.clone());
            }
        }
        Ok(Ok(evidence))
    }
}

/// What the hypervisor says of an agent that is not there yet is an error like any other.
fn not_yet(failure: CallError, why: &str) -> Result<Result<HealthEvidence, String>, CallError> {
    match failure.kind {
        CallErrorKind::Refused | CallErrorKind::Unavailable | CallErrorKind::TimedOut | CallErrorKind::Locked => {
            Ok(Err(format!("{why} ({})", failure.why)))
        }
        _ => Err(failure),
    }
}

/// The addresses of the machine's own card that others can reach it by.
pub(crate) fn addresses(answer: &Value, vm: &Vm) -> Vec<IpAddr> {
    let card = vm.now.get("net0").map(|card| Properties::of(card)).unwrap_or_default();
    let mac = card.get("virtio").unwrap_or_default().to_ascii_lowercase();
    let interfaces = answer.get("result").and_then(Value::as_array).into_iter().flatten();
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let mine = interfaces.filter(|i| text(i, "hardware-address") == mac);
    let all = mine.flat_map(|i| i.get("ip-addresses").and_then(Value::as_array).into_iter().flatten());
    let far = |address: &IpAddr| match address {
        IpAddr::V4(a) => !a.is_link_local(),
        IpAddr::V6(a) => !a.is_unicast_link_local(),
    };
    all.filter_map(|a| text(a, "ip-address").parse().ok()).filter(far).collect()
}

fn asked(address: IpAddr, ask: &ProbeKind) -> Result<(), String> {
    match ask {
        ProbeKind::Port { port, open } => match TcpStream::connect_timeout(&SocketAddr::new(address, *port), CONNECT) {
            Ok(_) if *open => Ok(()),
            Ok(_) => Err(format!("port {port} is open")),
            Err(e) if *open => Err(format!("port {port}: {}", reason(&e))),
            Err(_) => Ok(()),
        },
        ProbeKind::Http { port, path, status, contains, lacks } => {
            let (got, page) = page(address, *port, path)?;
            if got != *status {
                return Err(format!("status {got}, not {status}"));
            }
            if let Some(missing) = contains.iter().find(|t| !page.contains(t.as_str())) {
                return Err(format!("the page lacks `{missing}`"));
            }
            lacks.iter().find(|t| page.contains(t.as_str())).map_or(Ok(()), |t| Err(format!("the page holds `{t}`")))
        }
    }
}

/// Status and text of a page.
pub(crate) fn page(address: IpAddr, port: u16, path: &str) -> Result<(u16, String), String> {
    let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(CONNECT * 2))
        .build()
        .into();
    let mut response = agent.get(format!("http://{host}:{port}{path}")).call().map_err(|e| e.to_string())?;
    let text = response.body_mut().read_to_string().map_err(|e| e.to_string())?;
    Ok((response.status().as_u16(), text))
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "nothing comes back",
        _ => "cannot be reached",
    }
}
