//! Discovery of mirrors: every form of apt's sources, the order of precedence, and the text of every error.

use super::*;
use diorite_model::{Digest, Exit, lock::Release};

/// A host with these files below /etc/apt.
fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
    let host = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = host.path().join("etc/apt").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    host
}

fn found(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let found = apt::discover(host(files).path());
    (found.main, found.security)
}

const NOTHING: &dyn Fn(&str) -> Option<String> = &|_| None;

#[test]
fn debian_12_and_13_containers_and_installations() {
    let debian_12 = "Types: deb\n# http://snapshot.example.invalid/archive/debian/20250520T000000Z\n\
        URIs: http://deb.example.invalid/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\n\
        URIs: http://deb.example.invalid/debian-security\nSuites: bookworm-security\nComponents: main\n\
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
    let expected = (
        vec!["http://deb.example.invalid/debian".to_owned()],
        vec!["http://deb.example.invalid/debian-security".to_owned()],
    );
    assert_eq!(found(&[("sources.list.d/debian.sources", debian_12)]), expected);
    let installed = "# deb cdrom:[Debian GNU/Linux 13.0.0 _Trixie_ - Official amd64 NETINST]/ trixie main\n\n\
        deb http://deb.example.invalid/debian/ trixie main non-free-firmware\n\
        deb-src http://src.example.invalid/debian/ trixie main\n\
        deb http://deb.example.invalid/debian-security trixie-security main # security\n\
        deb http://deb.example.invalid/debian/ trixie-updates main\n";
    assert_eq!(found(&[("sources.list", installed)]), expected);
}

#[test]
fn a_modernized_host_with_third_parties() {
    let (main, security) = found(&[
        ("sources.list", "# See /etc/apt/sources.list.d/debian.sources\n"),
        (
            "sources.list.d/debian.sources",
            "types: deb deb-src\nuris: https://one.example.invalid/debian/\n https://two.example.invalid/pub/debian/\n\
             suites: trixie\n trixie-updates\ncomponents: main contrib\n\n\n\
             Types: deb\nURIs: http://old.example.invalid/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n\n\
             Types: deb-src\nURIs: http://src.example.invalid/debian\nSuites: trixie\nComponents: main\n\n\
             Types: deb\nURIs: http://key.example.invalid/debian\nSuites: trixie\nComponents: main\nSigned-By:\n \
             -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQENBFm\n -----END PGP PUBLIC KEY BLOCK-----\n",
        ),
        (
            "sources.list.d/docker.list",
            "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://d.example.invalid/linux/debian trixie stable\n",
        ),
        (
            "sources.list.d/mesh.list",
            "deb [signed-by=/usr/share/keyrings/mesh-keyring.gpg] https://m.example.invalid/stable/debian trixie main\n",
        ),
        ("sources.list.d/pg.list", "deb https://pg.example.invalid/pub/repos/apt trixie-pgdg main\n"),
        ("sources.list.d/bare.list", "deb https://bare.example.invalid trixie main\n"),
        ("sources.list.d/notes.list.save", "deb http://saved.example.invalid/debian trixie main\n"),
        (
            "sources.list.d/zz.list",
            "deb [ arch=amd64,i386 trusted=yes ] http://one.example.invalid/debian-security trixie-security main\n",
        ),
    ]);
    assert_eq!(
        main,
        [
            "https://one.example.invalid/debian",
            "https://two.example.invalid/pub/debian",
            "http://key.example.invalid/debian"
        ]
    );
    assert_eq!(security, ["http://one.example.invalid/debian-security"]);
}

#[test]
fn cloud_images_keep_their_mirrors_in_a_list() {
    let (main, security) = found(&[
        (
            "sources.list.d/debian.sources",
            "Types: deb deb-src\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: trixie trixie-updates\nComponents: main\n\n\
             Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian-security.list\nSuites: trixie-security\nComponents: main\n",
        ),
        (
            "mirrors/debian.list",
            "# list\nhttps://far.example.invalid/debian\tpriority:2\nhttps://near.example.invalid/debian\tpriority:1\n",
        ),
        ("mirrors/debian-security.list", "https://near.example.invalid/debian-security\n"),
    ]);
    assert_eq!(main, ["https://near.example.invalid/debian", "https://far.example.invalid/debian"]);
    assert_eq!(security, ["https://near.example.invalid/debian-security"]);
}

