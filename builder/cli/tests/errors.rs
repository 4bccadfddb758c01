//! Bad input: one clear error that names the thing, the place and what to do; the documented exit code; nothing
//! half-written. Each is a real run of the program.
//!
//! Debian's own keys sign what `lock` reads first, so what goes wrong after a good signature (an expired release,
//! damaged indexes, unknown packages, sets that cannot be) is tested where keys can be made:
//! builder/archive/src/release/tests.rs, packages/tests.rs and resolve/tests.rs, each with its snapshots.

mod common;
use common::{Project, skipped, text};
use diorite_model::Digest;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// stderr with what differs from run to run taken out.
fn stderr(project: &Project, output: &Output) -> String {
    let folder = project.folder.path();
    let real = fs::canonicalize(folder).expect("the project is there");
    text(&output.stderr)
        .replace(&real.display().to_string(), "PROJECT")
        .replace(&folder.display().to_string(), "PROJECT")
}

/// Every path of the project but the store's own folders, which any run makes.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).expect("below").display().to_string());
            }
        }
    }
    found.remove("store/lock");
    found
}

/// Runs it, expects this exit code and nothing on stdout, and that no file came or went. Returns stderr.
fn refuses(project: &Project, command: &mut Command, arguments: &[&str], code: i32) -> String {
    let before = files(project.folder.path());
    let output = command.arg("--quiet").args(arguments).output().expect("the program starts");
    let said = stderr(project, &output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{said}");
    assert_eq!(text(&output.stdout), "", "an error prints nothing on stdout");
    assert_eq!(files(project.folder.path()), before, "an error leaves nothing half-written\n{said}");
    said
}

fn refused(project: &Project, arguments: &[&str], code: i32) -> String {
    refuses(project, &mut project.diorite(), arguments, code)
}

fn profile(project: &Project, text: &str) {
    fs::write(project.path("profiles/mine.toml"), text).expect("a profile");
}

const HEAD: &str = "[image]\nname = \"mine\"\nversion = \"1\"\n";

/// A member of an ar archive.
fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(2), b'\n');
    out
}

/// A .deb that says it is `hello`, of about so many bytes: a ustar with its control file alone, and no real data.
fn deb(size: usize) -> Vec<u8> {
    let control = b"Package: hello\nVersion: 1.0\nArchitecture: amd64\n";
    let mut header = [0u8; 512];
    for (at, field) in [
        (0, "./control".to_owned()),
        (100, "0000644\0".into()),
        (108, "0000000\0".into()),
        (116, "0000000\0".into()),
        (124, format!("{:011o}\0", control.len())),
        (136, format!("{:011o}\0", 0)),
        (148, " ".repeat(8)),
        (156, "0".into()),
        (257, "ustar\x0000".into()),
    ] {
        header[at..at + field.len()].copy_from_slice(field.as_bytes());
    }
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(control);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    let noise: Vec<u8> = (0..size).map(|i| (i * 7 % 251) as u8).collect();
    [&b"!<arch>\n"[..], &member("debian-binary", b"2.0\n"), &member("control.tar", &tar), &member("data.tar", &noise)]
        .concat()
}

/// A profile `mine` with a lock that names one package, and a mirror (a folder) that has these bytes for it.
fn with_one_package(locked: &[u8], on_the_mirror: &[u8]) -> Project {
    let project = Project::new();
    profile(&project, HEAD);
    lock(&project, locked);
    let pool = project.path("mirror/pool/main/h/hello");
    fs::create_dir_all(&pool).expect("a mirror");
    fs::write(pool.join("hello_1.0_amd64.deb"), on_the_mirror).expect("a package");
    project
}

