//! `[[step]]`: one thing after the other, each of one kind.
//!
//! Over 500 lines because what a kind is, which machines and segments it may name, and what the step is called are read off
//! the same keys: apart, a new kind would be an edit in three files.

use super::{At, Names, Section};
use crate::{
    Error, Result,
    profile::{source::Span, values},
    scenario::*,
    tables::{firewall::parts::protocol_of, verify::read as verify},
    verify::{Ask, IpFamily, PortState},
};
use std::collections::BTreeMap;

/// Keys of a step that are no kind.
const AROUND: [&str; 7] = ["name", "on", "at", "from", "retry", "wait", "not"];

/// A step that is being read.
struct StepReader<'a> {
    /// The step.
    t: Section<'a>,
    /// What stands under its kind.
    inner: Section<'a>,
    kind: &'a str,
    span: Span,
    names: &'a Names<'a>,
    machines: &'a [Machine],
}

pub(super) fn steps(top: &Section, names: &Names, machines: &[Machine]) -> Result<Vec<Step>> {
    let mut all = Vec::new();
    for t in top.tables("step")? {
        all.push(step(t, names, machines)?);
    }
    if all.is_empty() {
        let error = top.files.error(top.span, "a scenario without a step proves nothing");
        return Err(error.hint("write `[[step]]` with `boot = {}`"));
    }
    booted(top, &all, machines)?;
    Ok(all)
}

fn step(t: Section, names: &Names, machines: &[Machine]) -> Result<Step> {
    let mut kinds: Vec<(&str, Span)> = t.keys().filter(|(key, _)| !AROUND.contains(key)).collect();
    kinds.sort_by_key(|(_, span)| span.start);
    let Some((kind, span)) = kinds.first().copied() else {
        let all = super::fields::STEP.iter().map(|f| f.name).filter(|n| !AROUND.contains(n)).collect::<Vec<_>>();
        let error = t.files.error(t.span, "this step does nothing");
        return Err(error.hint(format!("it needs one of: {}", all.join(", "))));
    };
    if let Some((other, second)) = kinds.get(1) {
        let error = t.files.error(*second, format!("one step does two things: `{kind}` and `{other}`"));
        return Err(error.hint("make another `[[step]]` of it"));
    }
    let patience = match (t.flag("wait")?, t.key("retry")) {
        (true, Some(span)) => {
            let error = t.files.error(span, "a step that waits as long as anything moves needs no `retry`");
            return Err(error.hint("remove one of them"));
        }
        (true, None) => Patience::Progress,
        (false, _) => Patience::Seconds(values::seconds(&t.needed("retry")?.value).expect("its form was checked")),
    };
    let inner = t.table(kind)?.expect("its key is there");
    let name = t.text("name")?;
    let reader = StepReader { kind, span, names, machines, inner, t };
    let act = reader.act()?;
    reader.unused()?;
    let not = reader.not(&act)?;
    let plain = || if not { format!("not: {}", reader.name_of(&act)) } else { reader.name_of(&act) };
    let name = name.map_or_else(plain, |n| n.value);
    Ok(Step { name, place: reader.t.files.place(span), patience, not, act })
}

