//! Every call, failing in every way: a clear error, no hang, nothing repeated that may have been carried out.

mod common;

use common::{client, client_with, environment, limits, simulator};
use diorite_host::progress::Progress;
use diorite_model::{Digest, Error, Exit};
use diorite_proxmox::client::{CallError, CallErrorKind, Method, Parameters, Path};
use diorite_proxmox::task;
use diorite_proxmox::upload::{Upload, UploadContent};
use diorite_proxmox::{Client, ClientLimits};
use diorite_proxmox_simulator::endpoints::{ENDPOINTS, Endpoint, Returns, Type, UNRECORDED};
use diorite_proxmox_simulator::{ApiFault, Simulator, VirtualMachine, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const BYTES: &[u8] = b"a disk image, nearly";

/// A simulator in which this call of the table is well.
fn furnished(call: &Endpoint) -> (Simulator, String) {
    let simulator = simulator();
    let mut world = simulator.world();
    world.grant("/storage/local", "Datastore.Allocate");
    world.grant("/nodes/pve1", "Sys.AccessNetwork");
    let image = (0, Digest::of(BYTES));
    world.storages.get_mut("local-zfs").expect("a storage").files.insert("vm-100-disk-0".into(), image);
    let keys = [("scsi0", "local-zfs:vm-100-disk-0"), ("agent", "enabled=1"), ("net0", "virtio=BC:24:11:00:00:64")];
    let rule = BTreeMap::from([("type".to_owned(), "in".to_owned())]);
    let machine = VirtualMachine {
        node: "pve1".into(),
        pool: Some("school".into()),
        running: call.path.contains("/agent/"),
        config: keys.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        rules: vec![rule.clone(), rule],
        sets: call.path.contains("{name}").then(|| ("1".to_owned(), Default::default())).into_iter().collect(),
        ..VirtualMachine::default()
    };
    world.machines.insert(102, VirtualMachine { config: Default::default(), ..machine.clone() });
    world.machines.insert(100, machine);
    clustered(&mut world, call);
    let task = world.task("pve1", "imgcopy", "", "deploy@pve!ci");
    drop(world);
    (simulator, task)
}

/// What the calls about the cluster need besides.
fn clustered(world: &mut World, call: &Endpoint) {
    if !call.path.starts_with("/cluster/ha") && !call.path.starts_with(UNRECORDED) {
        return;
    }
    world.grant("/", "Sys.Console");
    world.grant("/pool/school", "VM.Replicate");
    if call.path.contains("groups") {
        world.version = "8.4.1".into();
    }
    world.nodes.insert("pve2".into(), world.nodes["pve1"].clone());
    let there = || BTreeMap::from([("1".to_owned(), BTreeMap::from([("resources".into(), "vm:100".into())]))]);
    if call.path.contains("{rule}") {
        world.cluster.rules = there();
    }
    if call.path.contains("{group}") {
        world.cluster.groups = there();
    }
    if call.path.contains("{id}") {
        world.cluster.jobs.insert("100-0".into(), BTreeMap::new());
    }
    if call.path.contains("{sid}") || call.path.contains("rules") {
        world.cluster.resources.insert(100, BTreeMap::new());
    }
}

/// Asks this call as it should be asked.
fn ask(client: &Client, call: &Endpoint, upid: &str) -> Result<Value, CallError> {
    if call.path.ends_with("/upload") {
        let upload = Upload {
            node: "pve1",
            storage: "local",
            content: UploadContent::Import,
            name: "x.qcow2",
            size: BYTES.len() as u64,
            digest: Digest::of(BYTES),
        };
        return client.upload(&upload, &mut &BYTES[..], &Progress::quiet()).map(|t| Value::from(t.to_string()));
    }
    let value = |name: &str| match name {
        "node" => "pve1",
        "storage" => "local",
        "vmid" if call.path == "/nodes/{node}/qemu" => "101",
        "vmid" => "100",
        "disk" => "scsi0",
        "upid" => upid,
        "volume" => "local:import/y.qcow2",
        "username" => diorite_proxmox_simulator::USER.0,
        "password" => diorite_proxmox_simulator::USER.1,
        "sid" | "resources" => "vm:100",
        "id" => "100-0",
        "target" => "pve2",
        "nodes" => "pve1",
        "type" if call.path.contains("rules") && call.path.starts_with("/cluster") => "node-affinity",
        "type" if call.path == "/cluster/replication" => "local",
        "url" => "http://127.0.0.1:1/x.qcow2",
        "content" => "import",
        "filename" => "x.qcow2",
        "type" => "in",
        "action" => "ACCEPT",
        _ => "1",
    };
    let names: Vec<&str> = call.path.split('/').skip(1).collect();
    let names = names.iter().map(|n| n.strip_prefix('{').and_then(|n| n.strip_suffix('}')).map_or(*n, value));
    let inside = |name: &str| call.path.contains(&format!("{{{name}}}"));
    let mut parameters = Parameters::none();
    for (name, kind, needed) in call.parameters {
        if *needed && !inside(name) {
            assert_ne!(*kind, Type::Boolean);
            parameters = parameters.text(*name, value(name));
        }
    }
    if call.path.starts_with("/cluster/ha/rules") && matches!(call.method, "POST" | "PUT") {
        parameters = parameters.text("nodes", "pve1");
    }
    if call.path == "/nodes/{node}/qemu" {
        parameters = parameters.text("pool", "school");
    }
    if call.path.ends_with("/move_disk") {
        parameters = parameters.text("target-vmid", "102").text("target-disk", "unused0");
    }
    let method = match call.method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        other => panic!("{other}"),
    };
    client.call(method, &Path::new(names), &parameters)
}

