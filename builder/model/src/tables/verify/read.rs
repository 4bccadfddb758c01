//! `[[verify.check]]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::{At, Section},
    source::Span,
    values,
};
use crate::recipe::Protocol;
use crate::tables::firewall::parts::{protocol, protocol_of};
use crate::verify::*;

pub(crate) const VERIFY: &[Field] = &[tables(
    "check",
    CHECK,
    "checks of a booted machine in addition to those that follow from the other tables, each of one kind; no byte of the \
     image depends on it",
)];
const CHECK: &[Field] = &[
    text("name", &values::NAME, "its id is `own-NAME`").or_said("its kind and what it is about"),
    text("retry", &values::SPAN, "how long the check is retried until it passes; on a slow host longer, in proportion")
        .or_text("5s"),
    choice("level", LEVELS, "where it is asked").or_said("`outside` for `port`, `http` and `metric`, else `inside`"),
    table("port", PORT, "a port's answer"),
    table("http", HTTP, "a page over HTTP"),
    table("dns", DNS, "a name's addresses: as the machine finds them, or `outside` as its own name server says them"),
    table("unit", UNIT, "a unit of systemd"),
    table("file", FILE, "a file or directory"),
    table("command", COMMAND, "a command, run without a shell"),
    table("metric", METRIC, "a sample in Prometheus' text format"),
    table("container", CONTAINER, "a container of the profile"),
    table("process", PROCESS, "a process"),
    table("sysctl", SYSCTL, "a value of the kernel"),
    table("user", USER, "an account"),
    table("package", PACKAGE, "a Debian package"),
];
const LEVELS: &[(&str, &str)] = &[
    ("outside", "on the wire, through the firewall: `port`, `http`, `metric` and `dns` only"),
    ("inside", "in the machine"),
];
pub(crate) const FAMILIES: &[(&str, &str)] = &[("ipv4", "IPv4 only"), ("ipv6", "IPv6 only")];
pub(crate) const PORT: &[Field] = &[
    port("port", "its number").needed(),
    protocol("protocol"),
    choice("state", STATES, "what it must be").or_text("open"),
    family(),
];
const STATES: &[(&str, &str)] = &[
    ("open", "somebody listens; of a UDP port only `inside` can tell"),
    ("closed", "nobody listens"),
    ("rejected", "the firewall says so, `outside` only"),
    ("silent", "nothing comes back, `outside` only"),
];
pub(crate) const HTTP: &[Field] = &[
    port("port", "its port").or_number(80),
    boolean("tls", "over TLS, whatever certificate is shown; from outside only").or(false),
    text("path", &values::URI_PATH, "path and query").or_text("/"),
    integer("status", 100, 599, "status code").or_number(200),
    words("contains", &values::NEEDLE, "texts the page must hold"),
    words("lacks", &values::NEEDLE, "texts it must not hold"),
    family(),
];
pub(crate) const DNS: &[Field] = &[
    text("name", &values::DOMAIN, "the name").needed(),
    boolean("resolvable", "it has an address").or(true),
    texts("addresses", &values::IP, "addresses that must be among the answers"),
];
pub(crate) const UNIT: &[Field] = &[
    text("name", &values::UNIT, "the unit with its type").needed(),
    boolean("running", "it is active").or(true),
    boolean("enabled", "it is started at boot; not checked if unset"),
];
pub(crate) const FILE: &[Field] = &[
    text("path", &values::FILE_PATH, "absolute path").needed(),
    boolean("exists", "it is there").or(true),
    choice("kind", KINDS, "what it is; a symbolic link itself is looked at only with `symlink`"),
    text("mode", &values::MODE, "its permissions"),
    text("owner", &values::ACCOUNT, "its owner"),
    text("group", &values::ACCOUNT, "its group"),
    text("sha256", &values::SHA256, "SHA-256 of its contents"),
    words("contains", &values::NEEDLE, "texts it must hold"),
    words("lacks", &values::NEEDLE, "texts it must not hold"),
    text("target", &values::LINK_TARGET, "where it points, with `kind = \"symlink\"`"),
];
const KINDS: &[(&str, &str)] =
    &[("file", "a regular file"), ("directory", "a directory"), ("symlink", "a symbolic link"), ("socket", "a socket")];