impl StepReader<'_> {
    fn act(&self) -> Result<Act> {
        let t = &self.inner;
        Ok(match self.kind {
            "boot" => {
                let mut machines = self.list("machines")?;
                if machines.is_empty() {
                    machines = (0..self.machines.len()).filter(|n| self.machines[*n].count == 1).collect();
                }
                self.single(&machines)?;
                Act::Boot { machines, until: until(t)?, restarts: t.needed_number("restarts")?.value }
            }
            "restart" => Act::Restart {
                machine: self.on()?,
                how: match t.needed("how")?.value.as_str() {
                    "reset" => RestartKind::Reset,
                    "power-cycle" => RestartKind::PowerCycle,
                    _ => RestartKind::Reboot,
                },
                times: t.needed_number("times")?.value,
                until: until(t)?,
            },
            "power_off" => Act::PowerOff { machines: self.some()? },
            "replace" => {
                let machine = self.on()?;
                let image = t.text("image")?.map(|at| self.names.machine(&at)).transpose()?.unwrap_or(machine);
                Act::Replace { machine, image, empty_state: t.needed("state")?.value == "empty" }
            }
            "ping" => {
                let (machine, segment) = (self.on()?, self.asking_segment()?);
                Act::Ping { machine, segment, family: family(t)?, answered: t.flag("answered")? }
            }
            "lease" => Act::Lease { machine: self.on()?, renewals: t.needed_number("renewals")?.value },
            "link" => {
                let number = |key: &str| Ok(t.needed_number::<u32>(key)?.value);
                let percent = |key: &str| Ok::<u8, Error>(t.needed_number::<u8>(key)?.value);
                let link = Link {
                    loss: percent("loss")?,
                    duplicate: percent("duplicate")?,
                    corrupt: percent("corrupt")?,
                    delay: number("delay_ms")?,
                    jitter: number("jitter_ms")?,
                    reorder: t.flag("reorder")?,
                    cut: t.flag("cut")?,
                    mtu: t.number("mtu")?.map(|m| m.value),
                };
                if let (true, 0, Some(span)) = (link.reorder, link.jitter, t.key("reorder")) {
                    let error = t.files.error(span, "frames that are all equally late overtake nobody");
                    return Err(error.hint("write `jitter_ms` beside it"));
                }
                let (machine, card) = self.card()?;
                Act::Link { machine, card, link }
            }
            "carrier" => {
                let (machine, card) = self.card()?;
                let up = t.boolean("up")?.ok_or_else(|| t.missing("up"))?;
                Act::Carrier { machine, card, up }
            }
            "serve_dhcp" => {
                let lease = t.text("lease")?.map(|l| values::seconds(&l.value).expect("its form was checked"));
                Act::Dhcp { segment: self.at()?, mode: mode(t)?, lease }
            }
            "serve_dns" => Act::NameServer {
                segment: self.at()?,
                mode: mode(t)?,
                delay: t.needed_number("delay_ms")?.value,
                truncate: t.flag("truncate")?,
                names: said(t)?,
            },
            "serve_ntp" => Act::TimeServer {
                segment: self.at()?,
                mode: mode(t)?,
                offset: t.needed_number("ahead")?.value,
                synchronised: t.flag("synchronised")?,
            },
            "serve_peer" => {
                let away = t.needed("mode")?.value == "away";
                Act::ServePeer { peer: self.names.peer(&t.needed("peer")?)?, away }
            }
            "fill" => Act::Fill { machine: self.on()?, path: t.needed("path")?.value, free: t.flag("free")? },
            "flood" => Act::Flood {
                machine: self.on()?,
                segment: self.asking_segment()?,
                wave: match t.needed("wave")?.value.as_str() {
                    "udp" => FloodKind::Udp,
                    "malformed" => FloodKind::Malformed,
                    _ => FloodKind::Syn,
                },
                port: t.needed_number("port")?.value,
                frames: t.needed_number("frames")?.value,
                rate: t.needed_number("rate")?.value,
            },
            "scan" => {
                let (open, maybe) = (t.numbers::<u16>("open")?, t.numbers::<u16>("maybe")?);
                if let (Some(port), Some(span)) = (maybe.iter().find(|p| open.contains(p)), t.key("maybe")) {
                    let error = t.files.error(span, format!("port {port} must be open, and may be anything"));
                    return Err(error.hint("take it out of one of the lists"));
                }
                let churn =
                    |w: String| if w == "reload-firewall" { Churn::ReloadFirewall } else { Churn::RestartContainers };
                Act::Scan {
                    machine: self.on()?,
                    segment: self.asking_segment()?,
                    family: family(t)?,
                    protocol: protocol_of(t)?,
                    open,
                    maybe,
                    meanwhile: t.plain("meanwhile")?.into_iter().map(churn).collect(),
                }
            }
            "identity" => {
                let (machines, earlier) = (self.some()?, t.flag("earlier")?);
                if machines.len() < 2 && !earlier && (t.key("differ").is_some() || t.key("same").is_some()) {
                    let error = t.files.error(self.span, "one machine alone cannot be told apart from anything");
                    return Err(error.hint("name several in `machines`, or write `earlier = true`"));
                }
                let (differ, same) = self.traits()?;
                Act::Identity { machines, differ, same, earlier }
            }
            "clones" => {
                let machine = self.any()?;
                if self.machines[machine].count < 2 {
                    let name = &self.machines[machine].name;
                    let error = t.files.error(self.span, format!("there is one `{name}`, and no clone of it"));
                    return Err(error.hint(format!("write `count` in `[machines.{name}]`")));
                }
                let (differ, same) = self.traits()?;
                if differ.is_empty() && same.is_empty() {
                    return Err(t.missing("differ"));
                }
                Act::Clones { machine, differ, same }
            }
            "heard" => {
                let peer = self.names.peer(&t.needed("peer")?)?;
                Act::Heard { peer, machine: self.on()?, contains: t.needed("contains")?.value }
            }
            "sent" => Act::Sent { machine: self.on()?, what: self.sent()? },
            _ => self.ask()?,
        })
    }

    /// What is counted of the frames of a machine.
    fn sent(&self) -> Result<Sent> {
        let t = &self.inner;
        match (t.number("busiest")?, t.text("to")?) {
            (Some(busiest), None) => Ok(Sent::Busiest(busiest.value)),
            (None, Some(to)) => Ok(Sent::To(to.value.parse().expect("its form was checked"))),
            (None, None) => {
                let error = t.files.error(self.span, "this step counts nothing");
                Err(error.hint("one of `busiest = 1000`, `to = \"192.0.2.0/24\"`"))
            }
            (Some(_), Some(to)) => {
                let error = t.files.error(to.span, "one step counts two things: `busiest` and `to`");
                Err(error.hint("make another `[[step]]` of it"))
            }
        }
    }

    /// A question of `[[verify.check]]`.
    fn ask(&self) -> Result<Act> {
        let (_, read) = verify::READERS.iter().find(|(kind, _)| *kind == self.kind).expect("every kind is read");
        let (ask, machine) = (read(&self.inner)?, self.on()?);
        let wire = matches!(ask, Ask::Port(_) | Ask::Http(_) | Ask::Metric(_));
        let from = match self.t.text("from")? {
            None if wire => From::Segment(self.first_segment(machine)?),
            None => From::Inside,
            Some(at) if !wire => {
                let error = self.t.files.error(at.span, format!("`{}` is asked in the machine itself", self.kind));
                return Err(error.because("the wire does not show it").hint("leave `from` out"));
            }
            Some(at) => match self.names.machine(&at) {
                Ok(n) if n == machine => From::Inside,
                Ok(n) => {
                    self.single(&[n])?;
                    From::Machine(n)
                }
                Err(_) => From::Segment(self.segment_named(&at)?),
            },
        };
        if let (Ask::Http(http), From::Inside | From::Machine(_)) = (&ask, from)
            && http.tls
        {
            return Err(verify::tls_inside(&self.inner));
        }
        if let (Ask::Port(port), true) = (&ask, matches!(from, From::Inside | From::Machine(_))) {
            let impossible = match (from, port.state) {
                (From::Inside, PortState::Silent | PortState::Rejected) => Some("inside, a port is `open` or `closed`"),
                (From::Machine(_), _) if port.protocol == crate::recipe::Protocol::Udp => {
                    Some("a machine can ask TCP ports only")
                }
                _ => None,
            };
            if let Some(cause) = impossible {
                let what = format!("a port cannot be seen to be {} from there", port.state.name());
                return Err(self.t.files.error(self.span, what).because(cause).hint("ask from a segment"));
            }
        }
        if let (Ask::Port(port), From::Segment(_)) = (&ask, from)
            && port.protocol == crate::recipe::Protocol::Udp
            && port.state == PortState::Open
        {
            let error = self.t.files.error(self.span, "a port cannot be seen to be open from outside");
            return Err(error
                .because("who listens on a UDP port may say nothing at all")
                .hint("ask inside: `from` is the machine itself"));
        }
        Ok(Act::Ask { machine, from, ask })
    }

    /// `on`, a machine that has a part of its own.
    fn on(&self) -> Result<usize> {
        let machine = self.any()?;
        self.single(&[machine])?;
        Ok(machine)
    }

    /// `on`; the only machine where nothing is said.
    fn any(&self) -> Result<usize> {
        match self.t.text("on")? {
            Some(at) => self.names.machine(&at),
            None if self.machines.len() == 1 => Ok(0),
            None => {
                let error =
                    self.t.files.error(self.span, format!("`{}` is about a machine, and none is named", self.kind));
                Err(error.hint(format!("write `on = …`: one of {}", self.names.machines.join(", "))))
            }
        }
    }

    /// Machines of which there are several have no part but in `clones`.
    fn single(&self, machines: &[usize]) -> Result<()> {
        let Some(several) = machines.iter().map(|n| &self.machines[*n]).find(|m| m.count > 1) else { return Ok(()) };
        let what = format!("there are {} of `{}`, and `{}` is about one", several.count, several.name, self.kind);
        Err(self.t.files.error(self.span, what).hint("machines with a `count` are for the step `clones`"))
    }

    /// `machines` under the kind, else `on`.
    fn some(&self) -> Result<Vec<usize>> {
        let list = self.list("machines")?;
        let list = if list.is_empty() { vec![self.on()?] } else { list };
        self.single(&list)?;
        Ok(list)
    }

    fn list(&self, key: &str) -> Result<Vec<usize>> {
        let named = self.inner.texts(key)?;
        let list = named.iter().map(|at| self.names.machine(at)).collect::<Result<Vec<_>>>()?;
        match self.t.text("on")? {
            Some(at) if list.is_empty() => Ok(vec![self.names.machine(&at)?]),
            Some(at) => {
                let error = self.t.files.error(at.span, format!("`on` and `{}.{key}` both name machines", self.kind));
                Err(error.hint("remove one of them"))
            }
            None => Ok(list),
        }
    }

    /// `at`; the only segment where nothing is said.
    fn at(&self) -> Result<usize> {
        match self.t.text("at")? {
            Some(at) => self.names.segment(&at),
            None if self.names.segments.len() == 1 => Ok(0),
            None => {
                let error =
                    self.t.files.error(self.span, format!("`{}` is about a segment, and none is named", self.kind));
                Err(error.hint(format!("write `at = …`: one of {}", self.names.segments.join(", "))))
            }
        }
    }

    /// `from`, which must be a segment here.
    fn asking_segment(&self) -> Result<usize> {
        match self.t.text("from")? {
            Some(at) => self.segment_named(&at),
            None => self.first_segment(self.on()?),
        }
    }

    fn segment_named(&self, at: &At<String>) -> Result<usize> {
        if self.names.machines.contains(&at.value) {
            let error =
                self.t.files.error(at.span, format!("`{}` is asked from a segment, not from a machine", self.kind));
            return Err(error.hint(format!("there is {}", self.names.segments.join(", "))));
        }
        self.names.segment(at)
    }

    fn first_segment(&self, machine: usize) -> Result<usize> {
        let plugs = &self.machines[machine].cards;
        let found = plugs.iter().find_map(|p| if let Plug::Segment(n) = p { Some(*n) } else { None });
        found.ok_or_else(|| {
            let error = self.t.files.error(self.span, "from where?");
            error.because("the machine's cables carry every VLAN").hint("write `from = …`: a segment")
        })
    }

    fn card(&self) -> Result<(usize, usize)> {
        let (machine, card) = (self.on()?, self.inner.needed_number::<usize>("card")?);
        let cards = self.machines[machine].cards.len();
        if card.value > cards {
            let what = format!("`{}` has no card {}", self.machines[machine].name, card.value);
            return Err(self.inner.files.error(card.span, what).hint(format!("it has {cards}")));
        }
        Ok((machine, card.value - 1))
    }

    fn traits(&self) -> Result<(Vec<Trait>, Vec<Trait>)> {
        let (differ, same) = (self.inner.texts("differ")?, self.inner.texts("same")?);
        if let Some(both) = same.iter().find(|s| differ.iter().any(|d| d.value == s.value)) {
            let what = format!("`{}` cannot be the same and differ", both.value);
            return Err(self.inner.files.error(both.span, what).hint("take it out of one of the lists"));
        }
        let of = |list: Vec<At<String>>| {
            let one = |at: At<String>| Trait::ALL.iter().find(|(word, _)| *word == at.value).map(|(_, t)| *t);
            list.into_iter().filter_map(one).collect()
        };
        Ok((of(differ), of(same)))
    }

    /// `not`, of a step that asks.
    fn not(&self, act: &Act) -> Result<bool> {
        let not = self.t.flag("not")?;
        match (act.asks(), self.t.key("not")) {
            (false, Some(span)) => {
                let error = self.t.files.error(span, format!("`{}` is done, not asked", self.kind));
                Err(error.hint("remove `not`"))
            }
            _ => Ok(not),
        }
    }

    /// Refuses `on`, `at` and `from` where the kind has no use for them.
    fn unused(&self) -> Result<()> {
        let peer = self.kind == "serve_peer";
        let at = self.kind.starts_with("serve_") && !peer;
        let from = matches!(self.kind, "port" | "http" | "metric" | "ping" | "scan" | "flood");
        // An ask that the wire does not show has said so itself.
        let from = from || verify::READERS.iter().any(|(kind, _)| *kind == self.kind);
        for (key, used) in [("at", at), ("on", !at && !peer), ("from", from)] {
            if let (false, Some(span)) = (used, self.t.key(key)) {
                let error = self.t.files.error(span, format!("`{}` has no use for `{key}`", self.kind));
                return Err(error.hint("remove it"));
            }
        }
        Ok(())
    }

    /// The kind, and what it is about.
    fn name_of(&self, act: &Act) -> String {
        let name = |n: &usize| self.names.machines[*n].clone();
        let names = |list: &[usize]| list.iter().map(name).collect::<Vec<_>>().join(", ");
        let kind = self.kind.replace('_', " ");
        match act {
            Act::Boot { machines, .. } | Act::PowerOff { machines } | Act::Identity { machines, .. } => {
                format!("{kind} {}", names(machines))
            }
            Act::Ask { machine, from, ask } => {
                let from = match from {
                    From::Inside => String::new(),
                    From::Segment(n) => format!(" from {}", self.names.segments[*n]),
                    From::Machine(n) => format!(" from {}", name(n)),
                };
                format!("{} {} on {}{from}", ask.kind(), ask.subject(), name(machine))
            }
            Act::ServePeer { peer, .. } => format!("{kind} {}", self.names.peers[*peer]),
            Act::Dhcp { segment, .. } | Act::NameServer { segment, .. } | Act::TimeServer { segment, .. } => {
                format!("{kind} at {}", self.names.segments[*segment])
            }
            Act::Ping { machine, .. }
            | Act::Lease { machine, .. }
            | Act::Link { machine, .. }
            | Act::Carrier { machine, .. }
            | Act::Restart { machine, .. }
            | Act::Replace { machine, .. }
            | Act::Fill { machine, .. }
            | Act::Flood { machine, .. }
            | Act::Scan { machine, .. }
            | Act::Clones { machine, .. }
            | Act::Heard { machine, .. }
            | Act::Sent { machine, .. } => format!("{kind} {}", name(machine)),
        }
    }
}

