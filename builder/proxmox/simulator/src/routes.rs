//! What each call answers from the world, and does to it.

use crate::cluster_config;
use crate::download;
use crate::endpoints::Endpoint;
use crate::multipart::UploadForm;
use crate::params::Params;
use crate::reply::{ApiReply, ok, parameters, refuse};
use crate::vms;
use crate::world::{Storage, World};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn answer(
    call: &Endpoint,
    given: &Params,
    sent: Option<UploadForm>,
    who: &str,
    world: &mut World,
) -> ApiReply {
    let of = |name: &str| given.get(name);
    if let Some(node) = of("node")
        && !world.nodes.get(node).is_some_and(|n| n.online)
    {
        let known = world.nodes.contains_key(node);
        return if known {
            refuse(595, "No route to host")
        } else {
            refuse(500, format!("hostname lookup '{node}' failed"))
        };
    }
    match (call.method, call.path) {
        ("GET", "/version") => {
            let release: Vec<_> = world.version.split('.').take(2).collect();
            ok(json!({ "version": world.version, "release": release.join("."), "repoid": "0307225d" }))
        }
        ("POST", "/access/ticket") => ticket(given, world),
        ("GET", "/access/permissions") => {
            // Without a path: every one at which something is granted.
            let paths = of("path").map_or(world.grants.keys().map(String::as_str).collect(), |path| vec![path]);
            let granted = |path: &str| -> serde_json::Map<_, _> {
                world.privileges(path).into_iter().map(|name| (name, json!(1))).collect()
            };
            let all = paths.into_iter().map(|path| (path.to_owned(), granted(path)));
            // Where nothing is granted the path itself is left out.
            let all = all.filter(|(_, names)| !names.is_empty()).map(|(path, names)| (path, json!(names)));
            ok(Value::Object(all.collect()))
        }
        ("GET", "/nodes") => {
            let one = |(name, node): (&String, &crate::ClusterNode)| {
                let status = if node.online { "online" } else { "offline" };
                json!({ "node": name, "status": status, "type": "node", "id": format!("node/{name}"),
                        "maxmem": 64u64 << 30, "mem": 8u64 << 30 })
            };
            let all = world.nodes.iter().map(one).collect();
            ok(world.any_order(all).into())
        }
        ("GET", "/nodes/{node}/storage") => {
            // A login that may not see a storage is told nothing of it, and no error either.
            let sees = |name: &str| {
                let granted = world.privileges(&format!("/storage/{name}"));
                granted.contains("Datastore.Audit") || granted.contains("Datastore.AllocateSpace")
            };
            let all = world.storages.iter().filter(|(name, _)| sees(name)).map(|(name, s)| storage(name, s)).collect();
            ok(world.any_order(all).into())
        }
        ("GET", "/nodes/{node}/network") => {
            let node = &world.nodes[of("node").unwrap_or_default()];
            let one = |(name, up): (&String, &bool)| match up {
                true => json!({ "iface": name, "type": "bridge", "active": 1, "autostart": 1 }),
                false => json!({ "iface": name, "type": "bridge", "autostart": 1 }),
            };
            let bridges = node.bridges.iter();
            let sees = |name: &str| !world.privileges(&format!("/sdn/zones/localnetwork/{name}")).is_empty();
            ok(bridges.filter(|(name, _)| sees(name)).map(one).collect())
        }
        // What is at its default is left out.
        ("GET", "/cluster/firewall/options") => ok(if world.firewall {
            json!({ "enable": 1, "digest": "da39a3ee" })
        } else {
            json!({ "digest": "da39a3ee" })
        }),
        ("GET", "/cluster/nextid") => match of("vmid").map(|id| id.parse::<u64>().unwrap_or(0)) {
            Some(id) if world.machines.contains_key(&id) => {
                parameters(&[("vmid".into(), format!("VM {id} already exists"))])
            }
            Some(id) => ok(json!(id.to_string())),
            // A string, though the schema says integer.
            None => ok(json!((100..).find(|id| !world.machines.contains_key(id)).unwrap_or(100).to_string())),
        },
        ("GET", "/cluster/resources") => {
            // A login sees the machines that it may look at.
            let sees = |id: &u64| world.privileges(&format!("/vms/{id}")).contains("VM.Audit");
            let one = |(id, m): (&u64, &crate::VirtualMachine)| {
                let of = |key: &str| m.config.get(key).cloned().unwrap_or_default();
                // The name comes with the node's own report of what it runs, every ten seconds.
                let name = m.config.get("name").filter(|_| world.clock >= m.created + Duration::from_secs(10));
                json!({ "id": format!("qemu/{id}"), "vmid": id, "type": "qemu", "node": m.node, "name": name,
                        "tags": of("tags"), "status": if m.running { "running" } else { "stopped" }, "template": 0,
                        "hastate": world.cluster.resources.get(id).and_then(|r| r.get("state")) })
            };
            let all = world.machines.iter().filter(|(id, _)| sees(id)).map(one).collect();
            ok(world.any_order(all).into())
        }
        ("GET", "/pools") => {
            let sees = |pool: &&String| world.privileges(&format!("/pool/{pool}")).contains("Pool.Audit");
            ok(world.pools.iter().filter(sees).map(|pool| json!({ "poolid": pool })).collect())
        }
        ("POST", "/nodes/{node}/storage/{storage}/upload") => upload(given, sent, who, world),
        ("POST", "/nodes/{node}/storage/{storage}/download-url") => download::begin(given, who, world),
        ("GET", "/nodes/{node}/storage/{storage}/content") => {
            let name = of("storage").unwrap_or_default();
            let Some(storage) = world.storages.get(name) else { return unknown(name) };
            let kind = |volume: &str| match vms::owner(volume) {
                Some(_) => "images".to_owned(),
                None => volume.split('/').next().unwrap_or_default().to_owned(),
            };
            let wanted = |volume: &str| {
                let of_vm = of("vmid").is_none_or(|id| vms::owner(volume).is_some_and(|owner| owner.to_string() == id));
                of_vm && of("content").is_none_or(|content| content == kind(volume))
            };
            let one = |(volume, (size, _)): (&String, &(u64, _))| {
                let format = volume.rsplit_once('.').map_or("raw", |(_, ending)| ending);
                json!({ "volid": format!("{name}:{volume}"), "content": kind(volume), "size": size, "format": format,
                        "ctime": 1_700_000_000 })
            };
            let all = storage.files.iter().filter(|(volume, _)| wanted(volume)).map(one).collect();
            ok(world.any_order(all).into())
        }
        ("DELETE", "/nodes/{node}/storage/{storage}/content/{volume}") => remove(given, who, world),
        ("GET", "/nodes/{node}/tasks") => {
            let wanted = |task: &&crate::Task| task.looks > 0 && of("vmid").is_none_or(|id| task.id == id);
            let all = world.tasks.iter().filter(|(_, task)| wanted(task));
            ok(all.map(|(upid, task)| json!({ "upid": upid, "type": task.kind, "id": task.id })).collect())
        }
        ("GET", "/nodes/{node}/tasks/{upid}/status") => {
            let upid = of("upid").unwrap_or_default().to_owned();
            let Some(task) = world.tasks.get_mut(&upid) else {
                return parameters(&[("upid".into(), "no such task".into())]);
            };
            let mut status = json!({ "upid": upid, "node": of("node"), "type": task.kind, "id": task.id, "user": who,
                                     "starttime": 1_700_000_000, "pid": 4711, "pstart": 1 });
            if task.looks > 0 {
                task.looks -= 1;
                status["status"] = json!("running");
            } else {
                status["status"] = json!("stopped");
                status["exitstatus"] = json!(task.exit);
                if let Some(machine) = world.unlocks.remove(&upid).and_then(|id| world.machines.get_mut(&id)) {
                    machine.config.remove("lock");
                }
            }
            ok(status)
        }
        ("GET", "/nodes/{node}/tasks/{upid}/log") => {
            let Some(task) = world.tasks.get(of("upid").unwrap_or_default()) else {
                return parameters(&[("upid".into(), "no such task".into())]);
            };
            let number = |name, or| of(name).and_then(|n| n.parse::<usize>().ok()).unwrap_or(or);
            let numbered = task.log.iter().enumerate().map(|(i, line)| json!({ "n": i + 1, "t": line }));
            let some: Vec<_> = numbered.skip(number("start", 0)).take(number("limit", 50)).collect();
            // Where there is nothing, one line says so.
            ok(if some.is_empty() { json!([{ "n": 1, "t": "no content" }]) } else { json!(some) })
        }
        ("DELETE", "/nodes/{node}/tasks/{upid}") => {
            let Some(task) = world.tasks.get_mut(of("upid").unwrap_or_default()) else {
                return parameters(&[("upid".into(), "no such task".into())]);
            };
            (task.looks, task.exit) = (0, "received interrupt".into());
            ok(Value::Null)
        }
        (_, path) if path.starts_with("/cluster/") => cluster_config::answer(call, given, world),
        _ => vms::answer(call, given, who, world),
    }
}

