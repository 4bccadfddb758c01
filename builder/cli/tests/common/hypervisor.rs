//! A hypervisor of the host's own for the simulator: disks are files, machines run in QEMU, each with a lab of its own
//! around it, and their guest agents are asked through the port that Proxmox VE gives them.

use crate::common::material;
use diorite_host::tools::{Tool, ToolsTree};
use diorite_lab::{Config, Lab};
use diorite_machine::{Accelerator, Boot, Machine, MachineHardware, MachineSpec, Second, accel, credentials};
use diorite_proxmox_simulator::Hardware;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// What is done with the machines: by one thread, because QEMU ends with the thread that has started it.
type Work = Box<dyn FnOnce(&mut BTreeMap<u64, Running>) + Send>;

/// Disks below a directory, and machines.
#[derive(Debug)]
pub struct Qemu {
    directory: PathBuf,
    tools: ToolsTree,
    accelerator: Accelerator,
    work: Mutex<Sender<Work>>,
}

struct Running {
    machine: Machine,
    lab: Lab,
    agent: PathBuf,
    /// Its shell has said its first word.
    ready: bool,
    /// Its disks: what was written to it is put into them when it ends.
    disks: [PathBuf; 2],
}

/// Questions so far: each has a number of its own.
static ASKED: AtomicU64 = AtomicU64::new(1);

/// How long an agent is waited for: as Proxmox VE does.
const AGENT: Duration = Duration::from_secs(3);

impl Qemu {
    pub fn new(directory: &Path) -> Self {
        let (sender, jobs) = channel::<Work>();
        std::thread::spawn(move || {
            let mut running = BTreeMap::new();
            for job in jobs {
                job(&mut running);
            }
        });
        Self {
            directory: directory.to_owned(),
            tools: ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree"),
            accelerator: accel::probe().expect("an accelerator"),
            work: Mutex::new(sender),
        }
    }

    fn with<T: Send + 'static>(&self, job: impl FnOnce(&mut BTreeMap<u64, Running>) -> T + Send + 'static) -> T {
        let (reply, answer) = channel();
        let job: Work = Box::new(move |running| drop(reply.send(job(running))));
        self.work.lock().expect("the thread").send(job).expect("the thread");
        answer.recv().expect("the thread answers")
    }

    /// Asks a shell in the machine, which a credential has brought in: the tests' way in, nobody else's.
    pub fn shell(&self, id: u64, command: &'static str) -> String {
        self.with(move |running| {
            let Running { machine, lab, ready, .. } = running.get_mut(&id).expect("the machine runs");
            let mut watch = machine.watch(|| lab.frames());
            // It says its first word once.
            if !std::mem::replace(ready, true) {
                machine.wait_shell(&mut watch).expect("the machine comes up");
            }
            machine.run(command, &mut watch).unwrap_or_else(|e| panic!("{command}: {e}")).text
        })
    }
}

/// `local:vm-100-disk-0,discard=on` → storage and name.
fn volume(config: &BTreeMap<String, String>, slot: &str) -> Option<(String, String)> {
    let (storage, name) = config.get(slot)?.split(',').next()?.split_once(':')?;
    Some((storage.to_owned(), name.to_owned()))
}

impl Hardware for Qemu {
    fn place(&self, storage: &str, name: &str) -> PathBuf {
        let place = self.directory.join("storage").join(storage).join(name);
        fs::create_dir_all(place.parent().expect("a directory")).expect("a directory");
        place
    }

    fn import(&self, from: &Path, to: &Path) -> Result<(), String> {
        let convert = self.tools.command(Tool::QemuImg).args(["convert", "-f", "qcow2", "-O", "raw"]).arg(from).arg(to);
        convert.input(from).output(to.parent().expect("a directory")).run_ok().map(drop).map_err(|e| e.to_string())
    }

