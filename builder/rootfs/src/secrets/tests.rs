use super::*;
use crate::origins::Origins;
use crate::tree::{Content, Node};
use diorite_model::secret::REACH;

fn key() -> String {
    let (dash, kind) = ("-----", "PRIVATE KEY");
    let body = "MIIabc0123456789defGHIJKLMNOPQRSTUVWXYZ+/abcdefghijklmn0123456789\n".repeat(4);
    format!("{dash}BEGIN OPENSSH {kind}{dash}\n{body}{dash}END OPENSSH {kind}{dash}\n")
}

/// A look in which every file is a script's that no package ships.
fn look(tree: &Tree, origins: &Origins, declared: &PublicSecrets) -> Result<PassedSecrets> {
    let source = |_: &[u8], _: &Digest| FileSource::Script(Vec::new());
    scan(tree, &SecretScan { shipped: &ShippedContents::of([origins]), declared, source: &source })
}

fn found(path: &str, text: &str) -> Option<String> {
    let mut tree = Tree::new();
    tree.insert(path.as_bytes().to_vec(), Node::file(0o600, text));
    look(&tree, &Origins::default(), &PublicSecrets::default()).err().map(|e| e.to_string())
}

#[test]
fn keys_passwords_and_identities_are_found() {
    assert!(found("opt/x", &format!("junk {}", key())).unwrap().contains("/opt/x"));
    assert!(found("usr/bin/program", &format!("\x7fELF\0\0{}\0", key())).is_some(), "programs are no exception");
    assert!(
        found(
            "etc/shadow",
            "root:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$rCaNQAFMt7Z54R4jbj1vFWRGPnlIHT2bGJeR/Yt7rT5:20370:0:99999:7:::\n"
        )
        .is_some()
    );
    assert!(found("etc/shadow", "root::20370:0:99999:7:::\n").is_some());
    assert_eq!(
        found("etc/shadow", "root:*:1::::::\nanna:!*:1::::::\nx:!:1::::::\ny:x:1::::::\nz:*LK*:1::::::\n"),
        None
    );
    // Debian's mariadb-server makes a group like the second; the third is for its members alone, gshadow(5).
    assert_eq!(found("etc/gshadow", "root:*::\nmysql:x::\nstaff:::anna\n"), None);
    assert!(found("etc/gshadow", "staff:abJnggxhB/yWI::\n").is_some());
    assert!(found("etc/passwd", "root::0:0::/root:/bin/sh\n").is_some());
    assert!(found("etc/passwd", "root:abJnggxhB/yWI:0:0::/root:/bin/sh\n").is_some());
    assert_eq!(found("etc/passwd", "root:x:0:0::/root:/bin/sh\n"), None);
    assert!(found("etc/machine-id", "0123456789abcdef0123456789abcdef\n").is_some());
    assert!(found("etc/ssh/ssh_host_ed25519_key.pub", "").is_some());
}

#[test]
fn what_scripts_draw_is_found_and_what_others_bring_is_not() {
    let password = "user=app\npassword=c8Q3xYz1Wk2p\n";
    let identifier = "5f0c7a51-8f0e-4f1c-9a3e-2f6d8f0f9f10\n";
    for (path, text, what) in [
        ("etc/app.conf", password, "a password is in the image"),
        ("var/lib/app/host", identifier, "a random identifier is in the image"),
        ("etc/tripwire/site.key", "\0\x01", "a private key is in the image"),
    ] {
        assert!(found(path, text).is_some_and(|said| said.contains(what) && said.contains(path)), "{path}");
    }
    assert_eq!(found("usr/share/app/example.conf", password), None, "no script configures a machine there");
    // In an overlay somebody has written it: other rules look at those.
    let mut tree = Tree::new();
    tree.insert("etc/app.conf", Node::file(0o600, password));
    let source = |_: &[u8], _: &Digest| FileSource::Overlay("overlays/app/tree/etc/app.conf".into());
    let origins = Origins::default();
    let (shipped, declared) = (&ShippedContents::of([&origins]), &PublicSecrets::default());
    assert!(scan(&tree, &SecretScan { shipped, declared, source: &source }).is_ok());
}

#[test]
fn what_is_declared_public_passes_wherever_its_bytes_are() {
    let mut public = PublicSecrets::default();
    public.declare(key().as_bytes());
    let mut tree = Tree::new();
    tree.insert(*b"srv/test.pem", Node::file(0o644, key()));
    let passed = look(&tree, &Origins::default(), &public).unwrap();
    assert_eq!(passed.public, public);
    assert_eq!(list(&passed.list), "/srv/test.pem: a private key (PEM): declared public\n");
    bytes("disk", &key().as_bytes()[..120], &public).unwrap();
    bytes("initrd", key().as_bytes(), &public).unwrap();
    let other = key().replace("abc", "xyz");
    assert!(bytes("initrd", other.as_bytes(), &public).unwrap_err().to_string().contains("initrd, at byte 0"));
}

#[test]
fn a_known_key_is_known_in_its_own_library_of_a_layer_only() {
    let digest: Digest = known::KNOWN[0].0.parse().unwrap();
    let layer = format!("{}/overlay/0123/diff/{}.30.1", crate::paths::CONTAINER_STORE, known::KNOWN[0].1);
    assert!(known::is_public(layer.as_bytes(), &digest));
    assert!(!known::is_public(format!("{}.30.1", known::KNOWN[0].1).as_bytes(), &digest), "its origin is known");
    assert!(!known::is_public(b"etc/ssl/private/own.key", &digest));
}

