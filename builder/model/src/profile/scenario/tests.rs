//! Every scenario of the repository, and every error with its exact text.

use super::*;
use crate::scenario::{Act, From as Asker, Patience, Sent};

/// A scenario that says a little of everything.
const FULL: &str = r#"
about = "everything"
seed = 9

[segments.dmz]
vlan = 20
ipv4 = "192.0.2.1/24"
ipv6 = "2001:db8:0:20::1/64"
lease = "60s"
gateway = "192.0.2.9"
routed = ["lan"]

[segments.lan]

[machines.gate]
disk = "out/gate.raw"
recipe = "out/recipe.json"
segments = ["lan", "trunk"]
memory = 512
cpus = 1
tpm = true

[machines.web]
profile = "server"
segments = ["lan"]

[machines.node]
profile = "lab/node.toml"
segments = ["dmz"]
count = 3

[peers.log]
segment = "lan"
port = 514
syslog = true

[peers.mail]
segment = "lan"
port = 25
smtp = true

[peers.site]
segment = "dmz"
port = 80
http = "hello"

[peers.safe]
segment = "dmz"
port = 443
http = "hello"
certificate = "safe.crt"
key = "safe.key"

[peers.dialled]
segment = "dmz"
port = 10443
certificate = "safe.crt"
key = "safe.key"
fortinet = { inside = "lan", user = "anna@example.org", credential = "vpn.password.office" }

[[step]]
boot = { machines = ["web", "gate"], until = "shell" }

[[step]]
on = "web"
from = "gate"
wait = true
port = { port = 22, state = "silent" }

[[step]]
on = "web"
not = true
unit = { name = "web.service" }

[[step]]
name = "by hand"
on = "web"
retry = "1m"
http = { port = 8080 }

[[step]]
on = "gate"
link = { card = 2, loss = 5 }

[[step]]
at = "dmz"
serve_dns = { delay_ms = 20, names."a.example" = { says = "missing" } }

[[step]]
on = "web"
from = "lan"
scan = { open = [22, 8080], maybe = [9100], meanwhile = ["reload-firewall"] }

[[step]]
identity = { machines = ["web", "gate"], differ = ["machine-id"] }

[[step]]
on = "node"
clones = { differ = ["machine-id"], same = ["image"] }

[[step]]
on = "web"
heard = { peer = "log", contains = "hello" }

[[step]]
serve_peer = { peer = "dialled", mode = "away" }

[[step]]
serve_peer = { peer = "dialled" }

[[step]]
on = "web"
sent = { to = "192.0.2.0/24" }

[[step]]
on = "web"
sent = { busiest = 100 }

[[step]]
power_off = { machines = ["web", "gate"] }
"#;

fn read(text: &str) -> Result<Scenario> {
    parse(text, "vm-tests/scenarios/x.toml")
}