    fn start(&self, id: u64, config: &BTreeMap<String, String>) -> Result<(), String> {
        let place = |slot| volume(config, slot).map(|(storage, name)| self.place(&storage, &name));
        let (Some(system), Some(state)) = (place("scsi0"), place("scsi1")) else {
            return Err("a disk is missing".into());
        };
        let of = |key: &str, name: &str| {
            config.get(key).and_then(|v| v.split(',').find_map(|p| p.strip_prefix(name))).unwrap_or_default().to_owned()
        };
        let directory = self.directory.join(format!("machine-{id}"));
        // What the last one wrote is in the disks.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).map_err(|e| e.to_string())?;
        let (near, far) = UnixStream::pair().map_err(|e| e.to_string())?;
        let agent = directory.join("agent");
        let spec = MachineSpec {
            hardware: MachineHardware::default(),
            tools: self.tools.clone(),
            accelerator: self.accelerator.clone(),
            disk: system.clone(),
            second: Some(Second::Holding(state.clone())),
            data: Vec::new(),
            disc: place("scsi2"),
            tpm: None,
            boot: Boot::Firmware,
            memory: config["memory"].parse().map_err(|_| "no memory")?,
            cpus: config["cores"].parse().map_err(|_| "no cores")?,
            uuid: Some(of("smbios1", "uuid=")),
            credentials: credentials::shell(),
            network: vec![far.into()],
            macs: vec![of("net0", "virtio=").to_ascii_lowercase()],
            directory,
        };
        self.with(move |running| {
            let lab = Lab::start_with(Config::default(), vec![near.into()]).map_err(|e| e.to_string())?;
            let machine = Machine::start(spec).map_err(|e| e.to_string())?;
            let address = json!({ "type": "unix", "data": { "path": agent.display().to_string() } });
            let data = json!({ "addr": address, "server": true, "wait": false });
            let backend = json!({ "type": "socket", "data": data });
            machine.qmp("chardev-add", json!({ "id": "agent", "backend": backend })).map_err(|e| e.to_string())?;
            let port = json!({ "driver": "virtserialport", "id": "agent", "chardev": "agent", "name": "org.qemu.guest_agent.0" });
            machine.qmp("device_add", port).map_err(|e| e.to_string())?;
            running.insert(id, Running { machine, lab, agent, ready: false, disks: [system, state] });
            Ok(())
        })
    }

    fn stop(&self, id: u64, orderly: bool) {
        let tools = self.tools.clone();
        self.with(move |running| {
            let Some(Running { machine, disks, lab, .. }) = running.remove(&id) else { return };
            if orderly && machine.power_button().is_ok() {
                let end = Instant::now() + Duration::from_secs(90);
                while machine.ended().is_none() && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            let written = machine.written();
            let (_, left) = machine.leave();
            left.expect("what the machine wrote stays");
            drop(lab);
            for (overlay, disk) in written.iter().zip(&disks) {
                let directory = |path: &Path| path.parent().expect("a directory").to_owned();
                let commit = tools.command(Tool::QemuImg).args(["commit", "-q"]).arg(overlay);
                commit
                    .output(directory(overlay))
                    .output(directory(disk))
                    .run_ok()
                    .expect("the disk takes what was written");
            }
        });
    }

    fn agent(&self, id: u64, command: &str) -> Result<Value, String> {
        let command = match command {
            "ping" => "guest-ping",
            "network-get-interfaces" => "guest-network-get-interfaces",
            other => panic!("{other} is not asked"),
        };
        self.with(move |running| {
            let silent = || "QEMU guest agent is not running".to_owned();
            let machine = running.get(&id).ok_or_else(silent)?;
            asked(&machine.agent, command).ok_or_else(silent)
        })
    }
}

/// An agent's answer. What an earlier question left in the port is skipped (guest-sync-delimited in qemu-ga-ref(7)).
fn asked(socket: &Path, command: &str) -> Option<Value> {
    let mut port = UnixStream::connect(socket).ok()?;
    port.set_read_timeout(Some(AGENT)).ok()?;
    let id = ASKED.fetch_add(1, Relaxed);
    let sync = json!({ "execute": "guest-sync-delimited", "arguments": { "id": id } });
    port.write_all(format!("{sync}\n{}\n", json!({ "execute": command })).as_bytes()).ok()?;
    let mut lines = BufReader::new(port);
    let mut next = || -> Option<Value> {
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).ok().filter(|n| *n > 0)?;
        let text = line.rsplit(|b| *b == 0xff).next().unwrap_or(&line);
        Some(serde_json::from_slice(text).unwrap_or(Value::Null))
    };
    while next()?["return"] != json!(id) {}
    Some(next()?["return"].clone())
}