/// How often this very call came.
fn came(simulator: &Simulator, call: &Endpoint) -> usize {
    let depth = call.path.split('/').count();
    let first = call.path.split('{').next().expect("a beginning");
    let last = call.path.rsplit('}').next().expect("an end");
    let mine = |asked: &&diorite_proxmox_simulator::LoggedRequest| {
        asked.method == call.method
            && asked.path.starts_with(first)
            && asked.path.ends_with(last)
            && asked.path.split('/').count() == depth
    };
    simulator.requests().iter().filter(mine).count()
}

/// Every call ends in this fault, again and again. `expect` gets the call, the failure, and how often it was asked.
fn each(fault: &ApiFault, limits: ClientLimits, expect: impl Fn(&Endpoint, &CallError, usize)) {
    for call in ENDPOINTS {
        let (simulator, upid) = furnished(call);
        simulator.fail(call.method, call.path, fault.clone(), usize::MAX);
        let client = client_with(&simulator.url(), "", &environment, limits);
        let name = format!("{} {}", call.method, call.path);
        let begun = Instant::now();
        let failure = ask(&client, call, &upid).expect_err(&name);
        assert!(begun.elapsed() < Duration::from_secs(30), "{name} hangs");
        expect(call, &failure, came(&simulator, call));
        let error = Error::from(failure);
        assert_eq!(error.exit, Exit::Remote, "{name}");
        let text = error.to_string();
        assert!(text.contains("`school`") && text.contains("because") && text.contains(&simulator.url()), "{text}");
        assert!(
            text.contains(call.method) && text.contains(call.path.split('{').next().expect("a beginning")),
            "{text}"
        );
        // It was the fault, and nothing else.
        let (simulator, upid) = furnished(call);
        let client = client_with(&simulator.url(), "", &environment, common::limits());
        ask(&client, call, &upid).unwrap_or_else(|e| panic!("{name}: {}", Error::from(e)));
    }
}

/// What may be asked again is, as often as the limits say; anything else once.
fn repeated(call: &Endpoint, times: usize) {
    assert_eq!(times, if call.method == "GET" { 3 } else { 1 }, "{} {}", call.method, call.path);
}