#[test]
fn everything_is_read() {
    let scenario = read(FULL).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((scenario.name.as_str(), scenario.seed, scenario.steps.len()), ("x", 9, 15));
    let place = |name: &str| scenario.machines.iter().position(|m| m.name == name).expect("a machine");
    let (gate, web) = (place("gate"), place("web"));
    assert_eq!(scenario.machines[gate].cards, [Plug::Segment(1), Plug::Trunk]);
    assert_eq!(scenario.segments[0].routed, [1]);
    let Act::Ask { machine, from, .. } = &scenario.steps[1].act else { panic!("a port") };
    assert_eq!((*machine, *from, scenario.steps[1].patience), (web, Asker::Machine(gate), Patience::Progress));
    assert!(matches!(scenario.steps[2].act, Act::Ask { from: Asker::Inside, .. }));
    assert!(scenario.steps[2].not && !scenario.steps[1].not);
    assert!(matches!(scenario.steps[3].act, Act::Ask { from: Asker::Segment(1), .. }), "where it is plugged in");
    assert!(matches!(scenario.steps[4].act, Act::Link { card: 1, .. }));
    let names: Vec<&str> = scenario.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names[..4],
        ["boot web, gate", "port tcp-22-silent on web from gate", "not: unit web.service on web", "by hand"]
    );
    assert_eq!(scenario.steps[0].place, "vm-tests/scenarios/x.toml:62:1");
    let safe = scenario.peers.iter().find(|p| p.name == "safe").expect("a peer");
    let Serves::Https { certificate, key, .. } = &safe.serves else { panic!("{safe:?}") };
    assert_eq!((certificate.as_str(), key.as_str()), ("safe.crt", "safe.key"));
    let dialled = scenario.peers.iter().position(|p| p.name == "dialled").expect("a peer");
    let Serves::Fortinet { inside, user, credential, .. } = &scenario.peers[dialled].serves else {
        panic!("a gateway")
    };
    assert_eq!((*inside, user.as_str(), credential.as_str()), (1, "anna@example.org", "vpn.password.office"));
    assert!(scenario.peers[dialled].leads_to(1) && !scenario.peers[dialled].leads_to(0));
    let acts: Vec<&Act> = scenario.steps[10..14].iter().map(|step| &step.act).collect();
    let expected = [
        Act::ServePeer { peer: dialled, away: true },
        Act::ServePeer { peer: dialled, away: false },
        Act::Sent { machine: web, what: Sent::To("192.0.2.0/24".parse().expect("a network")) },
        Act::Sent { machine: web, what: Sent::Busiest(100) },
    ];
    assert_eq!(acts, expected.iter().collect::<Vec<_>>());
    assert_eq!(scenario.steps[10].name, "serve peer dialled");
}

