//! Images that a node fetches from this program by itself; and what happens where it cannot.

mod common;

use common::case::Case;
use common::{client_with, environment, limits, steady, target};
use diorite_host::progress::Progress;
use diorite_model::{Digest, Exit};
use diorite_proxmox::ClientLimits;
use diorite_proxmox::check::{FindingSeverity, check};
use diorite_proxmox::download::DownloadResult;
use diorite_proxmox::target::Serve;
use diorite_proxmox::upload::{Upload, UploadContent};
use diorite_proxmox_simulator::{LoggedRequest, Simulator, World};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const FETCH: &str = "/nodes/pve1/storage/local/download-url";
const UPLOAD: &str = "/nodes/pve1/storage/local/upload";

/// A world whose login may have nodes fetch.
fn world() -> World {
    let mut world = World::new();
    world.grant("/nodes/pve1", "Sys.AccessNetwork");
    world
}

fn asked(simulator: &Simulator, path: &str) -> Vec<LoggedRequest> {
    simulator.requests().into_iter().filter(|asked| asked.path == path && asked.method == "POST").collect()
}

#[test]
fn a_node_fetches_the_image() {
    let case = Case::of(world(), "serve = \"auto\"");
    for version in [1, 2, 2] {
        case.deploy(version).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(case.runs(), version);
    }
    // What is there is not fetched again, and nothing is uploaded.
    let fetched = asked(&case.simulator, FETCH);
    assert_eq!((fetched.len(), asked(&case.simulator, UPLOAD).len()), (2, 0));
    for (version, asked) in [1, 2].into_iter().zip(fetched) {
        let of = |name: &str| asked.parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        assert_eq!(of("checksum"), Some(case.digest(version).to_string()));
        assert_eq!((of("checksum-algorithm"), of("content")), (Some("sha256".into()), Some("import".into())));
        let name = of("filename").expect("a name");
        assert!(name.contains(&case.raw(version).short(12)), "{name}");
        // Served for as long as it was fetched.
        let url = of("url").expect("a URL");
        let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("a host");
        assert!(TcpStream::connect(host).is_err(), "{url}");
    }
}

#[test]
fn the_older_privileges_suffice() {
    let mut world = World::new();
    world.grant("/", "Sys.Modify");
    let case = Case::of(world, "serve = \"auto\"");
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(asked(&case.simulator, FETCH).len(), 1);
}

/// The reason why it is not fetched; the image gets there all the same.
fn uploaded(case: &Case) -> DownloadResult {
    let serve = case.client.target().serve.clone().expect("it is wished for");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "abc").expect("written");
    let digest = Digest::of(b"abc");
    let upload =
        Upload { node: "pve1", storage: "local", content: UploadContent::Import, name: "x.qcow2", size: 3, digest };
    let outcome = case.client.download(&upload, file.path(), &serve, &Progress::quiet());
    assert!(!case.simulator.world().storages["local"].files.contains_key("import/x.qcow2"));
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((case.runs(), asked(&case.simulator, UPLOAD).len()), (1, 1));
    outcome.unwrap_or_else(|e| panic!("{}", e.into_error()))
}

fn not(outcome: DownloadResult) -> String {
    match outcome {
        DownloadResult::Unavailable(why) => why,
        DownloadResult::Present => panic!("it was fetched"),
    }
}

#[test]
fn without_the_privilege_it_is_uploaded() {
    let case = Case::of(World::new(), "serve = \"auto\"");
    assert_eq!(not(uploaded(&case)), "deploy@pve!ci has no Sys.AccessNetwork at /nodes/pve1");
    assert!(asked(&case.simulator, FETCH).is_empty());
}

#[test]
fn where_it_cannot_be_served_it_is_uploaded() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let case = Case::of(world(), &format!("serve = \"auto:{port}\""));
    let why = not(uploaded(&case));
    assert!(why.starts_with("this host cannot serve it: Address already in use"), "{why}");
}

#[test]
fn where_the_node_finds_nobody_it_is_uploaded() {
    // Nobody has this address: no connection can be made to all of a network.
    let case = Case::of(world(), "serve = \"255.255.255.255\"");
    let why = not(uploaded(&case));
    assert!(why.contains("http://255.255.255.255:") && why.ends_with("exit code 4"), "{why}");
    assert_eq!(asked(&case.simulator, FETCH).len(), 2);
}