fn unknown(storage: &str) -> ApiReply {
    refuse(500, format!("storage '{storage}' does not exist"))
}

fn storage(name: &str, s: &Storage) -> Value {
    let flag = |b: bool| if b { 1 } else { 0 };
    json!({ "storage": name, "type": s.kind, "content": s.content, "active": flag(s.active), "enabled": 1,
            "shared": flag(s.shared), "total": s.total, "avail": s.free, "used": s.total - s.free })
}

fn ticket(given: &Params, world: &mut World) -> ApiReply {
    let (user, password) = (given.get("username"), given.get("password").unwrap_or_default());
    // A ticket is as good as the password, while it is valid.
    let known = password == crate::USER.1 || world.tickets.contains(password);
    if user != Some(crate::USER.0) || !known {
        // Unlike a request that is not logged in, a login that fails is answered by the call itself: with a body.
        let message = "authentication failure";
        return Some((401, message.into(), json!({ "data": null, "message": format!("{message}\n") })));
    }
    world.ticket += 1;
    if world.second_factor {
        return ok(
            json!({ "ticket": "PVE:!tfa!challenge", "NeedTFA": 1, "username": user, "CSRFPreventionToken": "x" }),
        );
    }
    let ticket = format!("PVE:{}:{}", crate::USER.0, world.ticket);
    world.tickets.insert(ticket.clone());
    ok(json!({ "CSRFPreventionToken": format!("csrf-{ticket}"), "ticket": ticket, "username": user, "cap": {} }))
}