fn until(t: &Section) -> Result<Until> {
    Ok(match t.needed("until")?.value.as_str() {
        "shell" => Until::Shell,
        "started" => Until::Started,
        _ => Until::Running,
    })
}

fn family(t: &Section) -> Result<IpFamily> {
    Ok(verify::family_of(t)?.unwrap_or(IpFamily::Ipv4))
}

fn mode(t: &Section) -> Result<Mode> {
    Ok(match t.needed("mode")?.value.as_str() {
        "silent" => Mode::Silent,
        "malformed" => Mode::Malformed,
        "refusing" => Mode::Refusing,
        _ => Mode::Good,
    })
}

fn said(t: &Section) -> Result<BTreeMap<String, Says>> {
    let mut all = BTreeMap::new();
    for (name, t) in t.named("names")? {
        let parsed = |at: At<String>| at.value.parse().expect("its form was checked");
        let addresses: Vec<_> = t.texts("addresses")?.into_iter().map(parsed).collect();
        let word = t.needed("says")?;
        let needed = matches!(word.value.as_str(), "addresses" | "other-query" | "other-name");
        match (needed, addresses.is_empty(), t.key("addresses")) {
            (true, true, _) => return Err(t.missing("addresses")),
            (false, _, Some(span)) => {
                let error = t.files.error(span, format!("`{}` says no address", word.value));
                return Err(error.hint("remove `addresses`"));
            }
            _ => {}
        }
        let says = match word.value.as_str() {
            "missing" => Says::Missing,
            "failure" => Says::Failure,
            "silence" => Says::Silence,
            "other-query" => Says::OtherQuery(addresses),
            "other-name" => Says::OtherName(addresses),
            _ => Says::Addresses(addresses),
        };
        all.insert(name, says);
    }
    Ok(all)
}