#[test]
fn a_mirror_whose_path_says_nothing_is_known_by_its_code_name() {
    let lists = "deb https://proxy.example.invalid/debian-remote trixie main\n\
        deb https://proxy.example.invalid/security-remote trixie-security main\n\
        deb tor+http://onion.example.invalid/debian trixie main\n\
        deb https://other.example.invalid/apt stable main\n";
    let (main, security) = found(&[("sources.list", lists)]);
    assert_eq!(main, ["https://proxy.example.invalid/debian-remote"]);
    assert_eq!(security, ["https://proxy.example.invalid/security-remote"]);
}

#[test]
fn profile_before_environment_before_host() {
    let host = host(&[("sources.list", "deb http://host.example.invalid/debian trixie main\n")]);
    let environment = |name: &str| match name {
        "DIORITE_MIRROR" => Some(" http://a.example.invalid/debian/ file:///srv/debian/ ".to_owned()),
        "DIORITE_SNAPSHOT" => Some("http://s.example.invalid/{archive}/{timestamp}".to_owned()),
        _ => None,
    };
    let from_host = Sources::discover(&SourceConfig::default(), NOTHING, host.path()).unwrap();
    assert_eq!(
        (from_host.origin, from_host.main),
        (MirrorOrigin::Host, vec!["http://host.example.invalid/debian".to_owned()])
    );
    let from_environment = Sources::discover(&SourceConfig::default(), &environment, host.path()).unwrap();
    assert_eq!(from_environment.origin, MirrorOrigin::Environment);
    assert_eq!(from_environment.main, ["http://a.example.invalid/debian", "file:///srv/debian"]);
    assert_eq!(from_environment.security, ["http://a.example.invalid/debian-security", "file:///srv/debian-security"]);
    assert!(from_environment.snapshot.is_some());
    let wanted = SourceConfig {
        mirrors: vec!["https://p.example.invalid".into()],
        security_mirrors: vec!["https://p.example.invalid/sec/".into()],
        ..SourceConfig::default()
    };
    let from_profile = Sources::discover(&wanted, &environment, host.path()).unwrap();
    assert_eq!(from_profile.origin, MirrorOrigin::Profile);
    assert_eq!(from_profile.main, ["https://p.example.invalid"]);
    assert_eq!(from_profile.security, ["https://p.example.invalid/sec"]);
    let mixed =
        ["http://a.example.invalid/debian", "http://b.example.invalid/x/debian-security/"].map(str::to_owned).into();
    let mixed =
        Sources::discover(&SourceConfig { mirrors: mixed, ..SourceConfig::default() }, NOTHING, host.path()).unwrap();
    assert_eq!(mixed.main, ["http://a.example.invalid/debian"]);
    assert_eq!(mixed.security, ["http://b.example.invalid/x/debian-security"]);
}