#[test]
fn what_is_wrong_is_shown_in_its_line() {
    let head = "about = \"x\"\n[segments.lan]\n[machines.web]\nprofile = \"server\"\nsegments = [\"lan\"]\n";
    let two = format!("{head}[machines.db]\nprofile = \"server\"\nsegments = [\"lan\"]\n");
    let node = format!("{head}[machines.node]\nprofile = \"base\"\nsegments = [\"lan\"]\ncount = 3\n");
    let boot = "[[step]]\nboot = { machines = [\"web\"] }\n";
    let of = |text: &str| format!("{head}{boot}[[step]]\n{text}\n");
    let dialled = |rest: &str| {
        format!(
            "{head}[segments.office]\n[peers.gate]\nsegment = \"lan\"\nport = 443\ncertificate = \"a\"\nkey = \"b\"\n{rest}\n{boot}"
        )
    };
    let inside = "fortinet = { inside = \"office\", user = \"anna\", credential = \"vpn.password.office\" }";
    let wrong = [
        "abut = \"x\"".to_owned(),
        "about = \"x\"".to_owned(),
        "about = \"x\"\n[segments.lan]".to_owned(),
        head.to_owned(),
        head.replace("lan\"]", "lane\"]") + boot,
        head.replace("profile = \"server\"\n", "") + boot,
        head.replace("server", "../server.toml") + boot,
        head.replace("server", "lab/server") + boot,
        head.replace("profile", "recipe = \"x\"\nprofile") + boot,
        head.replace("[segments.lan]", "[segments.lan]\nrouted = [\"lan\"]") + boot,
        head.replace("[segments.lan]", "[segments.lan]\nvlan = 7\n[segments.wan]\nvlan = 7") + boot,
        head.replace("[segments.lan]", "[segments.lan]\nipv4 = \"2001:db8::1/64\"") + boot,
        head.replace("machines.web", "machines.lan"),
        of("on = \"wob\"\nunit = { name = \"x.service\" }"),
        of("form = \"lan\"\nunit = { name = \"x.service\" }"),
        of("from = \"lin\"\nport = { port = 22 }"),
        of("from = \"lan\"\nunit = { name = \"x.service\" }"),
        of("port = { prot = 22 }"),
        of("port = { port = 22 }\nping = {}"),
        of("name = \"nothing\""),
        of("at = \"lan\"\nping = {}"),
        of("wait = true\nretry = \"5s\"\nping = {}"),
        of("port = { port = 53, protocol = \"udp\" }"),
        of("from = \"web\"\nport = { port = 22, state = \"silent\" }"),
        of("not = true\nlink = { cut = true }"),
        of("not = true\nfrom = \"lan\"\nunit = { name = \"x.service\" }"),
        of("link = { card = 2 }"),
        of("link = { loss = 101 }"),
        of("link = { reorder = true }"),
        of("scan = { open = [22], maybe = [22] }"),
        of("scan = { meanwhile = [\"dance\"] }"),
        of("identity = { differ = [\"boot\"] }"),
        of("identity = { earlier = true, differ = [\"boot\"], same = [\"boot\"] }"),
        of("identity = { earlier = true, same = [\"name\"] }"),
        of("clones = { differ = [\"boot\"] }"),
        of("heard = { peer = \"log\", contains = \"x\" }"),
        of("boot = {}"),
        of("replace = {}"),
        format!("{head}{boot}[[step]]\npower_off = {{}}\n[[step]]\nreplace = {{ image = \"db\" }}\n"),
        of("serve_dns = { names.\"a.example\" = {} }"),
        of("serve_dns = { names.\"a.example\" = { says = \"missing\", addresses = [\"192.0.2.1\"] } }"),
        format!("{head}[[step]]\nping = {{}}\n"),
        format!("{head}{boot}[[step]]\npower_off = {{}}\n[[step]]\nping = {{}}\n"),
        format!("{two}{boot}[[step]]\nping = {{}}\n"),
        format!("{two}{boot}[[step]]\non = \"db\"\nping = {{}}\n"),
        format!("{two}{boot}[[step]]\non = \"db\"\nfrom = \"web\"\nscan = {{}}\n"),
        format!("{node}{boot}[[step]]\non = \"node\"\nping = {{}}\n"),
        format!("{node}[[step]]\nboot = {{ machines = [\"node\"] }}\n"),
        format!("{head}[peers.log]\nsegment = \"lan\"\nport = 514\n{boot}"),
        format!("{head}[peers.log]\nsegment = \"lan\"\nport = 514\nhttp = \"x\"\nsyslog = true\n{boot}"),
        format!("{head}[peers.site]\nsegment = \"lan\"\nport = 443\nhttp = \"x\"\nkey = \"site.key\"\n{boot}"),
        format!(
            "{head}[peers.log]\nsegment = \"lan\"\nport = 514\nsyslog = true\ncertificate = \"a\"\nkey = \"b\"\n{boot}"
        ),
        format!("{head}[peers.mail]\nsegment = \"lan\"\nport = 25\nsmtp = true\nsyslog = true\n{boot}"),
        format!(
            "{head}[peers.mail]\nsegment = \"lan\"\nport = 25\nsmtp = true\ncertificate = \"a\"\nkey = \"b\"\n{boot}"
        ),
        dialled(&inside.replace("office\",", "lan\",")),
        dialled(&inside.replace("office\",", "attic\",")),
        dialled(&inside.replace(", user = \"anna\"", "")),
        dialled(&format!("{inside}\nhttp = \"x\"")),
        dialled(inside).replace("certificate = \"a\"\nkey = \"b\"\n", ""),
        dialled(&format!(
            "{inside}\n[peers.other]\nsegment = \"lan\"\nport = 444\ncertificate = \"a\"\nkey = \"b\"\n{inside}"
        )),
        of("serve_peer = { peer = \"log\" }"),
        of("serve_peer = { peer = \"log\", mode = \"silent\" }"),
        of("on = \"web\"\nserve_peer = { peer = \"log\" }")
            .replace("[[step]]\nboot", "[peers.log]\nsegment = \"lan\"\nport = 514\nsyslog = true\n[[step]]\nboot"),
        of("sent = {}"),
        of("sent = { busiest = 7, to = \"192.0.2.0/24\" }"),
        of("sent = { to = \"192.0.2.7\" }"),
    ];
    let texts = wrong.iter().map(|text| read(text).expect_err(text).to_string()).collect::<Vec<_>>();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn the_reference_names_every_kind_of_step() {
    let page = reference();
    for field in fields::STEP {
        assert!(page.contains(&format!("| `{}` |", field.name)), "{}", field.name);
    }
}