/// Writes profiles/mine.lock for the profile as it is, naming one package.
fn lock(project: &Project, package: &[u8]) {
    let shown = project.succeed(&["show", "mine", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let text = format!(
        "schema = 1\nrecipe = {}\nimage = [\n  {{ name = \"hello\", version = \"1.0\", architecture = \"amd64\", \
         release = \"trixie\", path = \"pool/main/h/hello/hello_1.0_amd64.deb\", size = {}, sha256 = \"{}\" }},\n]\n\
         tools = []\n[release.trixie]\nsuite = \"trixie\"\ndate = \"2026-01-01T00:00:00Z\"\nsha256 = \"{}\"\n\
         components = [\"main\"]\n",
        shown["digest"],
        package.len(),
        Digest::of(package),
        Digest::of(b""),
    );
    fs::write(project.path("profiles/mine.lock"), text).expect("a lock");
}

fn mirrored(project: &Project) -> Command {
    let mut command = project.diorite();
    command.env("DIORITE_MIRROR", format!("file://{}", project.path("mirror").display()));
    command
}

/// A child that sees a small, fresh tmpfs at `place`; as somebody else than root by way of a user namespace.
fn with_tmpfs(command: &mut Command, place: &Path, options: &'static str, flags: libc::c_ulong) {
    let place = std::ffi::CString::new(place.display().to_string()).expect("a path");
    let options = std::ffi::CString::new(options).expect("options");
    // SAFETY: between fork and exec only system calls on memory made before.
    unsafe {
        command.pre_exec(move || {
            let ok = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
            let user = if libc::geteuid() == 0 { 0 } else { libc::CLONE_NEWUSER };
            ok(libc::unshare(libc::CLONE_NEWNS | user))?;
            ok(libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ))?;
            ok(libc::mount(c"tmpfs".as_ptr(), place.as_ptr(), c"tmpfs".as_ptr(), flags, options.as_ptr().cast()))
        });
    }
}

/// Whether this host lets a test mount something for its child.
fn may_mount(project: &Project) -> bool {
    let mut command = Command::new("/bin/true");
    with_tmpfs(&mut command, project.folder.path(), "size=64k", 0);
    match command.status() {
        Ok(status) if status.success() => true,
        other => {
            skipped(&format!("this host lets a test mount nothing, not even in a namespace of its own: {other:?}"));
            false
        }
    }
}

#[test]
fn unknown_verb() {
    let project = Project::new();
    insta::assert_snapshot!(refused(&project, &["biuld", "server"], 2));
}

#[test]
fn missing_profile() {
    let project = Project::new();
    insta::assert_snapshot!(refused(&project, &["show", "sever"], 1));
}

#[test]
fn no_profiles_here() {
    let project = Project::new();
    fs::remove_dir_all(project.path("profiles")).expect("no profiles");
    insta::assert_snapshot!(refused(&project, &["show", "server"], 1));
}

#[test]
fn unknown_key() {
    let project = Project::new();
    profile(&project, &format!("{HEAD}[firewal]\nallow = []\n"));
    insta::assert_snapshot!(refused(&project, &["show", "mine"], 1));
}

#[test]
fn wrong_type() {
    let project = Project::new();
    profile(&project, &format!("{HEAD}[firewall]\nallow = [{{ port = \"ssh\" }}]\n"));
    insta::assert_snapshot!(refused(&project, &["show", "mine"], 1));
}

#[test]
fn not_toml() {
    let project = Project::new();
    profile(&project, "[image\nname = \"mine\"\n");
    insta::assert_snapshot!(refused(&project, &["show", "mine"], 1));
}

#[test]
fn missing_parent() {
    let project = Project::new();
    profile(&project, &format!("extends = \"bass\"\n{HEAD}"));
    insta::assert_snapshot!(refused(&project, &["show", "mine"], 1));
}

#[test]
fn missing_overlay() {
    let project = Project::new();
    profile(&project, &format!("overlays = [\"web2\"]\n{HEAD}"));
    lock(&project, &deb(10));
    insta::assert_snapshot!(refused(&project, &["build", "mine"], 1));
}

#[test]
fn no_lock() {
    let project = Project::new();
    profile(&project, HEAD);
    insta::assert_snapshot!(refused(&project, &["build", "mine"], 3));
}

#[test]
fn profile_edited_without_locking_again() {
    let project = Project::new();
    profile(&project, HEAD);
    lock(&project, &deb(10));
    profile(&project, &format!("{HEAD}[packages]\ninclude = [\"nano\"]\n"));
    insta::assert_snapshot!(refused(&project, &["build", "mine"], 3));
}

#[test]
fn lock_of_another_recipe() {
    let project = Project::new();
    profile(&project, HEAD);
    fs::copy(project.path("profiles/base.lock"), project.path("profiles/mine.lock")).expect("a lock");
    insta::assert_snapshot!(refused(&project, &["plan", "mine"], 3));
}

#[test]
fn damaged_lock() {
    let project = Project::new();
    profile(&project, HEAD);
    lock(&project, &deb(10));
    let file = project.path("profiles/mine.lock");
    let whole = fs::read_to_string(&file).expect("the lock");
    fs::write(&file, &whole[..whole.find("amd64").expect("a package")]).expect("the lock is cut");
    insta::assert_snapshot!(refused(&project, &["plan", "mine"], 3));
}

#[test]
fn unreachable_mirror() {
    let project = Project::new();
    fs::remove_file(project.path("profiles/base.lock")).expect("no lock");
    insta::assert_snapshot!(refused(&project, &["lock", "base"], 6));
}

#[test]
fn no_mirror_named() {
    let project = Project::new();
    if !may_mount(&project) {
        return;
    }
    let mut command = project.diorite();
    command.env_remove("DIORITE_MIRROR").env_remove("DIORITE_SECURITY_MIRROR");
    let apt = Path::new("/etc/apt");
    if apt.is_dir() {
        with_tmpfs(&mut command, apt, "size=64k", 0);
    }
    insta::assert_snapshot!(refuses(&project, &mut command, &["lock", "base"], 5));
}

/// A mirror whose release file has been signed by a stranger, and one whose file nobody signed.
#[test]
fn wrong_signature() {
    let project = Project::new();
    let release = "Origin: Debian\nSuite: unstable\nCodename: sid\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n";
    profile(&project, &format!("{HEAD}[archive]\nsuite = \"sid\"\n"));
    let folder = project.path("mirror/dists/sid");
    fs::create_dir_all(&folder).expect("a mirror");
    let mut said = String::new();
    for bytes in [signed_by_a_stranger(release), release.as_bytes().to_vec()] {
        fs::write(folder.join("InRelease"), bytes).expect("a release file");
        said += &refuses(&project, &mut mirrored(&project), &["lock", "mine"], 6);
    }
    // The stranger's key is another one each time.
    let words = said
        .split(' ')
        .map(|w| if w.len() >= 16 && w.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') { "KEY:" } else { w });
    insta::assert_snapshot!(words.collect::<Vec<_>>().join(" "));
}

fn signed_by_a_stranger(text: &str) -> Vec<u8> {
    use io::Write as _;
    use sequoia_openpgp::cert::CertBuilder;
    use sequoia_openpgp::serialize::stream::{Message, Signer};
    let cert = CertBuilder::new().add_userid("Stranger").add_signing_subkey().generate().expect("a key").0;
    let key = cert.keys().secret().nth(1).expect("a subkey").key().clone().into_keypair().expect("a key pair");
    let mut out = Vec::new();
    let signer = Signer::new(Message::new(&mut out), key).expect("a signer");
    let mut message = signer.cleartext().build().expect("a message");
    message.write_all(text.as_bytes()).expect("in memory");
    message.finalize().expect("a signature");
    out
}

#[test]
fn package_with_other_bytes() {
    let good = deb(1000);
    let mut bad = good.clone();
    *bad.last_mut().expect("bytes") ^= 1;
    let project = with_one_package(&good, &bad);
    insta::assert_snapshot!(refuses(&project, &mut mirrored(&project), &["build", "mine"], 6));
}

#[test]
fn truncated_package() {
    let good = deb(1000);
    let project = with_one_package(&good, &good[..good.len() - 100]);
    insta::assert_snapshot!(refuses(&project, &mut mirrored(&project), &["fetch", "mine"], 6));
}

#[test]
fn package_that_has_gone() {
    let project = with_one_package(&deb(10), b"");
    fs::remove_dir_all(project.path("mirror/pool/main/h")).expect("gone");
    insta::assert_snapshot!(refuses(&project, &mut mirrored(&project), &["fetch", "mine"], 3));
}

#[test]
fn no_space_left() {
    let good = deb(300_000);
    let project = with_one_package(&good, &good);
    if !may_mount(&project) {
        return;
    }
    fs::create_dir_all(project.path("store")).expect("a store");
    let mut command = mirrored(&project);
    with_tmpfs(&mut command, &project.path("store"), "size=128k", 0);
    insta::assert_snapshot!(refuses(&project, &mut command, &["fetch", "mine"], 5));
}

/// Somebody who has one uid and no helper that would give more.
#[test]
fn no_user_namespaces() {
    if !common::root() {
        return skipped("only root can run the program as somebody with one uid");
    }
    let good = deb(1000);
    let project = with_one_package(&good, &good);
    fs::create_dir_all(project.path("store")).expect("a store");
    open_to_all(project.folder.path());
    let folder = project.path("bin");
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(common::DIORITE, folder.join("diorite")).expect("a program that anybody can start");
    let mut command = Command::new(folder.join("diorite"));
    for (name, value) in mirrored(&project).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(project.folder.path()).env("DIORITE_SIMULATE", "single-uid").uid(65_534).gid(65_534);
    let output = command.args(["--quiet", "build", "mine"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&project, &output));
    assert!(!project.path("out").exists(), "nothing half-written");
    assert_eq!(fs::read_dir(project.path("store/scratch")).expect("the store").count(), 0, "no scratch folder");
    insta::assert_snapshot!(stderr(&project, &output));
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("permissions");
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.file_type().expect("a type").is_dir() {
            open_to_all(&entry.path());
        }
    }
}

#[test]
fn folder_for_results_that_is_a_file() {
    let project = with_one_package(&deb(10), &deb(10));
    fs::write(project.path("out"), "a file where the folder should be").expect("a file");
    insta::assert_snapshot!(refuses(&project, &mut mirrored(&project), &["build", "mine"], 5));
}

#[test]
fn folder_for_results_that_is_read_only() {
    let project = with_one_package(&deb(10), &deb(10));
    if !may_mount(&project) {
        return;
    }
    fs::create_dir_all(project.path("out")).expect("a folder");
    let mut command = mirrored(&project);
    with_tmpfs(&mut command, &project.path("out"), "size=64k", libc::MS_RDONLY);
    insta::assert_snapshot!(refuses(&project, &mut command, &["build", "mine"], 5));
}

#[test]
fn store_that_cannot_be_used() {
    let project = with_one_package(&deb(10), &deb(10));
    fs::write(project.path("store"), "a file where the store should be").expect("a file");
    insta::assert_snapshot!(refused(&project, &["build", "mine"], 5));
}

#[test]
fn verify_before_build() {
    let project = with_one_package(&deb(10), &deb(10));
    insta::assert_snapshot!(refused(&project, &["verify", "mine"], 1));
}

#[test]
fn a_vault_that_is_none() {
    let project = Project::new();
    fs::write(project.path("vault.tar"), "not a vault").expect("a file");
    insta::assert_snapshot!(refused(&project, &["vault", "import", "vault.tar"], 1));
}
