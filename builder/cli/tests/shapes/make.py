"""Container images of the shapes that other people's tools write, and what an unpacker that is not ours makes of them.

    make.py DIRECTORY PROGRAM...

PROGRAM is how to run GNU tar. For each shape DIRECTORY gets NAME.tar, the image, and NAME.json: `tree`, the lines of the
tree that it must become, and `config`, or `error`, words of the refusal. Layers are written by tarfile and GNU tar; `tree`
is what tarfile reads in them, laid over each other as the OCI image specification (layer.md) says, in two passes: what
a layer takes away, then what it brings.
"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile

OUT, TAR = pathlib.Path(sys.argv[1]), sys.argv[2:]
GNU, PAX, USTAR = tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT
TYPES = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "p": tarfile.FIFOTYPE,
         "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE}


def layer(*members, format=PAX):
    """(kind, path, content or target, fields) → a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, encoding="utf-8", errors="surrogateescape") as tar:
        for kind, path, *rest in members:
            text, fields = (list(rest) + ["", {}][len(rest):])
            member = tarfile.TarInfo(path)
            member.type, member.mode, member.mtime = TYPES[kind], 0o755 if kind == "d" else 0o644, 1_700_000_000
            body = b""
            if kind == "f":
                body = text if isinstance(text, bytes) else text.encode()
            elif kind in "lh":
                member.linkname = text
            member.size = len(body)
            for name, value in fields.items():
                setattr(member, name, value)
            tar.addfile(member, io.BytesIO(body))
    return out.getvalue()


def sparse(format, *options):
    """A file with a hole of a megabyte, as GNU tar packs it."""
    place = OUT / "sparse"
    place.mkdir(exist_ok=True)
    with open(place / "data", "wb") as file:
        file.write(b"begin")
        file.seek(1 << 20)
        file.write(b"end")
    command = [*TAR, "--create", "--sparse", "--hole-detection=raw", f"--format={format}", *options]
    return subprocess.run([*command, "--mtime=@1700000000", "--owner=7", "--group=8", "--mode=644", "-C", place, "data"],
                          stdout=subprocess.PIPE, check=True).stdout


def by_gnu_tar(format, names):
    """Files with these names, packed by GNU tar."""
    place = OUT / "names"
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("x")
    command = [*TAR, "--create", f"--format={format}", "--mtime=@1700000000", "--owner=7", "--group=8", "--mode=644"]
    return subprocess.run([*command, "-C", place, *names], stdout=subprocess.PIPE, check=True).stdout


# --- the unpacker


def parts(path):
    return tuple(p for p in path.split("/") if p not in ("", "."))


def resolve(tree, path):
    """A directory's real path: links in the way are followed inside the tree. Missing directories are made."""
    done, left, links = (), list(path), 0
    while left:
        part = left.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        done += (part,)
        node = tree.setdefault(done, dict(kind="d", mode=0o755, uid=0, gid=0, mtime=0, xattrs={}))
        if node["kind"] == "l":
            links += 1
            assert links < 40
            start = () if node["target"].startswith("/") else done[:-1]
            done, left = start, list(parts(node["target"])) + left
    return done


def remove(tree, path):
    for other in [p for p in tree if p[:len(path)] == path]:
        del tree[other]


def unpack(layers):
    tree, files = {}, 0
    for bytes in layers:
        with tarfile.open(fileobj=io.BytesIO(bytes), encoding="utf-8", errors="surrogateescape") as tar:
            members = [(parts(m.name), m, tar.extractfile(m).read() if m.isreg() else b"") for m in tar]
        for path, _, _ in members:
            name = path[-1] if path else ""
            if name == ".wh..wh..opq":
                directory = path[:-1]
                for other in [p for p in tree if p[:len(directory)] == directory and p != directory]:
                    del tree[other]
            elif name.startswith(".wh.") and not name.startswith(".wh..wh."):
                if path[:-1] == () or path[:-1] in tree:
                    remove(tree, path[:-1] + (name[4:],))
        for path, member, body in members:
            if path and path[-1].startswith(".wh."):
                continue
            path = resolve(tree, path[:-1]) + path[-1:]
            if member.ischr() or member.isblk():  # left out; /dev is the runtime's
                continue
            node = dict(mode=member.mode & 0o7777, uid=member.uid, gid=member.gid, mtime=int(member.mtime))
            node["xattrs"] = {k[len("SCHILY.xattr."):]: v for k, v in member.pax_headers.items()
                              if k == "SCHILY.xattr.security.capability" or k.startswith("SCHILY.xattr.user.")}
            if member.isdir():
                node["kind"] = "d"
            elif member.issym():
                node.update(kind="l", target=member.linkname, mode=0o777)
            elif member.isfifo():
                node["kind"] = "p"
            elif member.islnk():
                target = parts(member.linkname)
                node = tree[resolve(tree, target[:-1]) + target[-1:]]
            else:
                files += 1
                node.update(kind="f", body=body, inode=files)
            if not (member.isdir() and tree.get(path, {}).get("kind") == "d"):
                remove(tree, path)
            tree[path] = node
    return lines(tree)


