//! Repositories of the shapes that vendors have, locked and fetched as a user would; apt is the judge: it must accept the same
//! ones, and name the same file with the same digest for each package.
//!
//! Needs the network (a Debian mirror: a lock has Debian's suites in it) and the tools tree (`DIORITE_TEST_TOOLS`), whose apt
//! and dpkg-deb run in the tools' sandbox. The repositories are served to Diorite on the loopback, and to apt as files.

#[path = "vendor/repository.rs"]
mod repository;

use diorite_archive::fetch::fetch;
use diorite_archive::http::{MirrorClient, Options};
use diorite_archive::resolve::{Inputs, lock};
use diorite_archive::sources::SourceConfig;
use diorite_host::progress::Progress;
use diorite_host::store::Store;
use diorite_host::tools::{Tool, ToolsTree};
use diorite_model::{Lock, profile};
use repository::{FLAT, RepositoryShape, SUITES, Signature, key};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

fn shapes() -> Vec<RepositoryShape> {
    vec![
        FLAT,
        RepositoryShape {
            name: "flat-slash",
            suite: "/",
            signature: Signature::Detached,
            forms: (&["", ".gz"], &[".gz"]),
            ..FLAT
        },
        RepositoryShape {
            name: "flat-below",
            suite: "stable/",
            pool: "stable/",
            forms: (&["", ".xz"], &[".xz"]),
            ..FLAT
        },
        RepositoryShape {
            name: "flat-dots",
            suite: "./a/Debian_13/",
            pool: "a/Debian_13/all/",
            armored_key: true,
            ..FLAT
        },
        SUITES,
        RepositoryShape {
            name: "updates",
            suite: "bookworm/updates",
            fields: "Suite: oldstable\nCodename: bookworm\nComponents: updates/main\nArchitectures: amd64\n",
            ..SUITES
        },
        RepositoryShape {
            name: "server-seven",
            suite: "bookworm/vendor-org/7.0",
            component: Some("multiverse"),
            fields: "Suite: bookworm/vendor-org\nCodename: bookworm/vendor-org\nComponents: multiverse\nArchitectures: amd64\n",
            signature: Signature::Detached,
            ..SUITES
        },
        RepositoryShape {
            name: "testing",
            suite: "trixie-pgdg-testing",
            component: Some("17"),
            fields: "Codename: trixie-pgdg-testing\nComponents: main 17\nArchitectures: all amd64\nAcquire-By-Hash: yes\n",
            by_hash: true,
            ..SUITES
        },
        RepositoryShape {
            name: "twelve",
            suite: "12.0",
            fields: "Suite: 12.0\nComponents: main\nArchitectures: amd64\nAcquire-By-Hash: yes\n",
            digests: (&["SHA512"], &["SHA256", "SHA512"]),
            by_hash: true,
            ..SUITES
        },
        RepositoryShape { name: "nameless", fields: "Components: main\nArchitectures: amd64\n", ..SUITES },
        RepositoryShape {
            name: "no-by-hash",
            fields: "Suite: stable\nComponents: main\nArchitectures: amd64\nAcquire-By-Hash: yes\n",
            ..SUITES
        },
        RepositoryShape {
            name: "strong",
            digests: (&["SHA512"], &["SHA512"]),
            signature: Signature::Detached,
            ..SUITES
        },
        RepositoryShape { name: "zstandard", forms: (&["", ".zst"], &[".zst"]), ..SUITES },
        RepositoryShape { name: "only-gz", forms: (&["", ".gz", ".xz"], &[".gz"]), ..SUITES },
        RepositoryShape {
            name: "for-all",
            fields: "Suite: stable\nComponents: main\nArchitectures: all\n",
            binary: "binary-all/",
            ..SUITES
        },
        RepositoryShape {
            name: "signed-by",
            fields: "Suite: stable\nComponents: main\nArchitectures: amd64\nSigned-By: 0123456789ABCDEF0123456789ABCDEF01234567\n",
            ..SUITES
        },
    ]
}

/// All shapes on disk, with what is needed to lock them.
struct VendorRepositories {
    directory: tempfile::TempDir,
    keyrings: BTreeMap<&'static str, PathBuf>,
}