pub(crate) const COMMAND: &[Field] = &[
    words("exec", &values::ARGUMENT, "the program and its arguments").needed(),
    integer("status", 0, 255, "exit status").or_number(0),
    words("stdout", &values::NEEDLE, "texts its standard output must hold"),
    words("stderr", &values::NEEDLE, "texts its standard error must hold"),
    text("timeout", &values::SPAN, "when it has failed; on a slow host later, in proportion").or_text("10s"),
];
pub(crate) const METRIC: &[Field] = &[
    text("name", &values::METRIC, "its name").needed(),
    mapping("labels", &values::LABEL, &values::UNIT_VALUE, "labels it must have, among others"),
    integer("at_least", -9_007_199_254_740_992, 9_007_199_254_740_992, "its least value"),
    integer("at_most", -9_007_199_254_740_992, 9_007_199_254_740_992, "its greatest value"),
    port("port", "port").or_number(9100),
    text("path", &values::URI_PATH, "path").or_text("/metrics"),
];
pub(crate) const CONTAINER: &[Field] = &[
    text("name", &values::NAME, "its name in `containers`").needed(),
    boolean("running", "it runs").or(true),
    boolean("healthy", "its health check says so; not checked if unset"),
];
pub(crate) const PROCESS: &[Field] = &[
    text("name", &values::PROCESS, "its program's name").needed(),
    boolean("running", "there is one").or(true),
    text("user", &values::ACCOUNT, "the user that at least one of them runs as"),
];
pub(crate) const SYSCTL: &[Field] =
    &[text("name", &values::SYSCTL, "its name").needed(), text("value", &values::SYSCTL_VALUE, "its value").needed()];
pub(crate) const USER: &[Field] = &[
    text("name", &values::ACCOUNT, "login name").needed(),
    boolean("exists", "it is there").or(true),
    integer("uid", 0, 4_294_967_294, "its number"),
    text("home", &values::FILE_PATH, "its home"),
    text("shell", &values::FILE_PATH, "its shell"),
    texts("groups", &values::ACCOUNT, "groups it must be in, among others"),
];
pub(crate) const PACKAGE: &[Field] = &[
    text("name", &values::PACKAGE_NAME, "its name").needed(),
    boolean("installed", "it is installed").or(true),
    text("version", &values::PACKAGE_VERSION, "its version"),
];

const fn family() -> Field {
    choice("family", FAMILIES, "one family only").or_said("each that the machine has; `inside` its own loopback's IPv4")
}

/// Reads what stands under a kind.
pub(crate) type AskReader = fn(&Section) -> Result<Ask>;

/// Every kind and its reader.
pub(crate) const READERS: [(&str, AskReader); 12] = [
    ("port", port_of),
    ("http", http),
    ("dns", dns),
    ("unit", unit),
    ("file", file),
    ("command", command),
    ("metric", metric),
    ("container", container),
    ("process", process),
    ("sysctl", sysctl),
    ("user", user),
    ("package", package),
];

pub(crate) fn checks(top: &Section) -> Result<Vec<OwnCheck>> {
    let mut all: Vec<(OwnCheck, Span)> = Vec::new();
    for t in top.table_or_empty("verify")?.tables("check")? {
        let (check, span) = check(&t)?;
        if let Some((_, other)) = all.iter().find(|(c, _)| c.name == check.name) {
            let second = format!("the other one is at {}\n{}", t.files.place(*other), t.files.show(*other));
            let error = t.files.error(span, format!("two checks are called `{}`", check.name));
            return Err(error
                .detail(format!("{}\n{second}", t.files.show(span)))
                .hint("give one of them another `name`"));
        }
        all.push((check, span));
    }
    Ok(all.into_iter().map(|(check, _)| check).collect())
}

/// One check, and where its name or kind stands.
fn check(t: &Section) -> Result<(OwnCheck, Span)> {
    let mut said = READERS.iter().filter_map(|(kind, read)| Some((*kind, *read, t.key(kind)?)));
    let names = || READERS.map(|(kind, _)| kind).join(", ");
    let Some((kind, read, span)) = said.next() else {
        let error = t.files.error(t.span, "this check asks nothing");
        return Err(error.hint(format!("it needs one of: {}", names())));
    };
    if let Some((other, _, second)) = said.next() {
        let error = t.files.error(second, format!("one check asks two things: `{kind}` and `{other}`"));
        return Err(error.hint("make another `[[verify.check]]` of it"));
    }
    let section = t.table(kind)?.expect("its key is there");
    let ask = read(&section)?;
    let level = level(t, kind, &ask, &section)?;
    let name = t.text("name")?;
    let span = name.as_ref().map_or(span, |n| n.span);
    let retry = values::seconds(&t.needed("retry")?.value).expect("the form was checked");
    let name = name.map_or_else(|| name_of(&ask), |n| n.value);
    Ok((OwnCheck { name, retry, level, ask }, span))
}

