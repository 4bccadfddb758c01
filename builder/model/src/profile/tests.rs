//! The profiles of the repository, and every error with its exact text.

mod access;
mod backup;
mod certificates;
mod containers;
mod firewall;
mod hardening;
mod hostile;
mod instances;
mod monitoring;
mod mounts;
mod network;
mod packages;
mod platform;
mod secrets;
mod services;
mod signing;
mod state;
mod trust;
mod verify;
mod vpn;
mod wheels;

use super::*;
use crate::machine::{Cluster, Machine};
use crate::recipe::Protocol;

/// Profiles of the repository, as they are.
fn shipped(name: &str) -> Result<Loaded> {
    let text = match name {
        "base" => include_str!("../../../../profiles/base.toml"),
        "server" => include_str!("../../../../profiles/server.toml"),
        "requirements.txt" => {
            let text = include_str!("tests/requirements.txt").into();
            return Ok(Loaded { file: "profiles/requirements.txt".into(), text });
        }
        _ => return Err(Error::input(format!("there is no profile `{name}`")).hint("profiles here: base, server")),
    };
    Ok(Loaded { file: format!("profiles/{name}.toml"), text: text.into() })
}

#[test]
fn shipped_profiles_parse() {
    for name in ["base", "server"] {
        let loaded = shipped(name).unwrap();
        let (recipe, settings) = parse(&loaded.text, &loaded.file, &mut shipped).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(recipe.image.name, name);
        assert_eq!(settings, Settings::default());
        assert!(recipe.firewall.allow.iter().any(|a| a.what.is_port(Protocol::Tcp, 22)));
    }
}

#[test]
fn tables_have_their_places_in_the_file_that_counts() {
    let text =
        "extends = \"base\"\n[image]\nname = \"mine\"\nversion = \"1\"\n\n[containers.web]\npackages = [\"nginx\"]\n";
    let places = places(text, "profiles/mine.toml", &mut shipped).unwrap();
    assert_eq!(places["image.name"], "profiles/mine.toml:3:1");
    assert_eq!(places["containers.web"], "profiles/mine.toml:6:13");
    assert!(places["firewall"].starts_with("profiles/base.toml:"), "{}", places["firewall"]);
    assert!(!places.contains_key("extends"));
}

/// A profile that says everything.
const FULL: &str = include_str!("tests/full.toml");

fn error(text: &str) -> String {
    match parse(text, "profiles/full.toml", &mut shipped) {
        Ok((recipe, _)) => panic!("accepted:\n{text}\n{recipe:?}"),
        Err(e) => {
            assert_eq!(e.exit, crate::Exit::Input);
            e.to_string()
        }
    }
}

/// The full profile with one thing changed.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    assert_eq!(FULL.matches(from).count(), 1, "`{from}` must stand in the full profile once");
    error(&FULL.replace(from, to))
}

/// What a list of tables or tables by name hold.
fn inner(value: &toml::Value) -> Vec<&toml::Value> {
    match value {
        toml::Value::Array(list) => list.iter().collect(),
        toml::Value::Table(table) => table.values().collect(),
        _ => vec![],
    }
}

/// Every declared key that no example says: the fields, and the tables that may hold them.
fn unsaid(fields: &[Field], path: &str, there: &[&toml::Value], all: &mut Vec<String>) {
    for field in fields {
        let path = format!("{path}.{}", field.name);
        let values: Vec<&toml::Value> = there.iter().filter_map(|t| t.get(field.name)).collect();
        if values.is_empty() {
            all.push(path.clone());
        }
        match field.holds {
            Holds::Table(below) => unsaid(below, &path, &values, all),
            Holds::Tables(below) | Holds::Named(_, below) => {
                unsaid(below, &path, &values.iter().flat_map(|v| inner(v)).collect::<Vec<_>>(), all);
            }
            _ => {}
        }
    }
}

/// So that the test with hostile strings, below, reaches every field there is.
#[test]
fn the_full_profile_says_everything() {
    let full = FULL.parse::<toml::Table>().map(toml::Value::Table).unwrap();
    let mut all = Vec::new();
    unsaid(language(), "", &[&full], &mut all);
    all.retain(|path| !path.starts_with(".backup.sftp."));
    // A kernel is named by flavour or by package, a backup goes to a directory or one of two kinds of servers, an installer takes a disk by its
    // number or the only one: tests/packages.rs, tests/backup.rs and tests/platform.rs try the others.
    let others = [".platform.installer.only_disk", ".kernel.package", ".backup.directory", ".backup.sftp"];
    assert_eq!(all, others, "the full profile must say the others as well");
}