#[test]
fn forbidden() {
    each(&ApiFault::Status(403), limits(), |call, failure, times| {
        assert_eq!((failure.kind, failure.status, times), (CallErrorKind::Forbidden, Some(403), 1), "{}", call.path);
        assert!(failure.why.contains("Permission check failed"), "{failure:?}");
    });
}

#[test]
fn died() {
    each(&ApiFault::Status(500), limits(), |call, failure, times| {
        assert_eq!((failure.kind, failure.status, times), (CallErrorKind::Refused, Some(500), 1), "{}", call.path);
        assert_eq!(failure.why, "internal error: something died");
    });
}

#[test]
fn a_node_that_cannot_be_reached_by_the_other() {
    each(&ApiFault::Status(595), limits(), |call, failure, times| {
        // The connection between the nodes never was: nothing can have been carried out.
        assert_eq!((failure.kind, failure.unclear), (CallErrorKind::Unavailable, false));
        assert_eq!(failure.why, "No route to host", "from the status line: there is no body");
        if !call.path.ends_with("/upload") {
            assert_eq!(times, 3, "{}", call.path);
        }
    });
}

#[test]
fn gave_up_after_thirty_seconds() {
    each(&ApiFault::LateAnswer, limits(), |call, failure, times| {
        assert_eq!(
            (failure.kind, failure.unclear),
            (CallErrorKind::Unavailable, call.method != "GET"),
            "{}",
            call.path
        );
        repeated(call, times);
    });
}

#[test]
fn silence() {
    each(&ApiFault::Silence, ClientLimits { stall: Duration::from_millis(250), ..limits() }, |call, failure, times| {
        assert_eq!(
            (failure.kind, failure.unclear),
            (CallErrorKind::TimedOut, call.method != "GET"),
            "{} {failure:?}",
            call.path
        );
        repeated(call, times);
    });
}

#[test]
fn cut_before() {
    each(&ApiFault::Cut, limits(), |call, failure, times| {
        assert_eq!(
            (failure.kind, failure.unclear),
            (CallErrorKind::Cut, call.method != "GET"),
            "{} {failure:?}",
            call.path
        );
        repeated(call, times);
    });
}

#[test]
fn cut_after() {
    for call in ENDPOINTS {
        let (simulator, upid) = furnished(call);
        simulator.fail(call.method, call.path, ApiFault::CutAfter, 1);
        let answer = ask(&client(&simulator), call, &upid);
        match call.method {
            "GET" => drop(answer.unwrap_or_else(|e| panic!("{}: {}", call.path, Error::from(e)))),
            _ => {
                let failure = answer.expect_err(call.path);
                assert!(failure.unclear, "{failure:?}");
                assert_eq!(came(&simulator, call), 1, "{} may have been carried out, and was", call.path);
                assert!(Error::from(failure).to_string().contains("it may have been carried out all the same"));
            }
        }
    }
}

#[test]
fn locks() {
    for fault in [ApiFault::Lock, ApiFault::Locked("clone")] {
        let limits = ClientLimits { lock: Duration::from_millis(40), pause: Duration::from_millis(2), ..limits() };
        each(&fault, limits, |call, failure, times| {
            assert_eq!(failure.kind, CallErrorKind::Locked, "{} {failure:?}", call.path);
            assert!(!failure.unclear);
            // An upload cannot be turned back; the caller asks anew.
            assert!(times > 1 || call.path.ends_with("/upload"), "{} is waited for", call.path);
        });
    }
}

#[test]
fn a_lock_that_is_let_go() {
    for call in ENDPOINTS.iter().filter(|call| !call.path.ends_with("/upload")) {
        let (simulator, upid) = furnished(call);
        simulator.fail(call.method, call.path, ApiFault::Lock, 4);
        let client =
            client_with(&simulator.url(), "", &environment, ClientLimits { lock: Duration::from_secs(20), ..limits() });
        ask(&client, call, &upid).unwrap_or_else(|e| panic!("{}: {}", call.path, Error::from(e)));
        assert_eq!(came(&simulator, call), 5, "{}", call.path);
    }
}