fn upload(given: &Params, sent: Option<UploadForm>, who: &str, world: &mut World) -> ApiReply {
    let of = |name: &str| given.get(name).unwrap_or_default();
    let Some(sent) = sent else { return refuse(500, "no file") };
    let (name, content, file) = (of("storage"), of("content"), of("filename"));
    let Some(storage) = world.storages.get_mut(name) else { return unknown(name) };
    if !storage.content.split(',').any(|c| c == content) {
        return refuse(500, format!("storage '{name}' does not support '{content}' content"));
    }
    let endings: &[&str] = if content == "import" { &[".ova", ".qcow2", ".raw", ".vmdk"] } else { &[".iso", ".img"] };
    if !endings.iter().any(|end| file.ends_with(end)) {
        return parameters(&[("filename".into(), "wrong file extension".into())]);
    }
    if given.get("checksum").is_some() != given.get("checksum-algorithm").is_some() {
        return parameters(&[("checksum".into(), "missing dependency".into())]);
    }
    // The checksum is compared in the task, not in the call.
    let got = sent.digest.to_string();
    let wrong = given.get("checksum").is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&got));
    let full = sent.size > storage.free;
    if !wrong && !full {
        storage.free -= sent.size;
        storage.files.insert(format!("{content}/{file}"), (sent.size, sent.digest));
        if let Some(hardware) = &world.hardware {
            let to = hardware.place(name, &format!("{content}/{file}"));
            std::fs::rename(hardware.place("", "upload"), to).expect("an upload can be put in its place");
        }
    }
    let (node, wanted) = (of("node").to_owned(), of("checksum").to_owned());
    let upid = world.task(&node, "imgcopy", "", who);
    let task = world.tasks.get_mut(&upid).expect("begun a moment ago");
    task.log.push(format!("starting file import from: a temporary file, {} bytes", sent.size));
    if wrong {
        task.exit = format!("checksum mismatch: got '{got}' != expect '{wanted}'");
    } else if full {
        task.exit = "import failed: cp: error writing: No space left on device".into();
    }
    let end = if task.exit == "OK" { "TASK OK".into() } else { format!("TASK ERROR: {}", task.exit) };
    task.log.push(end);
    ok(json!(upid))
}

fn remove(given: &Params, who: &str, world: &mut World) -> ApiReply {
    let of = |name: &str| given.get(name).unwrap_or_default();
    let (name, volid) = (of("storage").to_owned(), of("volume"));
    let volume = volid.strip_prefix(&format!("{name}:")).unwrap_or(volid).to_owned();
    // More than an upload needs: to remove a file one must administrate the storage.
    if !world.privileges(&format!("/storage/{name}")).contains("Datastore.Allocate") {
        return refuse(403, format!("Permission check failed (/storage/{name}, Datastore.Allocate)"));
    }
    if !world.storages.contains_key(&name) {
        return unknown(&name);
    }
    world.destroy(&format!("{name}:{volume}"));
    let node = of("node").to_owned();
    let upid = world.task(&node, "imgdel", &format!("{name}@{volume}"), who);
    ok(json!(upid))
}