def quoted(path):
    raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
    return "".join(chr(b) if 33 <= b < 127 and b != 92 else f"\\x{b:02x}" for b in raw)


def lines(tree):
    first, out = {}, []
    named = ((("/".join(p)).encode("utf-8", "surrogateescape"), n) for p, n in tree.items() if p)
    for path, node in sorted(named, key=lambda pair: pair[0]):
        if node["kind"] == "f" and node["inode"] in first:
            out.append(f"{quoted(path)} h {first[node['inode']]}")
            continue
        what = {"f": lambda: hashlib.sha256(node["body"]).hexdigest(), "l": lambda: quoted(node["target"])}
        text = what.get(node["kind"], lambda: "-")()
        if node["kind"] == "f":
            first[node["inode"]] = quoted(path)
        attributes = ",".join(f"{k}={quoted(v)}" for k, v in sorted(node["xattrs"].items()))
        out.append(f"{quoted(path)} {node['kind']} {node['mode']:o} {node['uid']}:{node['gid']} {node['mtime']} {text} "
                   f"[{attributes}]")
    return out


# --- images around layers


def sha256(bytes):
    return hashlib.sha256(bytes).hexdigest()


def archive(files):
    return layer(*[("l", n, b) if isinstance(b, str) else ("f", n, b) for n, b in files], format=USTAR)


def configuration(layers, config, **more):
    ids = [f"sha256:{sha256(l)}" for l in layers]
    return json.dumps({"architecture": "amd64", "os": "linux", "config": config, "created": "2026-01-02T03:04:05.678Z",
                       "history": [{"created_by": "x", "empty_layer": True}] * 2,
                       "rootfs": {"type": "layers", "diff_ids": ids}, **more}).encode()


def oci(layers, config, pack=lambda l: l, media="tar", wrap=None, more={}, extra=(), name="vnd.oci.image"):
    """As `skopeo copy … oci-archive:`, `buildah push`, umoci and buildx write it."""
    blobs, packed = {}, [pack(l) for l in layers]

    def blob(bytes, kind, **fields):
        blobs[f"blobs/sha256/{sha256(bytes)}"] = bytes
        return {"mediaType": f"application/{kind}", "digest": f"sha256:{sha256(bytes)}", "size": len(bytes), **fields}

    text = configuration(layers, config, **more)
    manifest = json.dumps({"schemaVersion": 2, "mediaType": f"application/{name}.manifest.v1+json",
                           "config": blob(text, f"{name}.config.v1+json"),
                           "layers": [blob(p, f"{name}.layer.v1.{media}") for p in packed]}).encode()
    here = blob(manifest, f"{name}.manifest.v1+json")
    index = wrap(here, blob) if wrap else [here]
    top = json.dumps({"schemaVersion": 2, "manifests": index}).encode()
    return archive([("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", top), *blobs.items(), *extra])


def docker(layers, config, name=lambda l: f"{sha256(l)}/layer.tar", stored=None, extra=lambda l: (), tags=("app:1",)):
    """As `docker save` and `skopeo copy … docker-archive:` write it."""
    text = configuration(layers, config)
    listed = [{"Config": f"{sha256(text)}.json", "RepoTags": list(tags), "Layers": [name(l) for l in layers]}]
    files = {(stored or name)(l): l for l in layers}
    return archive([*files.items(), *[e for l in layers for e in extra(l)], (f"{sha256(text)}.json", text),
                    ("manifest.json", json.dumps(listed).encode()), ("repositories", b"{}")])


