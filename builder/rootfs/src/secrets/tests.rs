use super::*;
use crate::tree::{Content, Node};
use diorite_model::secret::REACH;

fn key() -> String {
    let (dash, kind) = ("-----", "PRIVATE KEY");
    let body = "MIIabc0123456789defGHIJKLMNOPQRSTUVWXYZ+/abcdefghijklmn0123456789\n".repeat(4);
    format!("{dash}BEGIN OPENSSH {kind}{dash}\n{body}{dash}END OPENSSH {kind}{dash}\n")
}

fn found(path: &str, text: &str) -> Option<String> {
    let mut tree = Tree::new();
    tree.insert(path.as_bytes().to_vec(), Node::file(0o600, text));
    scan(&tree, &Public::default()).err().map(|e| e.to_string())
}

#[test]
fn keys_passwords_and_identities_are_found() {
    assert!(found("opt/x", &format!("junk {}", key())).unwrap().contains("/opt/x"));
    assert!(found("usr/bin/program", &format!("\x7fELF\0\0{}\0", key())).is_some(), "programs are no exception");
    assert!(found("etc/shadow", "root:$y$j9T$abc:20370:0:99999:7:::\n").is_some());
    assert!(found("etc/shadow", "root::20370:0:99999:7:::\n").is_some());
    assert_eq!(found("etc/shadow", "root:*:1::::::\nanna:!*:1::::::\nx:!:1::::::\n"), None);
    assert!(found("etc/passwd", "root:abJnggxhB/yWI:0:0::/root:/bin/sh\n").is_some());
    assert_eq!(found("etc/passwd", "root:x:0:0::/root:/bin/sh\n"), None);
    assert!(found("etc/machine-id", "0123456789abcdef0123456789abcdef\n").is_some());
    assert!(found("etc/ssh/ssh_host_ed25519_key.pub", "").is_some());
}

#[test]
fn what_is_declared_public_passes_wherever_its_bytes_are() {
    let mut public = Public::default();
    public.declare(key().as_bytes());
    let mut tree = Tree::new();
    tree.insert(*b"srv/test.pem", Node::file(0o644, key()));
    assert_eq!(scan(&tree, &public).unwrap(), public);
    bytes("disk", &key().as_bytes()[..120], &public).unwrap();
    bytes("initrd", key().as_bytes(), &public).unwrap();
    let other = key().replace("abc", "xyz");
    assert!(bytes("initrd", other.as_bytes(), &public).unwrap_err().to_string().contains("initrd, at byte 0"));
}

#[test]
fn a_known_key_is_known_in_its_own_library_only() {
    let digest: diorite_model::Digest = known::KNOWN[0].0.parse().unwrap();
    assert!(known::is_public(format!("{}.30.1", known::KNOWN[0].1).as_bytes(), &digest));
    assert!(!known::is_public(b"etc/ssl/private/own.key", &digest));
}

/// Whatever the sizes of the pieces, and wherever the key lies.
#[test]
fn a_key_is_found_across_pieces() {
    let public = Public::default();
    for piece in [REACH / 2, REACH, 40_000, 1 << 20] {
        for at in [0, 10, piece - 300, piece - 10, piece, 2 * piece - 1] {
            let mut disk = vec![0u8; 3 * piece + 5000];
            disk[at..at + key().len()].copy_from_slice(key().as_bytes());
            let mut scanner = Scanner::new(&public);
            let mut offset = 1 << 30;
            for part in disk.chunks(piece) {
                scanner.pass(offset, part);
                offset += part.len() as u64;
            }
            let error = scanner.finish().unwrap_err().to_string();
            assert!(error.contains(&format!("byte {} of the disk", (1 << 30) + at)), "{piece} {at}: {error}");
        }
    }
    let mut scanner = Scanner::new(&public);
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
    assert!(scan(&tree, &Public::default()).unwrap_err().to_string().contains("at /a\n"));
}

#[test]
fn an_overlay_is_read_by_lines() {
    let error = in_overlay("overlays/db/tree/etc/db.conf", b"[db]\nhost = db1\npassword = hunter2hunter2\n");
    insta::assert_snapshot!("overlay_line", error.unwrap_err().to_string());
    in_overlay("x", b"[db]\npassword_file = /run/credentials/db\n").unwrap();
    assert!(in_overlay("x", key().as_bytes()).is_err());
}