#[test]
fn tasks_that_fail() {
    let mut seen = 0;
    for call in ENDPOINTS.iter().filter(|call| call.returns == Returns::Task) {
        let (simulator, upid) = furnished(call);
        simulator.fail(call.method, call.path, ApiFault::Task("storage is gone".into()), 1);
        let client = client(&simulator);
        let answer = ask(&client, call, &upid).unwrap_or_else(|e| panic!("{}: {}", call.path, Error::from(e)));
        let path = Path::new(["nodes"]);
        let task = task::of_answer(&client, Method::Post, &path, &answer).expect("a task");
        let failure = client.wait(&task, "the work", &Progress::quiet()).expect_err("it fails");
        assert_eq!((failure.kind, failure.why.as_str()), (CallErrorKind::Task, "storage is gone"));
        assert!(failure.log.iter().any(|line| line == "TASK ERROR: storage is gone"), "{:?}", failure.log);
        let text = Error::from(failure).to_string();
        assert!(text.contains("| TASK ERROR: storage is gone") && text.contains("the work (UPID:pve1:"), "{text}");
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn a_task_that_warns_and_one_that_hangs() {
    let (simulator, upid) = furnished(&ENDPOINTS[0]);
    let task = upid.parse().expect("a task");
    simulator.world().tasks.get_mut(&upid).expect("the task").exit = "WARNINGS: 1".into();
    simulator.world().tasks.get_mut(&upid).expect("the task").log.push("WARN: no such key".into());
    let ended = client(&simulator).wait(&task, "work", &Progress::quiet()).expect("it ends well");
    assert_eq!(ended, task::TaskOutcome::WithWarnings(vec!["WARN: no such key".into()]));

    simulator.world().tasks.get_mut(&upid).expect("the task").looks = u32::MAX;
    let hurried = ClientLimits { silence: Duration::from_millis(60), ..limits() };
    let client = client_with(&simulator.url(), "", &environment, hurried);
    let failure = client.wait(&task, "work", &Progress::quiet()).expect_err("it hangs");
    assert!(failure.kind == CallErrorKind::TimedOut && failure.unclear, "{failure:?}");
    client.stop(&task).expect("it is ended");
    let failure = client.wait(&task, "work", &Progress::quiet()).expect_err("it was interrupted");
    assert_eq!(failure.why, "received interrupt");
}

#[test]
fn texts() {
    let (simulator, upid) = furnished(&ENDPOINTS[0]);
    let mut all = Vec::new();
    let upload = ENDPOINTS.iter().find(|c| c.path.ends_with("/upload")).expect("the upload");
    let remove = ENDPOINTS.iter().find(|c| c.method == "DELETE" && c.path.contains("/content/")).expect("the removal");
    let nodes = ENDPOINTS.iter().find(|c| c.path == "/nodes").expect("the nodes");
    for (call, fault) in [
        (nodes, ApiFault::Status(403)),
        (nodes, ApiFault::Status(500)),
        (nodes, ApiFault::Status(501)),
        (nodes, ApiFault::Cut),
        (upload, ApiFault::LateAnswer),
        (upload, ApiFault::Cut),
        (remove, ApiFault::Status(595)),
        (remove, ApiFault::Locked("clone")),
        (remove, ApiFault::Lock),
    ] {
        simulator.fail(call.method, call.path, fault, usize::MAX);
        let short = ClientLimits { lock: Duration::from_millis(10), ..limits() };
        let client = client_with(&simulator.url(), "", &environment, short);
        let mut failure = ask(&client, call, &upid).expect_err("it fails");
        if failure.kind == CallErrorKind::Locked {
            // How often depends on the host's speed.
            failure.attempts = 1;
        }
        all.push(common::steady(&Error::from(failure)));
        simulator.mend();
    }
    let wrong = Parameters::none().text("colour", "green");
    let failure = client(&simulator).get(&Path::new(["nodes"]), &wrong).expect_err("there is no such parameter");
    all.push(common::steady(&Error::from(failure)));
    insta::assert_snapshot!(all.join("\n"));
}