/// A machine is asked only while it is on: what is impossible is said before anything boots.
fn booted(top: &Section, steps: &[Step], machines: &[Machine]) -> Result<()> {
    let mut on = vec![false; machines.len()];
    for (step, t) in steps.iter().zip(top.tables("step")?) {
        let error = |n: usize, what: &str| {
            let span = t.keys().find(|(key, _)| !AROUND.contains(key)).map_or(t.span, |(_, span)| span);
            t.files.error(span, format!("`{}` is {what} at this step", machines[n].name))
        };
        let (needs, turns): (Vec<usize>, Option<bool>) = match &step.act {
            Act::Boot { machines, .. } => (machines.clone(), Some(true)),
            Act::PowerOff { machines } => (machines.clone(), Some(false)),
            Act::Replace { machine, .. } if on[*machine] => {
                return Err(error(*machine, "on").hint("`power_off` must come first"));
            }
            Act::Ask { machine, from: From::Machine(other), .. } => (vec![*machine, *other], None),
            Act::Identity { machines, .. } => (machines.clone(), None),
            Act::Ask { machine, .. }
            | Act::Ping { machine, .. }
            | Act::Lease { machine, .. }
            | Act::Carrier { machine, .. }
            | Act::Restart { machine, .. }
            | Act::Fill { machine, .. }
            | Act::Flood { machine, .. }
            | Act::Scan { machine, .. } => (vec![*machine], None),
            _ => (vec![], None),
        };
        for n in needs {
            match (turns, on[n]) {
                (Some(true), true) => return Err(error(n, "already on").hint("`restart` starts a machine anew")),
                (None | Some(false), false) => return Err(error(n, "not on").hint("a step `boot` must come first")),
                _ => {}
            }
            on[n] = turns.unwrap_or(on[n]);
        }
    }
    Ok(())
}