#[test]
fn a_full_profile_is_meant_as_written() {
    let (recipe, settings) = parse(FULL, "profiles/full.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}"));
    insta::assert_snapshot!("recipe", serde_json::to_string_pretty(&recipe).unwrap());
    assert_eq!(settings.mirrors, ["https://mirror.example/debian"]);
    assert_eq!(settings.snapshot.as_deref(), Some("https://snapshot.example/{timestamp}/"));
    assert_eq!(settings.purpose.owners, ["The ledger's team"]);
    let mac = Some("52:54:00:12:34:57".to_owned());
    let machine = Machine {
        memory: 4 << 30,
        cores: 4,
        state: 20 << 30,
        vlan: Some(7),
        mac,
        tpm: true,
        start_at_boot: false,
        keep: 3,
        cluster: Cluster { ha: true, anti_affinity: true, replication: Some("*/15".into()) },
    };
    assert_eq!(settings.machine, machine);
    let audit = &settings.audit;
    let waiver = &audit.waivers["CVE-2025-1234"];
    assert_eq!((audit.data.as_deref(), audit.max_age), (Some("https://shop.example:5432/tracker.json"), 14));
    assert_eq!((waiver.until.as_str(), waiver.package.as_deref()), ("2026-12-31", Some("openssl")));
    assert_eq!(waiver.reason, "the program is not started here");
}

#[test]
fn a_waiver_needs_a_reason_and_a_day() {
    let refused = [
        "[audit.waivers.CVE-2025-1]\nuntil = \"2026-12-31\"",
        "[audit.waivers.CVE-2025-1]\nreason = \"it is not started\"",
        "[audit.waivers.CVE-2025-1]\nreason = \"it is not started\"\nuntil = \"2026-02-30\"",
        "[audit.waivers.CVE-2025-1]\nreason = \"it is not started\"\nuntil = \"31.12.2026\"",
        "[audit.waivers.openssl]\nreason = \"it is not started\"\nuntil = \"2026-12-31\"",
        "[audit]\nmax_age = 0",
        "[audit]\ndata = \"tracker.json\"",
    ];
    let said = refused.map(|text| {
        let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{text}\n");
        parse(&text, "x.toml", &mut shipped).map(|_| ()).unwrap_err().to_string()
    });
    insta::assert_snapshot!("waivers", said.join("\n\n"));
}

#[test]
fn a_machine_follows_from_its_state_and_is_checked_against_it() {
    let machine = |text: &str| {
        let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{text}");
        parse(&text, "x.toml", &mut shipped).map(|(_, settings)| settings.machine)
    };
    assert_eq!(machine("").unwrap(), Machine::default());
    assert!(machine("[state]\nencryption = \"tpm2\"").unwrap().tpm);
    let refused = [
        "[state]\nencryption = \"tpm2\"\n[machine]\ntpm = false",
        "[state]\ndisk = \"own\"\nminimum = \"9G\"\n[machine]\nstate = \"8G\"",
        "[machine]\nmemory = \"128M\"",
        "[machine]\nvlan = 4095",
        "[machine]\nanti_affinity = true",
        "[machine]\nreplication = \"*/0\"",
        "[machine]\nreplication = \"24:00\"",
    ];
    let refused: Vec<_> = refused.iter().map(|text| machine(text).unwrap_err().to_string()).collect();
    insta::assert_snapshot!("machine", refused.join("\n\n"));
}

#[test]
fn what_cannot_change_bytes_is_not_in_the_recipe() {
    let other = FULL.replace("mirror.example", "other.example").replace("snapshot.example", "old.example");
    let other = other.replace("memory = \"4G\"", "memory = \"8G\"").replace("vlan = 7", "vlan = 8");
    let digest = |text: &str| parse(text, "full.toml", &mut shipped).unwrap().0.digest();
    assert_eq!(digest(FULL), digest(&other));
    // What the documentation says is no part of the image either.
    assert_eq!(digest(FULL), digest(&FULL.replace("The ledger's team", "Somebody else").replace("purpose = ", "#")));
    assert_ne!(digest(FULL), digest(&FULL.replace("\"1.2\"", "\"1.3\"")));
}

