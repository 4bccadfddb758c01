"""What an administrator's own script would ask of a Proxmox VE host, in proxmoxer's words; against the simulator.

Arguments: the simulator's port, the file of its certificate authority, API token, user, password, a directory.
"""

import os
import sys

from proxmoxer import AuthenticationError, ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

PORT, AUTHORITY, TOKEN, USER, PASSWORD, DIRECTORY = sys.argv[1:]
HOST = f"127.0.0.1:{PORT}"


def by_token(token):
    who, secret = token.split("=")
    user, name = who.split("!")
    return ProxmoxAPI(HOST, user=user, token_name=name, token_value=secret, verify_ssl=AUTHORITY, timeout=60)


def by_password(password):
    return ProxmoxAPI(HOST, user=USER, password=password, verify_ssl=AUTHORITY, timeout=60)


def refused(status, words, ask, **errors):
    """Asks, and is refused with this status, these words, and these errors about parameters."""
    try:
        answer = ask()
    except ResourceException as e:
        assert e.status_code == status, e
        assert words in e.content, e
        for name, why in errors.items():
            assert why in e.errors[name.replace("_", "-")], e.errors
        return
    raise AssertionError(f"answered instead of {status}: {answer}")


def done(api, upid, kind):
    """Waits for a task, which must be of this kind and end well."""
    assert Tasks.decode_upid(upid)["type"] == kind, upid
    status = Tasks.blocking_status(api, upid, timeout=60, polling_interval=0.01)
    assert status["exitstatus"] == "OK", status
    log = Tasks.decode_log(api.nodes(status["node"]).tasks(upid).log.get())
    assert kind in log, log