fn tools() -> ToolsTree {
    let path = std::env::var_os("DIORITE_TEST_TOOLS").map(PathBuf::from);
    ToolsTree::open(&path.expect("DIORITE_TEST_TOOLS must name an unpacked tools tree (make test sets it)"))
        .unwrap_or_else(|e| panic!("{e}"))
}

fn control(name: &str) -> String {
    format!(
        "Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: Vendor <apt@vendor.example>\nDescription: one shape\n"
    )
}

/// A package by dpkg-deb.
fn deb(directory: &Path, name: &str) -> Vec<u8> {
    let tree = directory.join(format!("tree-{name}"));
    fs::create_dir_all(tree.join("DEBIAN")).expect("a directory");
    fs::write(tree.join("DEBIAN/control"), control(name)).expect("a control file");
    let file = directory.join(format!("{name}.deb"));
    let build = tools().command(Tool::DpkgDeb).args(["--root-owner-group", "-Zgzip", "--build"]);
    build.arg(&tree).arg(&file).output(directory).run_ok().unwrap_or_else(|e| panic!("{e}"));
    fs::read(file).expect("a package")
}

fn make(shapes: &[RepositoryShape]) -> VendorRepositories {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let mut keyrings = BTreeMap::new();
    for shape in shapes {
        let bytes = deb(path, shape.name);
        keyrings.insert(shape.name, shape.make(&path.join(shape.name), &bytes, &control(shape.name), &key()));
    }
    VendorRepositories { directory, keyrings }
}

/// What apt knows: its own line for each package, `'URI' FILE SIZE DIGEST`.
fn apt(made: &VendorRepositories, shapes: &[RepositoryShape], arguments: &[&str]) -> diorite_host::sandbox::Output {
    let path = made.directory.path();
    let root = path.join("apt");
    for directory in ["lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"] {
        fs::create_dir_all(root.join(directory)).expect("a directory for apt");
    }
    let mut sources = String::new();
    for shape in shapes {
        let (key, component) = (made.keyrings[shape.name].display(), shape.component.unwrap_or(""));
        let root = path.join(shape.name);
        sources += &format!("deb [arch=amd64 signed-by={key}] file:{} {} {component}\n", root.display(), shape.suite);
    }
    fs::write(root.join("sources.list"), sources).expect("sources");
    fs::write(root.join("status"), "").expect("a status file");
    let config = format!(
        "Dir \"{0}/\"; Dir::State \"{0}/\"; Dir::State::lists \"lists/\"; Dir::State::status \"{0}/status\";\n\
         Dir::Cache \"cache/\"; Dir::Etc \"etc/\"; Dir::Etc::sourcelist \"{0}/sources.list\"; Dir::Etc::sourceparts \"-\";\n\
         Dir::Etc::parts \"apt.conf.d\"; APT::Architecture \"amd64\"; APT::Architectures {{ \"amd64\"; }};\n\
         APT::Sandbox::User \"\"; Acquire::Languages \"none\"; APT::Update::Error-Mode \"any\";\n",
        root.display()
    );
    fs::write(root.join("apt.conf"), config).expect("a configuration");
    let command = tools().command(Tool::AptGet).args(arguments.iter().copied()).output(path);
    command.env("APT_CONFIG", root.join("apt.conf")).run().unwrap_or_else(|e| panic!("{e}"))
}

fn said(output: &diorite_host::sandbox::Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.log.clone()].concat()).into_owned()
}

/// Serves a directory until the process ends.
fn serve(directory: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let root = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let directory = directory.clone();
            std::thread::spawn(move || answer(stream, &directory));
        }
    });
    root
}

fn answer(mut stream: TcpStream, directory: &Path) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let target = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    while lines.next()?.ok().is_some_and(|line| !line.is_empty()) {}
    let path = String::from_utf8(diorite_archive::url::decode(&target)).ok()?;
    let (status, bytes) = match fs::read(directory.join(path.trim_start_matches('/'))) {
        Ok(bytes) => ("200 OK", bytes),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
    stream.write_all(&[head.as_bytes(), &bytes].concat()).ok()
}