#[test]
fn errors_of_form_show_the_line() {
    let all = [
        with("[packages]", "[pakages]"),
        with("{ port = 443,", "{ prot = 443,"),
        with("port = 443", "port = \"443\""),
        with("port = 443", "port = 65536"),
        with("port = 443", "port = 0"),
        with("{ port = 443, protocol", "{ protocol"),
        with("protocol = \"tcp\", from", "protocol = \"icmp\", from"),
        with("192.0.2.0/24", "192.0.2.1/24"),
        with("192.0.2.0/24", "192.0.2.0/33"),
        with("192.0.2.0/24", "192.0.2.0"),
        with("192.0.2.10/24", "192.0.2/24"),
        with("gateways = [\"192.0.2.1\",", "gateways = [\"192.0.2.1\", \"192.0.2.2\","),
        with("52:54:00:12:34:56", "52-54-00-12-34-56"),
        with("\"en*\"", "\"a-name-that-is-too-long\""),
        with("name = \"full\"", "name = \"Full Server\""),
        with("version = \"1.2\"", "version = 1.2"),
        with("version = \"1.2\"", "version = \"1.2-3\""),
        with("\"less\"", "\"Less\""),
        with("\"less\"", "\"less\", \"less\""),
        with("recommends = false", "recommends = \"no\""),
        with("\"quiet\"", "\"quiet splash\""),
        with("\"quiet\"", "\"roothash=0\""),
        with("root = \"1G\"", "root = \"1 GB\""),
        with("root = \"1G\"", "root = \"8M\""),
        with("root = \"1G\"", "root = \"4G\""),
        with("[access.administrators.anna]", "[access.administrators.root]"),
        with("ssh_keys = [\"ssh-ed25519 AAAA", "ssh_keys = [\"ssh-ed25519 AAA"),
        with("ssh_keys = [\"ssh-ed25519 AAAA", "ssh_keys = [\"ssh-dss AAAA"),
        with("uid = 21000", "uid = 5"),
        with("last_port = 444", "last_port = 442"),
        with("rate = \"10/second\"", "rate = \"0/second\""),
        with("rate = \"10/second\"", "rate = \"10/fortnight\""),
        with("rate = \"10/second\", ", ""),
        with("\"office\"], last_port", "\"Office\"], last_port"),
        with("networks = [\"198.51.100.0/24\"]", "networks = []"),
        with("policy = \"drop\"", "policy = \"reject\""),
        with("{ port = 5432, last_port", "{ last_port"),
        with("[monitoring.node_exporter]\nfrom = [\"office\"]", "[monitoring]\nnode_exporter = true"),
        with("[monitoring.node_exporter]\nfrom = [\"office\"]", "[monitoring.node_exporter]"),
        with("[containers.web]", "[containers.\"Web Server\"]"),
        with("command = [\"busybox\", \"httpd\", \"-f\"]", ""),
        with("command = [\"busybox\"", "command = [\"../busybox\""),
        with("user = \"www-data\"", "user = \"4294967296\""),
        with("host = 8080", "host = 22"),
        with("\"fstrim.timer\"", "\"fstrim\""),
        with("\"fstrim.timer\"", "\"a.service\""),
        with("\"b.socket\"", "\"ssh.service\""),
        with("uri = \"https", "uri = \"ftp"),
        with("{timestamp}/", "/"),
        with("suite = \"trixie\"", "suite = \"bookworm\""),
        with("suite = \"trixie\"", "suite = \"sid\""),
        with("suite = \"trixie\"", "suite = \"stable\""),
        with("suite = \"trixie\"", "suite = \"trixie-backports\""),
        with("suite = \"trixie\"", "suite = \"trixie-security\""),
        with("suite = \"trixie\"", "suite = \"noble\""),
        with("architecture = \"amd64\"", "architecture = \"sparc\""),
        with("epoch = 1760000000", "epoch = 2025-10-09"),
        with("extends = \"base\"", "extends = \"nothing\""),
        with("extends = \"base\"", "extends = \"../base\""),
        with("extends = \"base\"", "extends = [\"base\"]"),
    ];
    insta::assert_snapshot!("errors_of_form", all.join("\n\n"));
}