#[test]
fn where_nobody_comes_it_is_uploaded() {
    let mut case = Case::of(world(), "serve = \"auto\"");
    case.simulator.world().cut_off = true;
    let short = ClientLimits { connect: Duration::from_secs(1), ..limits() };
    case.client = client_with(&case.simulator.url(), "serve = \"auto\"", &environment, short);
    let why = not(uploaded(&case));
    assert!(why.starts_with("no connection to 127.0.0.1:") && why.contains("within 1 seconds"), "{why}");
    // What goes on trying is ended.
    let tasks = &case.simulator.world().tasks;
    let downloads: Vec<_> = tasks.values().filter(|task| task.kind == "download").collect();
    assert!(downloads.len() == 2 && downloads.iter().all(|task| task.exit == "received interrupt"), "{downloads:?}");
}

#[test]
fn other_bytes_are_refused() {
    let case = Case::of(world(), "serve = \"auto\"");
    let error = case.with(1, |d| {
        let file = d.file.expect("a file");
        let other = std::fs::read(file).expect("the image").iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
        std::fs::write(file, other).expect("written");
        d.deploy(&case.desired(1))
    });
    let error = error.expect_err("these are other bytes");
    assert_eq!(error.exit, Exit::Remote);
    let text = steady(&error);
    assert!(text.contains("checksum mismatch: got '") && text.contains(&case.digest(1).to_string()), "{text}");
    let world = case.simulator.world();
    assert!(world.storages["local"].files.is_empty() && world.machines.is_empty());
    drop(world);
    assert!(asked(&case.simulator, UPLOAD).is_empty(), "they are not sent another way");
    // The right ones are taken.
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn a_broken_file_of_that_name_is_overwritten() {
    let case = Case::of(world(), "serve = \"auto\"");
    let name = format!("import/{}", case.desired(1).file.expect("a file").name);
    let broken = (3, Digest::of(b"abc"));
    case.simulator.world().storages.get_mut("local").expect("local").files.insert(name, broken);
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((case.runs(), asked(&case.simulator, UPLOAD).len()), (1, 1));
}

#[test]
fn killed_while_it_is_fetched_the_next_run_ends_the_same() {
    let calm = Case::new();
    calm.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let case = Case::of(world(), "serve = \"auto\"");
    case.simulator.vanish_after(1);
    case.deploy(1).expect_err("nobody answers");
    assert_eq!(asked(&case.simulator, FETCH).len(), 1);
    case.simulator.mend();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(case.picture(), calm.picture());
}

#[test]
fn a_check_names_the_privilege_where_it_is_wished_for() {
    let checked = |world: World, more: &str| {
        let simulator = Simulator::http(world);
        let report =
            check(&client_with(&simulator.url(), more, &environment, limits()), &Default::default()).expect("a report");
        assert_eq!(report.problems().count(), 0, "{report}");
        let about: Vec<_> = report.findings.into_iter().filter(|f| f.what.contains("images from this host")).collect();
        let looked = simulator.requests().iter().any(|a| a.parameters.iter().any(|(_, value)| value == "/nodes/pve1"));
        (about, looked)
    };
    assert_eq!(checked(World::new(), ""), (vec![], false));
    let (about, _) = checked(World::new(), "serve = \"auto\"");
    assert_eq!((about.len(), about[0].level), (1, FindingSeverity::Note));
    let missing = "privilege Sys.AccessNetwork at /nodes/pve1 is missing: deploy@pve!ci cannot";
    assert!(about[0].what.starts_with(missing), "{}", about[0].what);
    assert!(about[0].hint.contains("pveum acl modify /nodes/pve1 --tokens 'deploy@pve!ci'"), "{}", about[0].hint);
    let (about, _) = checked(world(), "serve = \"auto\"");
    assert_eq!((about.len(), about[0].level), (1, FindingSeverity::Ok));
}

#[test]
fn where_it_is_served() {
    let serve =
        |text: &str| target("https://pve.example.org", &format!("serve = \"{text}\"")).serve.expect("it is said");
    let of = |host: Option<&str>, port| Serve { host: host.map(str::to_owned), port };
    assert_eq!(serve("auto"), of(None, 0));
    assert_eq!(serve("auto:8099"), of(None, 8099));
    assert_eq!(serve("build.example.org"), of(Some("build.example.org"), 0));
    assert_eq!(serve("192.0.2.7:8099"), of(Some("192.0.2.7"), 8099));
    assert_eq!(serve("[2001:db8::7]:8099"), of(Some("[2001:db8::7]"), 8099));
    assert_eq!(serve("[2001:db8::7]"), of(Some("[2001:db8::7]"), 0));
    for wrong in ["", "auto:", "auto:0", "auto:99999", "http://a", "a/b", "[a]:1", "2001:db8::7", "-a"] {
        let text = common::described("https://pve.example.org", &format!("serve = \"{wrong}\""));
        let parsed = diorite_proxmox::target::parse(&text, "targets.toml", std::path::Path::new("."), None);
        let error = parsed.expect_err(wrong);
        assert!(error.exit == Exit::Input && error.to_string().contains("serve"), "{wrong}: {error}");
    }
}