def platform(here, architecture="amd64", **fields):
    return {**here, "platform": {"os": "linux", "architecture": architecture, **fields}}


BASE = layer(("d", "etc/"), ("f", "etc/passwd", "root:x:0:0::/root:/bin/sh\n"), ("d", "usr/"), ("d", "usr/bin/"),
             ("l", "bin", "usr/bin"), ("f", "usr/bin/app", "app", {"mode": 0o4755}), ("f", "usr/bin/tool", "tool"))
ENTRY = {"Entrypoint": ["/usr/bin/app"]}
CAP = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".decode("latin-1")
LONG = "deep/" + "d" * 90 + "/" + "e" * 120 + "/" + "f" * 200

SHAPES = {}


def shape(name, layers, /, make=docker, config=ENTRY, error=None, has=(), lacks=(), **options):
    (OUT / f"{name}.tar").write_bytes(make(layers, config, **options))
    tree = None if error else unpack(layers)
    paths = {line.split(" ")[0] for line in tree or []}
    assert set(has) <= paths and not set(lacks) & paths, (name, paths)
    SHAPES[name] = {"tree": tree, "config": config or {}, "error": error}


def main():
    # Whiteouts.
    shape("whiteout", [BASE, layer(("f", "usr/bin/.wh.tool"))], has=["usr/bin/app"], lacks=["usr/bin/tool"])
    shape("whiteout-before", [BASE, layer(("f", "usr/bin/.wh.tool"), ("f", "usr/bin/tool", "new"))], has=["usr/bin/tool"])
    shape("whiteout-after", [BASE, layer(("f", "usr/bin/tool", "new"), ("f", "usr/bin/.wh.tool"))], has=["usr/bin/tool"])
    shape("whiteout-directory", [BASE, layer(("f", ".wh.usr"))], lacks=["usr", "usr/bin", "usr/bin/app"], has=["bin"])
    shape("opaque-first", [BASE, layer(("d", "usr/bin"), ("f", "usr/bin/.wh..wh..opq"), ("f", "usr/bin/new", "n"))],
          has=["usr/bin/new"], lacks=["usr/bin/app", "usr/bin/tool"])
    shape("opaque-last", [BASE, layer(("d", "usr/bin"), ("f", "usr/bin/new", "n"), ("f", "usr/bin/.wh..wh..opq"))],
          has=["usr/bin/new"], lacks=["usr/bin/app", "usr/bin/tool"])
    shape("whiteout-of-nothing", [BASE, layer(("f", "opt/.wh.x"), ("f", "etc/.wh.none"))], lacks=["opt"])
    shape("aufs", [BASE, layer(("d", ".wh..wh.plnk"), ("f", ".wh..wh.aufs"))])
    # Links.
    shape("hard-links", [layer(("f", "b", "1"), ("h", "a", "b"), ("h", "d/c", "./b"))], has=["a", "b", "d/c"])
    shape("hard-link-across", [BASE, layer(("h", "usr/bin/second", "usr/bin/app"))], has=["usr/bin/second"])
    shape("hard-link-outlives", [layer(("f", "a", "1"), ("h", "b", "a")), layer(("f", ".wh.a"))], has=["b"], lacks=["a"])
    shape("hard-link-to-link", [layer(("f", "x", "1"), ("l", "s", "x"), ("h", "t", "s"))], has=["t"])
    shape("absolute-link", [layer(("d", "usr"), ("l", "abs", "/usr")), layer(("f", "abs/x", "1"))], has=["usr/x"])
    shape("below-a-link", [BASE, layer(("f", "bin/new", "1"), ("f", "bin/.wh.none"))], has=["usr/bin/new"])
    shape("directory-over-link", [BASE, layer(("d", "bin"), ("f", "bin/own", "1"))], has=["bin/own"], lacks=["usr/bin/own"])
    shape("link-over-directory", [BASE, layer(("l", "etc", "usr/etc"))], lacks=["etc/passwd"])
    shape("links-that-climb", [layer(("d", "usr"), ("l", "up", "../../../usr")), layer(("f", "up/x", "1"))], has=["usr/x"])
    shape("links-to-nowhere", [layer(("l", "none", "/not/there"), ("l", "self", "self"))], has=["none", "self"])
    # Entries.
    shape("duplicates", [layer(("f", "a", "1"), ("f", "a", "2"), ("d", "d"), ("d", "d", "", {"mode": 0o700}))], has=["a"])
    shape("file-then-directory", [layer(("f", "a", "1")), layer(("d", "a"), ("f", "a/b", "2"))], has=["a/b"])
    shape("no-directories", [layer(("f", "very/deep/file", "1"))], has=["very/deep"])
    shape("root-entry", [layer(("d", "./", "", {"mode": 0o755}), ("f", "./a", "1"), ("f", "/b", "2"))], has=["a", "b"])
    shape("devices", [layer(("c", "dev/null"), ("b", "dev/sda"), ("p", "pipe"), ("f", "x", "1"))], has=["pipe", "x"])
    shape("empty-layers", [b"\0" * 1024, BASE, b"\0" * 10240, layer()])
    shape("many-layers", [BASE] + [layer(("f", f"many/{i:03}", str(i))) for i in range(200)], has=["many/199"])
    shape("capabilities", [layer(("f", "ping", "1", {"pax_headers": {
        "SCHILY.xattr.security.capability": CAP, "SCHILY.xattr.user.note": "x=y", "SCHILY.xattr.security.selinux": "z",
        "LIBARCHIVE.xattr.user.other": "eA=="}}))], has=["ping"])
    shape("long-pax", [layer(("f", LONG, "1"), ("l", "link", LONG), ("h", "hard/" + "h" * 150, LONG))], has=[LONG])
    shape("long-gnu", [layer(("f", LONG, "1"), ("l", "link", LONG), ("h", "hard/" + "h" * 150, LONG), format=GNU)], has=[LONG])
    shape("long-ustar", [layer(("f", "p" * 120 + "/" + "n" * 90, "1"), format=USTAR)])
    shape("gnu-tar-names", [by_gnu_tar("gnu", ["n" * 200, "ä ö", "tab\tnew\nline", "star*[x]"]),
                            by_gnu_tar("posix", ["u" * 180, "日本"])])
    shape("not-utf8", [layer(("f", "caf\udce9", "1"), format=GNU)], has=["caf\\xe9"])
    shape("v7-directory", [layer(("d", "old", "", {"type": tarfile.AREGTYPE, "name": "old/"}), ("f", "old/x", "1"), format=USTAR)],
          has=["old/x"])
    shape("sparse-gnu", [sparse("gnu")], has=["data"])
    shape("sparse-posix", [sparse("posix")], has=["data"])
    shape("sparse-posix-0.1", [sparse("posix", "--sparse-version=0.1")], has=["data"])
    shape("sparse-posix-0.0", [sparse("posix", "--sparse-version=0.0")], has=["data"])
    shape("large-ids", [layer(("f", "a", "1", {"uid": 70000, "gid": 4_000_000_000})),
                        layer(("f", "b", "1", {"uid": 70000, "gid": 4_000_000_000}), format=GNU)], has=["a", "b"])
    shape("old-times", [layer(("f", "a", "1", {"mtime": 0}), ("f", "b", "1", {"mtime": 1.75}), ("f", "c", "1", {"mtime": 9e9}))])
    shape("before-1970", [layer(("f", "a", "1", {"mtime": -86400}))])
    shape("before-1970-gnu", [layer(("f", "a", "1", {"mtime": -86400}), format=GNU)])
    # What means harm.
    for name, member in {"dots": ("f", "../evil", "x"), "dots-inside": ("f", "a/../../evil", "x"), "dots-absolute": ("f", "/../x"),
                         "dots-whiteout": ("f", "a/.wh..."), "dots-hard-link": ("h", "a", "../../etc/passwd")}.items():
        shape(name, [BASE, layer(member)], error="not a path inside an image")
    shape("hard-link-to-none", [layer(("h", "a", "none"))], error="a hard link to `none`, which is not there")
    shape("file-in-a-file", [layer(("f", "a", "1"), ("f", "a/b", "2"))], error="`a` is not a directory")
    # Archives.
    def linked(l):
        place = sha256(l)[:12]
        return [(f"{place}/layer.tar", f"../{sha256(l)}.tar"), (f"{place}/VERSION", b"1.0"), (f"{place}/json", b"{}")]

    shape("docker-1.10", [BASE, BASE], extra=lambda l: [(f"{sha256(l)}/VERSION", b"1.0"), (f"{sha256(l)}/json", b"{}")])
    shape("docker-links", [BASE, layer(("f", "x", "1"))], name=lambda l: f"{sha256(l)[:12]}/layer.tar",
          stored=lambda l: f"{sha256(l)}.tar", extra=linked)
    shape("skopeo-docker-archive", [BASE], name=lambda l: f"{sha256(l)}.tar", extra=linked, tags=())
    shape("skopeo-oci", [BASE], make=oci, pack=lambda l: gzip.compress(l), media="tar+gzip")
    shape("two-members-of-gzip", [BASE], make=oci, pack=lambda l: gzip.compress(l[:700]) + gzip.compress(l[700:]), media="tar+gzip")
    shape("wrong-media-type", [BASE], make=oci, pack=lambda l: gzip.compress(l), media="tar")
    shape("umoci", [BASE], make=oci, wrap=lambda h, b: [{**h, "annotations": {"org.opencontainers.image.ref.name": "latest"}}])
    shape("schema-2", [BASE], make=oci, pack=lambda l: gzip.compress(l), name="vnd.docker.distribution")
    shape("platforms", [BASE], make=oci, wrap=lambda h, b: [
        platform(b(b"{}", "vnd.oci.image.manifest.v1+json"), "arm64", variant="v8"), platform(h), platform(
            b(b"{ }", "x"), "unknown", os="unknown")])
    shape("index-in-an-index", [BASE], make=oci, wrap=lambda h, b: [b(json.dumps(
        {"schemaVersion": 2, "manifests": [platform(h), {**b(b"{}", "x"), "platform": {"os": "unknown", "architecture": "unknown"}}]}
    ).encode(), "vnd.oci.image.index.v1+json")])
    shape("two-tags", [BASE], make=oci, wrap=lambda h, b: [
        {**h, "annotations": {"io.containerd.image.name": f"app:{n}"}} for n in (1, 2)])
    shape("docker-25", [BASE], make=oci, extra=[("manifest.json", b"[]"), ("repositories", b"{}")])
    shape("two-images", [BASE], make=oci, wrap=lambda h, b: [h, b(b"{}", "vnd.oci.image.manifest.v1+json")],
          error="several images")
    shape("two-images-of-a-platform", [BASE], make=oci, wrap=lambda h, b: [platform(h), platform(b(b"{}", "x"))],
          error="several images")
    shape("other-platform", [BASE], make=oci, more={"architecture": "arm64"}, error="linux/arm64")
    shape("windows", [BASE], make=oci, wrap=lambda h, b: [{**h, "platform": {"os": "windows", "architecture": "amd64"}}],
          error="windows/amd64")
    shape("compressed-archive", [BASE], make=lambda l, c: gzip.compress(docker(l, c)), error="compressed")
    shape("before-docker-1.10", [BASE], make=lambda l, c: archive([("repositories", b"{}"), ("x/layer.tar", l[0])]),
          error="neither `oci-layout` nor `manifest.json`")
    shape("a-layer-missing", [BASE], stored=lambda l: "other.tar", error="layer.tar` is missing in it")
    # Configurations.
    odd = ["A=b c", "B=\"q\" 'r'", "C=$HOME ${X} `id`", "D=100%n", "E=back\\slash", "F=", "G=ä=ö", "H=two\nlines", "PATH=/x"]
    for name, config in {
        "user-and-group": {**ENTRY, "User": "root:root"}, "user-number": {**ENTRY, "User": "70000:70001"},
        "user-unknown": {**ENTRY, "User": "nobody-here"}, "shell": {"Cmd": ["/bin/sh", "-c", "exec app \"$@\""]},
        "no-command": {"Entrypoint": None, "Cmd": None}, "environment": {**ENTRY, "Env": odd},
        "stop-signal": {**ENTRY, "StopSignal": "SIGQUIT", "WorkingDir": "/srv"},
        "rest": {**ENTRY, "Volumes": {"/data": {}}, "Healthcheck": {"Test": ["CMD", "x"], "Interval": 30}, "Labels": {"a": "b"},
                 "ExposedPorts": {"80/tcp": {}}, "OnBuild": None, "ArgsEscaped": True, "Shell": ["/bin/bash"]},
        "null": None,
    }.items():
        shape(f"config-{name}", [BASE], config=config)
    (OUT / "shapes.json").write_text(json.dumps(SHAPES))


main()