/// Whoever has made several mistakes hears of all of them, in the order of the file.
#[test]
fn several_mistakes_are_told_in_one_run() {
    let said = error(
        "[image]\nname = \"x\"\nversion = \"1\"\nhostnam = \"y\"\n\n[pakages]\ninclude = []\n\n\
         [network.lan]\ndhpc = true\n\n[firewall]\nallow = [{ prot = 443, port = 443 }]\n\n\
         [containers.web]\npackages = [\"busybox\"]\ncommand = [\"true\"]\nlimits = { memory = \"64\", pid = 1 }\n\n\
         [containers.db]\ncommand = [\"true\"]\nDB_PASSWORD = \"hunter2hunter2\"\n\n[state]\nminimum = \"1\"\n",
    );
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!("several_mistakes", said);
    let many = (0..30).map(|n| format!("key{n} = 1\n")).collect::<String>();
    let said = error(&format!("{many}[image]\nname = \"x\"\nversion = \"1\"\n"));
    assert_eq!(said.matches("error: ").count(), 21);
    assert!(said.contains("10 further mistakes are not shown"), "{said}");
}

#[test]
fn errors_of_text_show_the_line() {
    let all = [
        error(""),
        error("[image]\nname = \"x\"\n"),
        error("image = 3\n"),
        with("[packages]", "[packages"),
        with("[packages]", "[image]"),
        with("epoch = 1760000000", "epoch = 99999999999999999999999"),
        with("name = \"full\"", "name = \"fu\0ll\""),
        error(&format!("[image]\nname = \"{}\"\nversion = \"1\"\n", "x".repeat(300))),
        error(&format!("a = {}1{}\n", "[".repeat(5000), "]".repeat(5000))),
    ];
    insta::assert_snapshot!("errors_of_text", all.join("\n\n"));
}

#[test]
fn a_circle_of_profiles_ends() {
    let mut load = |name: &str| {
        let next = if name == "b" { "c" } else { "a" };
        Ok(Loaded { file: format!("profiles/{name}.toml"), text: format!("extends = \"{next}\"\n") })
    };
    let error = parse("extends = \"b\"\n", "profiles/a.toml", &mut load).unwrap_err().to_string();
    insta::assert_snapshot!("circle", error);
    let mut endless = 0;
    let mut load = |name: &str| {
        endless += 1;
        Ok(Loaded { file: format!("profiles/{name}.toml"), text: format!("extends = \"p{endless}\"\n") })
    };
    assert!(parse("extends = \"p\"\n", "profiles/a.toml", &mut load).is_err());
}

#[test]
fn large_text_and_a_byte_order_mark() {
    let begun = std::time::Instant::now();
    assert!(error(&"# x\n".repeat(25 << 20)).contains("too large"));
    assert!(begun.elapsed().as_secs() < 5);
    parse(&format!("\u{feff}{FULL}"), "profiles/full.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn joining_follows_its_rule() {
    let over = "extends = \"base\"\n[image]\nname = \"x\"\n[firewall]\nallow = [{ port = 80, listener = \"nginx\" }]\n[network.ethernet]\ndns = [\"192.0.2.1\"]\n";
    let (recipe, _) = parse(over, "x.toml", &mut shipped).unwrap();
    assert_eq!(recipe.image.version, "1", "the base's, where nothing is said");
    let ids: Vec<String> = recipe.firewall.allow.iter().map(|a| a.id()).collect();
    assert_eq!(ids, ["tcp_22", "tcp_80"], "lists grow");
    assert!(recipe.network["ethernet"].dhcp_ipv4 && recipe.network["ethernet"].dns == ["192.0.2.1"]);
}

#[test]
fn depth_ends_in_an_error() {
    let header = format!("[{}]\n", vec!["a"; 200_000].join("."));
    let dotted = format!("{} = 1\n", vec!["a"; 200_000].join("."));
    let inline = format!("a = {}1{}\n", "{ a = ".repeat(20_000), " }".repeat(20_000));
    for text in [header, dotted, inline] {
        assert!(error(&text).contains("recurs"), "{}", error(&text));
    }
}
