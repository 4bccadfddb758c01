//! A simulator for clients that are not ours, which judge it in turn: `cargo run --example serve -- PORT CA.pem`, until
//! stdin ends. It has what `World::new` has, and machine 100.

use diorite_proxmox_simulator::{Simulator, TOKEN, TestCertificate, VirtualMachine, World};
use std::io::Read as _;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|p| p.parse().ok()).unwrap_or(0);
    let certificate = TestCertificate::new();
    if let Some(file) = arguments.next() {
        std::fs::write(file, certificate.authority()).expect("the authority's file can be written");
    }
    let mut world = World::new();
    world.grant("/storage/local", "Datastore.Allocate");
    world
        .machines
        .insert(100, VirtualMachine { node: "pve1".into(), pool: Some("school".into()), ..VirtualMachine::default() });
    let simulator = Simulator::at_port(world, Some(&certificate), port);
    println!("{} {TOKEN}", simulator.url());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