/// Where it is asked; an error where it cannot be asked there.
fn level(t: &Section, kind: &str, ask: &Ask, inner: &Section) -> Result<Level> {
    let said = t.text("level")?;
    let level = match said.as_ref().map(|l| l.value.as_str()) {
        Some("outside") => Level::Outside,
        Some(_) => Level::Inside,
        None => ask.usual(),
    };
    if !ask.can_be_asked(level) {
        let span = said.map_or(t.span, |l| l.span);
        let error = t.files.error(span, format!("`{kind}` cannot be asked from outside"));
        return Err(error
            .because("the wire does not show it")
            .hint("leave `level` out, or write `level = \"inside\"`"));
    }
    if let (Level::Inside, Ask::Http(Http { tls: true, .. })) = (level, ask) {
        return Err(tls_inside(inner));
    }
    if let Ask::Port(port) = ask {
        let shown = |state: PortState| match (level, state) {
            (Level::Inside, PortState::Rejected | PortState::Silent) => Some("inside, a port is `open` or `closed`"),
            (Level::Outside, PortState::Open) if port.protocol == Protocol::Udp => {
                Some("who listens on a UDP port may say nothing at all")
            }
            _ => None,
        };
        if let Some(cause) = shown(port.state) {
            let span = inner.text("state")?.map_or(inner.span, |s| s.span);
            let word = if level == Level::Inside { "inside" } else { "outside" };
            let error = t.files.error(span, format!("a port cannot be seen to be {} from {word}", port.state.name()));
            return Err(error.because(cause).hint("change `level` or `state`"));
        }
    }
    Ok(level)
}

/// A page over TLS cannot be asked for in a machine.
pub(crate) fn tls_inside(t: &Section) -> crate::Error {
    let error = t.files.error(t.key("tls").unwrap_or(t.span), "a page over TLS is asked for from outside only");
    error
        .because("a machine need not have a program that speaks TLS")
        .hint("ask from outside, or use a `command` such as curl")
}

/// Kind and subject in the form of a name.
pub(crate) fn name_of(ask: &Ask) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = format!("{}-{}", ask.kind(), ask.subject()).chars().map(plain).collect();
    let words: Vec<&str> = text.split('-').filter(|w| !w.is_empty()).collect();
    words.join("-").chars().take(60).collect::<String>().trim_end_matches('-').to_owned()
}

fn value(t: &Section, key: &str) -> Result<Option<String>> {
    Ok(t.text(key)?.map(|v| v.value))
}

pub(crate) fn family_of(t: &Section) -> Result<Option<IpFamily>> {
    Ok(value(t, "family")?.map(|f| if f == "ipv6" { IpFamily::Ipv6 } else { IpFamily::Ipv4 }))
}

fn port_of(t: &Section) -> Result<Ask> {
    let state = match t.needed("state")?.value.as_str() {
        "closed" => PortState::Closed,
        "rejected" => PortState::Rejected,
        "silent" => PortState::Silent,
        _ => PortState::Open,
    };
    let port = t.needed_number("port")?.value;
    Ok(Ask::Port(Port { port, protocol: protocol_of(t)?, state, family: family_of(t)? }))
}

fn http(t: &Section) -> Result<Ask> {
    Ok(Ask::Http(Http {
        port: t.needed_number("port")?.value,
        tls: t.flag("tls")?,
        path: t.needed("path")?.value,
        status: t.needed_number("status")?.value,
        contains: t.plain("contains")?,
        lacks: t.plain("lacks")?,
        family: family_of(t)?,
    }))
}

fn dns(t: &Section) -> Result<Ask> {
    let addresses = t.texts("addresses")?;
    let resolvable = t.flag("resolvable")?;
    if let (false, Some(first)) = (resolvable, addresses.first()) {
        return Err(t.files.error(first.span, "a name without addresses cannot have this one"));
    }
    let parsed = |a: At<String>| a.value.parse().expect("the form was checked");
    Ok(Ask::Dns(Dns {
        name: t.needed("name")?.value,
        resolvable,
        addresses: addresses.into_iter().map(parsed).collect(),
    }))
}

fn unit(t: &Section) -> Result<Ask> {
    Ok(Ask::Unit(Unit { name: t.needed("name")?.value, running: t.flag("running")?, enabled: t.boolean("enabled")? }))
}

