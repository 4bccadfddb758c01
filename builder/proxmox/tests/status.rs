//! What runs, by the hypervisor's word and by the machine's own.

mod common;

use common::case::Case;
use diorite_host::progress::Progress;
use diorite_model::Digest;
use diorite_proxmox::status::{MachineStatus, MetricsSource, status};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// A node-exporter that says this once.
fn exporter(text: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let _ = stream.read(&mut [0; 4096]).expect("a request");
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len())
            .expect("an answer");
    });
    port
}

#[test]
fn values_that_are_not_those_of_the_profile_are_a_finding() {
    let mut case = Case::new();
    case.values = Some("address 1".into());
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let ask = |case: &Case| -> MachineStatus {
        status(&case.client, &[case.desired(1)], None, &Progress::quiet()).unwrap_or_else(|e| panic!("{e}")).remove(0)
    };
    assert!(!ask(&case).differs(), "{:?}", ask(&case).drift);
    case.values = Some("address 2".into());
    assert!(ask(&case).drift[0].starts_with("config drive: local:iso/diorite-web-"), "{:?}", ask(&case).drift);
    // Nobody fetched the secrets: they are not compared.
    case.values = None;
    assert!(!ask(&case).differs());
}

#[test]
fn a_machine_says_what_it_runs() {
    let case = Case::new();
    case.deploy(1).unwrap_or_else(|e| panic!("{e}"));
    let (right, wrong) = (Digest::of(b"root"), Digest::of(b"another root"));
    let ask = |port: u16| -> MachineStatus {
        let metrics = Some(MetricsSource { port, root_hash: right });
        let all = status(&case.client, &[case.desired(1)], metrics, &Progress::quiet());
        all.unwrap_or_else(|e| panic!("{e}")).remove(0)
    };
    let page = |root: Digest| {
        format!(
            "diorite_image_info{{name=\"server\",root_hash=\"{root}\",slot=\"a\",version=\"1\"}} 1\ndiorite_boot_blessed 1\n\
             diorite_container_active{{name=\"app\"}} 0\n"
        )
    };
    let machine = ask(exporter(page(right)));
    let said = machine.says.clone().expect("it says something");
    assert_eq!((said.version.as_str(), said.blessed, said.containers["app"]), ("1", Some(true), false));
    assert!(!machine.differs(), "{:?}", machine.drift);

    // The notes name one disk, and the machine runs from another.
    let machine = ask(exporter(page(wrong)));
    assert!(machine.differs() && machine.drift[0].contains(&format!("it reports {wrong}")), "{:?}", machine.drift);

    let machine = ask(exporter("node_load1 0.2\n".into()));
    assert!(machine.unheard.expect("it says nothing").contains("does not say which image runs"));
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let machine = ask(closed);
    assert!(machine.says.is_none() && !machine.drift.iter().any(|d| d.contains("root hash")));
    assert!(machine.unheard.is_some_and(|why| why.contains(&format!("127.0.0.1 port {closed}"))));
}