def file(name, size):
    path = os.path.join(DIRECTORY, name)
    with open(path, "wb") as out:
        out.write(bytes(range(256)) * (size // 256))
    return open(path, "rb")


def told(chapter):
    print(chapter, flush=True)


# By token.
api = by_token(TOKEN)
node = api.nodes("pve1")
version = api.version.get()
assert version["version"].startswith(version["release"]), version
assert [(n["node"], n["status"]) for n in api.nodes.get()] == [("pve1", "online")]
storages = {s["storage"]: s for s in node.storage.get()}
assert "import" in storages["local"]["content"].split(",") and storages["local"]["avail"] > 0, storages
assert "images" in storages["local-zfs"]["content"].split(","), storages
granted = api.access.permissions.get(path="/storage/local")
assert granted["/storage/local"]["Datastore.AllocateTemplate"] == 1, granted
every = api.access.permissions.get()
assert every["/pool/school"]["VM.Allocate"] == 1 and every["/storage/local"] == granted["/storage/local"], every
told("looked around")

# Uploads: a small one is sent in one piece, one of more than 10 MiB by requests-toolbelt.
imports = node.storage("local")
for name, size in [("small.qcow2", 64 << 10), ("large.qcow2", 11 << 20)]:
    with file(name, size) as image:
        done(api, imports.upload.post(content="import", filename=image), "imgcopy")
volumes = {v["volid"]: v["size"] for v in imports.content.get(content="import")}
assert volumes == {"local:import/small.qcow2": 64 << 10, "local:import/large.qcow2": 11 << 20}, volumes
with file("wrong.qcow2", 256) as image:
    sum = {"checksum-algorithm": "sha256", "checksum": "00" * 32}
    upid = imports.upload.post(content="import", filename=image, **sum)
status = Tasks.blocking_status(api, upid, polling_interval=0.01)
assert status["exitstatus"].startswith("checksum mismatch"), status
told("uploaded")

# A machine, from nothing to nothing.
keys = {
    "name": "second", "pool": "school", "memory": 512, "cores": 1, "scsihw": "virtio-scsi-single",
    "agent": "enabled=1", "net0": "virtio,bridge=vmbr0,firewall=1", "boot": "order=scsi0",
    "tags": "web;school", "hotplug": "network,usb",
}
disk = "local-zfs:0,import-from=local:import/large.qcow2,discard=on,serial=one"
done(api, node.qemu.post(vmid=101, scsi0=disk, **keys), "qmcreate")
refused(500, "already exists", lambda: node.qemu.post(vmid=101, name="again", pool="school"))
vm = node.qemu(101)
config = vm.config.get()
assert config["scsi0"].startswith("local-zfs:vm-101-disk-0,") and "serial=one" in config["scsi0"], config
assert config["tags"] == "school;web", config["tags"]
assert config["net0"].startswith("virtio="), config["net0"]
done(api, vm.config.post(cores=2, description="a & b; c = d\nä"), "qmconfig")
assert vm.config.get()["description"] == "a & b; c = d\nä"
done(api, vm.status.start.post(), "qmstart")
assert vm.status.current.get()["status"] == "running"
assert vm.agent.ping.post() == {"result": {}}
told("made and started")

# What is changed while it runs waits, and can be taken back.
before = vm.config.get()["digest"]
done(api, vm.config.post(memory="1024", digest=before), "qmconfig")
refused(500, "checksum mismatch", lambda: vm.config.post(memory="2048", digest=before))
waiting = {entry["key"]: entry for entry in vm.pending.get()}
assert (waiting["memory"]["value"], waiting["memory"]["pending"]) == ("512", "1024"), waiting["memory"]
assert "pending" not in waiting["cores"], waiting["cores"]
assert vm.config.get()["memory"] == "1024" and vm.config.get(current=1)["memory"] == "512"
done(api, vm.config.post(revert="memory"), "qmconfig")
assert vm.config.get()["memory"] == "512"
told("changed")

# Rules go on top, wherever they are wished to be, and are off.
rules = vm.firewall.rules
for port in ["80", "443"]:
    rules.post(type="in", action="ACCEPT", proto="tcp", dport=port, pos=5)
rules.post(type="in", action="ACCEPT", proto="tcp", dport="22", enable=1)
shown = [(r["pos"], r["dport"], r["enable"]) for r in rules.get()]
assert shown == [(0, "22", 1), (1, "443", 0), (2, "80", 0)], shown
rules(1).delete()
assert [r["dport"] for r in rules.get()] == ["22", "80"]
vm.firewall.options.put(enable=1, policy_in="DROP")
assert vm.firewall.options.get()["policy_in"] == "DROP"
told("guarded")

# Its disk becomes another machine's.
done(api, node.qemu.post(vmid=102, name="heir", pool="school", memory=512), "qmcreate")
where = {"disk": "scsi0", "target-vmid": 102, "target-disk": "unused3"}
refused(500, "running", lambda: vm.move_disk.post(**where))
done(api, vm.status.shutdown.post(timeout=5, forceStop=1), "qmshutdown")
done(api, vm.move_disk.post(**where), "qmmove")
assert "scsi0" not in vm.config.get()
assert node.qemu(102).config.get()["unused3"] == "local-zfs:vm-102-disk-0"
done(api, vm.delete(purge=1), "qmdestroy")
assert [m["vmid"] for m in api.cluster.resources.get(type="vm")] == [102]
told("handed over")

# Refusals, as exceptions of proxmoxer's.
refused(500, "Configuration file 'nodes/pve1/qemu-server/101.conf' does not exist", vm.config.get)
refused(400, "Parameter verification failed", lambda: node.qemu(102).config.post(colour="red"),
        colour="not defined in schema")
refused(400, "Parameter verification failed", lambda: node.qemu(102).move_disk.post(**{"target-vmid": "x"}),
        disk="not optional", target_vmid="integer")
refused(403, "Permission check failed (/storage/local-zfs, Datastore.AllocateTemplate)",
        lambda: node.storage("local-zfs").upload.post(content="import", filename=file("no.qcow2", 256)))
refused(501, "not implemented", api.cluster.nothing.get)
refused(401, "Authentication failed!", by_token(TOKEN[:-1] + "1").version.get)
told("refused")

# By password: a ticket, and a token against forgery with everything but a question.
try:
    by_password("wrong")
    raise AssertionError("logged in with a wrong password")
except AuthenticationError:
    pass
api = by_password(PASSWORD)
ticket, guard = api.get_tokens()
assert ticket.startswith(f"PVE:{USER}:") and guard, ticket
heir = api.nodes("pve1").qemu(102)
done(api, heir.config.post(name="second"), "qmconfig")
api._backend.auth.csrf_prevention_token = "forged"
refused(401, "invalid csrf token", lambda: heir.config.post(name="third"))
assert heir.config.get()["name"] == "second"
with file("by-ticket.qcow2", 256) as image:
    done(api, api.nodes("pve1").storage("local").upload.post(content="import", filename=image), "imgcopy")
told("logged in")
