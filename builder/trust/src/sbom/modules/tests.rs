//! Programs made here, in which every declaration is known; then the same cut short and bent.

use super::*;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write as _;

/// An ELF file of 64 or 32 bits, of either byte order, with these sections.
fn elf(wide: bool, big: bool, sections: &[(&str, &[u8])]) -> Vec<u8> {
    let number = |value: usize, length: usize| {
        let bytes = value.to_be_bytes();
        let mut digits = bytes[bytes.len() - length..].to_vec();
        if !big {
            digits.reverse();
        }
        digits
    };
    let word = if wide { 8 } else { 4 };
    let mut names = vec![0];
    let mut body = Vec::new();
    let start = if wide { 64 } else { 52 };
    // Type 0 for the first, as the format wants it; 1 is PROGBITS.
    let mut headers = vec![(0, 0, 0, 0)];
    for (name, content) in sections {
        headers.push((names.len(), 1, start + body.len(), content.len()));
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        body.extend_from_slice(content);
    }
    headers.push((0, 3, start + body.len(), names.len()));
    body.extend_from_slice(&names);
    let mut file = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, if big { 2 } else { 1 }, 1];
    file.resize(if wide { 0x28 } else { 0x20 }, 0);
    file.extend(number(start + body.len(), word));
    file.resize(if wide { 0x3a } else { 0x2e }, 0);
    for value in [if wide { 64 } else { 40 }, headers.len(), headers.len() - 1] {
        file.extend(number(value, 2));
    }
    file.resize(start, 0);
    file.extend(body);
    for (name, kind, offset, size) in headers {
        let begin = file.len();
        file.extend([number(name, 4), number(kind, 4)].concat());
        file.resize(begin + if wide { 0x18 } else { 0x10 }, 0);
        file.extend([number(offset, word), number(size, word)].concat());
        file.resize(begin + if wide { 64 } else { 40 }, 0);
    }
    file
}

fn string(text: &[u8]) -> Vec<u8> {
    let (mut length, mut all) = (text.len(), Vec::new());
    while length >= 0x80 {
        all.push(length as u8 | 0x80);
        length >>= 7;
    }
    all.push(length as u8);
    all.extend_from_slice(text);
    all
}

/// What `go build` writes in module mode.
fn buildinfo() -> Vec<u8> {
    let frame = [0x30, 0x77, 0xaf, 0x0c, 0x92, 0x74, 0x08, 0x02, 0x41, 0xe1, 0xc1, 0x07, 0xe6, 0xd6, 0x18, 0xe6];
    let list = "path\texample.org/tool/cmd\nmod\texample.org/tool\tv1.4.0\th1:aaa=\n\
        dep\tgithub.com/prometheus/client_golang\tv1.20.5\th1:bbb=\n\
        dep\tgolang.org/x/net\tv0.30.0\n=>\tgithub.com/fork/net\tv0.30.1-patched\th1:ccc=\n\
        dep\tgolang.org/x/sys\tv0.26.0\th1:ddd=\nbuild\t-compiler=gc\nbuild\tGOOS=linux\n";
    let mut bytes = b"\xff Go buildinf:\x08\x02".to_vec();
    bytes.resize(32, 0);
    bytes.extend(string(b"go1.24.4 X:nocoverageredesign"));
    bytes.extend(string(&[&frame[..], list.as_bytes(), &frame].concat()));
    bytes
}

fn audit(json: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(json.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const CRATES: &str = r#"{"packages":[
    {"name":"serde","version":"1.0.219","source":"crates.io","dependencies":[1]},
    {"name":"syn","version":"2.0.101","source":"crates.io","kind":"build"},
    {"name":"tool","version":"0.3.0","source":"local","root":true,"dependencies":[0]}],"format":1}"#;

fn purls(path: &str, bytes: &[u8]) -> Vec<String> {
    declared(path.as_bytes(), bytes).iter().map(DeclaredModule::purl).collect()
}

#[test]
fn a_go_program_names_its_modules() {
    for (wide, big) in [(true, false), (true, true), (false, false), (false, true)] {
        let program = elf(wide, big, &[(".text", b"code"), (".go.buildinfo", &buildinfo()), (".bss", b"")]);
        let expected = [
            "pkg:golang/example.org/tool@v1.4.0",
            "pkg:golang/github.com/fork/net@v0.30.1-patched",
            "pkg:golang/github.com/prometheus/client_golang@v1.20.5",
            "pkg:golang/golang.org/x/sys@v0.26.0",
            "pkg:golang/stdlib@1.24.4",
        ];
        assert_eq!(purls("usr/bin/tool", &program), expected, "{wide} {big}");
    }
}

#[test]
fn a_rust_program_names_its_crates() {
    let program = elf(true, false, &[(".dep-v0", &audit(CRATES)), (".text", b"code")]);
    assert_eq!(purls("usr/bin/tool", &program), ["pkg:cargo/serde@1.0.219", "pkg:cargo/tool@0.3.0"]);
}

#[test]
fn a_python_distribution_names_itself() {
    let metadata = b"Metadata-Version: 2.4\nName: Zope.Interface\nVersion: 7.2\nSummary: x\n\nName: other\n";
    let site = "usr/lib/python3/dist-packages";
    for path in ["zope.interface-7.2.dist-info/METADATA", "zope.interface.egg-info/PKG-INFO", "zope.interface.egg-info"]
    {
        assert_eq!(purls(&format!("{site}/{path}"), metadata), ["pkg:pypi/zope-interface@7.2"], "{path}");
    }
    for path in ["zope.interface/METADATA", "PKG-INFO", "x.dist-info/RECORD"] {
        assert!(purls(&format!("{site}/{path}"), metadata).is_empty(), "{path}");
    }
    assert!(purls("x.dist-info/METADATA", b"Name: only\n").is_empty());
    assert!(purls("x.dist-info/METADATA", b"Name: not a name\nVersion: 1\n").is_empty());
}

/// Cut anywhere and with any byte changed, a program is read or passed over; what is read then was in it.
#[test]
fn damage_is_passed_over() {
    let metadata = b"Name: x\nVersion: 1\n".to_vec();
    let program = elf(true, false, &[(".go.buildinfo", &buildinfo()), (".dep-v0", &audit(CRATES))]);
    for (path, whole) in [("usr/bin/tool", program), ("x.dist-info/METADATA", metadata)] {
        assert!(!declared(path.as_bytes(), &whole).is_empty(), "the control is read");
        for end in 0..whole.len() {
            declared(path.as_bytes(), &whole[..end]);
        }
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0x80, 0xff, whole[at] ^ 1] {
                let mut bent = whole.clone();
                bent[at] = value;
                declared(path.as_bytes(), &bent);
            }
        }
    }
}

#[test]
fn what_is_too_large_or_no_name_is_left_out() {
    let bomb = audit(&format!("{{\"packages\":[]{}}}", " ".repeat(9 << 20)));
    assert!(bomb.len() < 100_000);
    assert!(purls("x", &elf(true, false, &[(".dep-v0", &bomb)])).is_empty(), "nine megabytes are no list of crates");
    let odd =
        audit(r#"{"packages":[{"name":"a\nb","version":"1"},{"name":"","version":"1"},{"name":"c","version":"1"}]}"#);
    assert_eq!(purls("x", &elf(true, false, &[(".dep-v0", &odd)])), ["pkg:cargo/c@1"]);
    assert!(purls("x", b"\x7fELF").is_empty());
    assert!(purls("x", &elf(true, false, &[(".text", b"x")])).is_empty());
}