fn file(t: &Section) -> Result<Ask> {
    let exists = t.flag("exists")?;
    let about = ["kind", "mode", "owner", "group", "sha256", "contains", "lacks", "target"];
    if let (false, Some(span)) = (exists, about.iter().find_map(|key| t.key(key))) {
        return Err(t.files.error(span, "a file that must not be there has nothing to be looked at"));
    }
    let kind = value(t, "kind")?.map(|k| match k.as_str() {
        "directory" => FileKind::Directory,
        "symlink" => FileKind::Symlink,
        "socket" => FileKind::Socket,
        _ => FileKind::File,
    });
    let target = t.text("target")?;
    if let (Some(target), false) = (&target, kind == Some(FileKind::Symlink)) {
        let error = t.files.error(target.span, "only a symbolic link points somewhere");
        return Err(error.hint("write `kind = \"symlink\"` beside it"));
    }
    let text = ["sha256", "contains", "lacks"].iter().find_map(|key| t.key(key));
    if let (Some(span), Some(FileKind::Directory | FileKind::Symlink | FileKind::Socket)) = (text, kind) {
        return Err(t.files.error(span, "only a regular file has contents"));
    }
    Ok(Ask::File(File {
        path: t.needed("path")?.value,
        exists,
        kind,
        mode: value(t, "mode")?,
        owner: value(t, "owner")?,
        group: value(t, "group")?,
        sha256: value(t, "sha256")?,
        contains: t.plain("contains")?,
        lacks: t.plain("lacks")?,
        target: target.map(|t| t.value),
    }))
}

fn command(t: &Section) -> Result<Ask> {
    let exec = t.texts("exec")?;
    let program = exec.first().ok_or_else(|| t.missing("exec"))?;
    (values::PROGRAM.check)(&program.value).map_err(|cause| {
        let error = t.files.error(program.span, format!("`{}.exec` cannot start this program", t.path));
        error.because(cause).hint(format!("allowed: {}", values::PROGRAM.allowed))
    })?;
    if let Some(word) = exec.iter().find(|word| crate::secret::in_line(word.value.trim_start_matches('-')).is_some()) {
        return Err(t.files.secret(word.span, format!("`{}.exec` holds a secret, by its name", t.path)));
    }
    let timeout = t.needed("timeout")?;
    let seconds = values::seconds(&timeout.value).expect("the form was checked");
    if seconds == 0 {
        return Err(t.files.error(timeout.span, format!("`{}.timeout` cannot be nothing", t.path)));
    }
    Ok(Ask::Command(Command {
        exec: exec.into_iter().map(|e| e.value).collect(),
        status: t.needed_number("status")?.value,
        stdout: t.plain("stdout")?,
        stderr: t.plain("stderr")?,
        timeout: seconds,
    }))
}

fn metric(t: &Section) -> Result<Ask> {
    let (least, most) = (t.integer("at_least")?, t.integer("at_most")?);
    if let (Some(least), Some(most)) = (&least, &most)
        && least.value > most.value
    {
        return Err(t
            .files
            .error(most.span, format!("nothing is at least {} and at most {}", least.value, most.value)));
    }
    Ok(Ask::Metric(Metric {
        name: t.needed("name")?.value,
        labels: t.mapping("labels")?.into_iter().map(|(name, value)| (name, value.value)).collect(),
        at_least: least.map(|v| v.value),
        at_most: most.map(|v| v.value),
        port: t.needed_number("port")?.value,
        path: t.needed("path")?.value,
    }))
}

fn container(t: &Section) -> Result<Ask> {
    let (running, healthy) = (t.flag("running")?, t.boolean("healthy")?);
    if let (false, Some(_), Some(span)) = (running, healthy, t.key("healthy")) {
        return Err(t.files.error(span, "a container that must not run has no health"));
    }
    Ok(Ask::Container(Container { name: t.needed("name")?.value, running, healthy }))
}

fn process(t: &Section) -> Result<Ask> {
    let (running, user) = (t.flag("running")?, t.text("user")?);
    if let (false, Some(user)) = (running, &user) {
        return Err(t.files.error(user.span, "a process that must not be there runs as nobody"));
    }
    Ok(Ask::Process(Process { name: t.needed("name")?.value, running, user: user.map(|u| u.value) }))
}

fn sysctl(t: &Section) -> Result<Ask> {
    Ok(Ask::Sysctl(Sysctl { name: t.needed("name")?.value, value: t.needed("value")?.value }))
}

fn user(t: &Section) -> Result<Ask> {
    let exists = t.flag("exists")?;
    if let (false, Some(span)) = (exists, ["uid", "home", "shell", "groups"].iter().find_map(|key| t.key(key))) {
        return Err(t.files.error(span, "an account that must not be there has none of this"));
    }
    Ok(Ask::User(User {
        name: t.needed("name")?.value,
        exists,
        uid: t.number("uid")?.map(|u| u.value),
        home: value(t, "home")?,
        shell: value(t, "shell")?,
        groups: t.plain("groups")?,
    }))
}

fn package(t: &Section) -> Result<Ask> {
    let (installed, version) = (t.flag("installed")?, t.text("version")?);
    if let (false, Some(version)) = (installed, &version) {
        return Err(t.files.error(version.span, "a package that must not be there has no version"));
    }
    Ok(Ask::Package(Package { name: t.needed("name")?.value, installed, version: version.map(|v| v.value) }))
}