/// A lock of an image with a package of each, and the archive to fetch them from.
fn locked(made: &VendorRepositories, shapes: &[RepositoryShape]) -> (Lock, MirrorClient) {
    let path = made.directory.path();
    let server = serve(path.to_owned());
    let include: Vec<_> = shapes.iter().map(|shape| format!("{:?}", shape.name)).collect();
    let mut text = format!("[image]\nname = \"x\"\nversion = \"1\"\n[packages]\ninclude = [{}]\n", include.join(", "));
    for shape in shapes {
        let keyring = made.keyrings[shape.name].file_name().expect("a name").display();
        let component = shape.component.map(|c| format!("components = [{c:?}]\n")).unwrap_or_default();
        text += &format!(
            "[archive.extra.{0}]\nuri = \"{server}/{0}\"\nsuite = {1:?}\n{component}keyring = \"{keyring}\"\n",
            shape.name, shape.suite
        );
    }
    let (recipe, settings) =
        profile::parse(&text, "x.toml", &mut |_| panic!("it extends nothing")).unwrap_or_else(|e| panic!("{e}"));
    let client = MirrorClient::of_machine(&SourceConfig::of(&settings, &recipe, path), Options::default());
    let client = client.unwrap_or_else(|e| panic!("{e}"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let inputs = Inputs { tools: &[], directory: path, transport: &client, now, previous: None };
    let lock = lock(&recipe, &inputs, &Progress::quiet()).unwrap_or_else(|e| panic!("{e}"));
    // As it is written and read again.
    let lock = toml::from_str(&toml::to_string(&lock).expect("a lock")).unwrap_or_else(|e| panic!("{e}"));
    (lock, client)
}

#[test]
fn every_shape_is_locked_and_fetched_as_apt_would() {
    let shapes = shapes();
    let made = make(&shapes);
    let update = apt(&made, &shapes, &["update"]);
    assert!(update.status.success(), "{}", said(&update));
    let names: Vec<&str> = ["download", "--print-uris"].into_iter().chain(shapes.iter().map(|s| s.name)).collect();
    let printed = said(&apt(&made, &shapes, &names));

    let (lock, client) = locked(&made, &shapes);
    let own: Vec<_> = lock.image.iter().filter(|p| shapes.iter().any(|s| s.name == p.release)).collect();
    assert_eq!(own.len(), shapes.len(), "one of each");
    let store = Store::open(Some(&made.directory.path().join("store"))).unwrap_or_else(|e| panic!("{e}"));
    let pool = fetch(&own, &lock, || Ok(&client), &store, &Progress::quiet()).unwrap_or_else(|e| panic!("{e}"));
    for package in own {
        let root = made.directory.path().join(&package.release);
        let line = printed.lines().find(|line| line.contains(&format!("{}_1.0_all.deb", package.name)));
        let line = line.unwrap_or_else(|| panic!("apt knows no {}:\n{printed}", package.name));
        let uri = line.split('\'').nth(1).expect("a URI");
        let path = uri.strip_prefix(&format!("file:{}/", root.display())).expect("below the root");
        assert_eq!(path.trim_start_matches("./"), package.path, "{line}");
        assert!(line.contains(&format!(" {} ", package.size)), "{line}");
        let bytes = fs::read(pool.path(package)).expect("it was fetched");
        assert!(bytes == fs::read(root.join(&package.path)).expect("the repository's"), "{}", package.name);
        if line.contains("SHA256:") {
            assert!(line.contains(&package.sha256.to_string()), "{line}");
        }
    }
}

/// Positive control: the judge looks at signatures and digests, and at each repository by itself.
#[test]
fn apt_refuses_what_is_wrong() {
    let shapes = [
        FLAT,
        RepositoryShape { name: "other-key", ..FLAT },
        RepositoryShape { name: "unsigned", signature: Signature::Detached, ..FLAT },
        RepositoryShape { name: "changed", ..FLAT },
    ];
    let made = make(&shapes);
    let path = made.directory.path();
    fs::copy(path.join("flat.gpg"), path.join("other-key.gpg")).expect("a keyring");
    fs::remove_file(path.join("unsigned/Release.gpg")).expect("a signature");
    fs::write(path.join("changed/Packages"), "Package: evil\n").expect("an index");
    for (shape, good) in shapes.iter().zip([true, false, false, false]) {
        let output = apt(&made, std::slice::from_ref(shape), &["update"]);
        assert_eq!(output.status.success(), good, "{}: {}", shape.name, said(&output));
    }
}