#[test]
fn siblings() {
    for (main, security) in [
        ("http://example.invalid/debian", "http://example.invalid/debian-security"),
        ("http://example.invalid/pub/mirror/debian", "http://example.invalid/pub/mirror/debian-security"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/debian-security"),
        ("file:/srv/debian", "file:/srv/debian-security"),
        ("file:///srv/debian", "file:///srv/debian-security"),
    ] {
        assert_eq!(sibling(main), security);
    }
}

fn package(release: &str, path: &str) -> LockedPackage {
    LockedPackage {
        name: "base-files".into(),
        version: "13.8".into(),
        architecture: "amd64".into(),
        release: release.into(),
        path: path.into(),
        size: 1,
        sha256: Digest::of(b""),
    }
}

fn lock() -> Lock {
    let release = |suite: &str| Release {
        suite: suite.into(),
        date: "2026-11-14T09:00:00Z".into(),
        valid_until: None,
        sha256: Digest::of(b""),
        components: vec!["main".into()],
    };
    let release = ["trixie", "trixie-security", "tools"].map(|n| (n.to_owned(), release(n))).into();
    Lock {
        schema: 1,
        recipe: Digest::of(b""),
        release,
        image: vec![],
        container: BTreeMap::new(),
        wheels: BTreeMap::new(),
        tools: vec![],
    }
}

#[test]
fn each_release_has_its_own_places() {
    let wanted = SourceConfig {
        mirrors: vec!["http://a.example.invalid/debian".into(), "http://b.example.invalid/debian".into()],
        snapshot: Some("http://s.example.invalid/{archive}/{timestamp}".into()),
        extra: [("tools".to_owned(), "https://e.example.invalid/apt/".to_owned())].into(),
        directory: "/profiles".into(),
        ..SourceConfig::default()
    };
    let sources = Sources::discover(&wanted, NOTHING, Path::new("/nonexistent")).unwrap();
    let urls = |release: &str, archived: bool| -> Vec<String> {
        let package = package(release, "pool/main/b/x.deb");
        let places = if archived { sources.archived(&package, &lock()) } else { sources.places(&package, &lock()) };
        places.unwrap().into_iter().map(|p| p.url).collect()
    };
    assert_eq!(
        urls("trixie", false),
        ["http://a.example.invalid/debian/pool/main/b/x.deb", "http://b.example.invalid/debian/pool/main/b/x.deb"]
    );
    assert_eq!(urls("trixie-security", false)[1], "http://b.example.invalid/debian-security/pool/main/b/x.deb");
    assert_eq!(urls("tools", false), ["https://e.example.invalid/apt/pool/main/b/x.deb"]);
    assert_eq!(urls("trixie", true)[0], "http://s.example.invalid/debian/20261114T210000Z/pool/main/b/x.deb");
    assert_eq!(
        urls("trixie-security", true)[0],
        "http://s.example.invalid/debian-security/20261114T210000Z/pool/main/b/x.deb"
    );
    assert_eq!(urls("tools", true), [""; 0]);
    let local = package("local", "debs/own.deb");
    assert_eq!(sources.local(&local).unwrap(), Some("/profiles/debs/own.deb".into()));
}

#[test]
fn what_is_wrong_is_said() {
    let mut texts = Vec::new();
    let mut failing = |wanted: SourceConfig, variables: &[(&str, &str)], host: &Path, exit: Exit| {
        let environment = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let error = Sources::discover(&wanted, &environment, host).unwrap_err();
        assert_eq!(error.exit, exit, "{error}");
        texts.push(error.to_string().replace(&host.display().to_string(), "HOST"));
    };
    let nowhere = Path::new("/nonexistent");
    failing(SourceConfig::default(), &[], nowhere, Exit::Host);
    let ubuntu = "Types: deb\nURIs: http://u.example.invalid/ubuntu/\nSuites: noble noble-updates\n\
        Components: main universe\nSigned-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n";
    let ubuntu = host(&[("sources.list.d/ubuntu.sources", ubuntu)]);
    failing(SourceConfig::default(), &[], ubuntu.path(), Exit::Host);
    failing(SourceConfig::default(), &[("DIORITE_MIRROR", "example.invalid/debian")], nowhere, Exit::Input);
    failing(SourceConfig::default(), &[("DIORITE_MIRROR", "http:///debian")], nowhere, Exit::Input);
    failing(
        SourceConfig::default(),
        &[("DIORITE_MIRROR", "ftp://me:secret@example.invalid/debian")],
        nowhere,
        Exit::Input,
    );
    failing(SourceConfig::default(), &[("DIORITE_SECURITY_MIRROR", "http://example.invalid/s")], nowhere, Exit::Input);
    let main = ("DIORITE_MIRROR", "http://example.invalid/debian");
    for template in
        ["http://example.invalid/", "example.invalid/{timestamp}", "http://example.invalid/{timestamp}/{suite}"]
    {
        failing(SourceConfig::default(), &[main, ("DIORITE_SNAPSHOT", template)], nowhere, Exit::Input);
    }
    failing(
        SourceConfig { mirrors: vec!["/srv/debian".into()], ..SourceConfig::default() },
        &[main],
        nowhere,
        Exit::Input,
    );
    let sources = Sources::discover(
        &SourceConfig { mirrors: vec!["file:/srv".into()], ..SourceConfig::default() },
        NOTHING,
        nowhere,
    )
    .unwrap();
    for package in
        [package("trixie", "../../etc/passwd"), package("trixie", "/etc/passwd"), package("forky", "pool/x.deb")]
    {
        texts.push(sources.places(&package, &lock()).unwrap_err().to_string());
    }
    insta::assert_snapshot!(texts.join("\n\n"));
}