/// As shipped, moved by a script, and inside what a script compiled from it, which may write its lines in another way.
#[test]
fn what_a_package_ships_is_public_and_what_a_script_makes_is_not() {
    // As fail2ban's tests write theirs.
    let source = format!("KEY = (\n\t\t'{}\\n'\n)\n", key().trim_end().replace('\n', "\\n'\n\t\t'"));
    let mut origins = Origins::default();
    origins.insert(*b"usr/lib/python3/key.py", "python3-keys", Digest::of(source.as_bytes()));
    let with = |files: &[(&str, &str)]| {
        let mut tree = Tree::new();
        tree.insert(*b"usr/lib/python3/key.py", Node::file(0o644, source.as_str()));
        files.iter().for_each(|(path, text)| tree.insert(*path, Node::file(0o644, *text)));
        look(&tree, &origins, &PublicSecrets::default())
    };
    let compiled = format!("\0\0\0\0{}\0", key());
    let (cache, elsewhere) = ("usr/lib/python3/__pycache__/key.pyc", "usr/share/keys/key.py");
    let passed = with(&[(cache, &compiled), (elsewhere, &format!("{source}#"))]).unwrap();
    insta::assert_snapshot!("passed", list(&passed.list));
    bytes("the disk", compiled.as_bytes(), &passed.public).unwrap();

    let other = key().replace("abc", "xyz");
    // Byte code of that very source may have joined its constants; that of no source, or of a changed one, is refused.
    let own = "usr/lib/python3/__pycache__/key.cpython-313.pyc";
    assert!(list(&with(&[(own, &other)]).unwrap().list).contains("byte code of /usr/lib/python3/key.py"));
    assert!(with(&[("usr/lib/python3/__pycache__/made.cpython-313.pyc", &other)]).is_err());
    assert!(with(&[(own, &other), ("usr/lib/python3/key.py", "changed")]).is_err());
    let error = with(&[(cache, &compiled), ("etc/ssl/private/made.key", &other)]).unwrap_err().to_string();
    insta::assert_snapshot!("made_by_a_script", error);
    let both = format!("{}{other}", key());
    assert!(with(&[("usr/share/keys/key.bundle", &both)]).is_err(), "one secret more than its source has");
    let changed = with(&[("usr/lib/python3/key.py", &other)]);
    assert!(changed.is_err(), "a script put another one into a shipped file");
}

#[test]
fn advice_fits_who_brought_the_secret() {
    let of = |source| source::secret(b"etc/x.key", "a private key (PEM)", Advice::File(&source)).to_string();
    let all = [
        of(FileSource::Overlay("overlays/web/tree/etc/x.key".into())),
        of(FileSource::Configure("overlays/web/configure".into())),
        of(FileSource::Profile),
        of(FileSource::Changed("app".into())),
        of(FileSource::Script(vec!["app".into(), "app-common".into()])),
        of(FileSource::Layer { container: "db".into(), path: "/etc/x.key".into() }),
        nowhere("a private key (PEM)").to_string(),
    ];
    insta::assert_snapshot!("advice", all.join("\n\n"));
}

/// Whatever the sizes of the pieces, and wherever the key lies.
#[test]
fn a_key_is_found_across_pieces() {
    let public = PublicSecrets::default();
    for piece in [REACH / 2, REACH, 40_000, 1 << 20] {
        for at in [0, 10, piece - 300, piece - 10, piece, 2 * piece - 1] {
            let mut disk = vec![0u8; 3 * piece + 5000];
            disk[at..at + key().len()].copy_from_slice(key().as_bytes());
            let mut scanner = DiskScanner::new(&public);
            let mut offset = 1 << 30;
            for part in disk.chunks(piece) {
                scanner.pass(offset, part);
                offset += part.len() as u64;
            }
            let error = scanner.finish().unwrap_err().to_string();
            assert!(error.contains(&format!("byte {} of the disk", (1 << 30) + at)), "{piece} {at}: {error}");
        }
    }
    let mut scanner = DiskScanner::new(&public);
    scanner.pass(0, &vec![1; 3 << 20]);
    scanner.pass(8 << 20, b"end");
    scanner.finish().unwrap();
}

#[test]
fn one_content_at_many_paths_is_named_once() {
    let mut tree = Tree::new();
    let content = Content::from_bytes(key().into_bytes());
    for path in ["b", "a"] {
        tree.insert(path, Node::new(0o600, NodeKind::File(content.clone())));
    }
    assert!(look(&tree, &Origins::default(), &PublicSecrets::default()).unwrap_err().to_string().contains("at /a\n"));
}

#[test]
fn an_overlay_is_read_by_lines() {
    let error = in_overlay("overlays/db/tree/etc/db.conf", b"[db]\nhost = db1\npassword = hunter2hunter2\n");
    insta::assert_snapshot!("overlay_line", error.unwrap_err().to_string());
    in_overlay("x", b"[db]\npassword_file = /run/credentials/db\n").unwrap();
    assert!(in_overlay("x", key().as_bytes()).is_err());
}
