//! Archives: ar(5), as in static libraries and packages, and tar. Order, then times and owners, then contents of entries.

use super::{InnerDifference, at_depth, inside, within};

const ORDER: &str = "the entries were taken in the order in which the file system or several threads gave them";
const TIME: &str = "the entry has the time at which it was made, not that of the image";

/// An entry: its name, the fields of its header by name, and its content.
struct ArchiveEntry {
    name: String,
    fields: Vec<(&'static str, String)>,
    content: Vec<u8>,
}

/// What differs, when both are ar archives.
pub(super) fn ar(a: &[u8], b: &[u8], depth: usize) -> Option<InnerDifference> {
    compare("ar", read_ar(a)?, read_ar(b)?, depth)
}

/// What differs, when both are tar archives.
pub(super) fn tar(a: &[u8], b: &[u8], depth: usize) -> Option<InnerDifference> {
    compare("tar", read_tar(a)?, read_tar(b)?, depth)
}

fn compare(kind: &str, a: Vec<ArchiveEntry>, b: Vec<ArchiveEntry>, depth: usize) -> Option<InnerDifference> {
    let names = |entries: &[ArchiveEntry]| entries.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
    let (x, y) = (names(&a), names(&b));
    if x != y {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        let at = x.iter().zip(&y).position(|(x, y)| x != y).unwrap_or(x.len().min(y.len()));
        let entry = |names: &[String]| names.get(at).cloned().unwrap_or_else(|| "the end".into());
        return Some(match sorted(&x) == sorted(&y) {
            true => inside(format!("{kind}, order of entries from entry {at} on"), entry(&x), entry(&y), ORDER),
            false => inside(format!("{kind}, entry {at}"), entry(&x), entry(&y), "an entry came or went"),
        });
    }
    for (x, y) in a.iter().zip(&b) {
        let field = x.fields.iter().zip(&y.fields).find(|(x, y)| x.1 != y.1);
        if let Some((x_field, y_field)) = field {
            let cause = if x_field.0 == "mtime" { TIME } else { "" };
            return Some(inside(format!("{kind}, {} of {}", x_field.0, x.name), &x_field.1, &y_field.1, cause));
        }
        if x.content != y.content {
            return Some(within(&format!("{kind}, {}", x.name), at_depth(&x.content, &y.content, depth + 1)));
        }
    }
    None
}

fn read_ar(bytes: &[u8]) -> Option<Vec<ArchiveEntry>> {
    let mut rest = bytes.strip_prefix(b"!<arch>\n")?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(60)?;
        let text = |from: usize, to: usize| String::from_utf8_lossy(&header[from..to]).trim_end().to_owned();
        let size: usize = text(48, 58).parse().ok()?;
        let content = after.get(..size)?.to_vec();
        let fields = vec![("mtime", text(16, 28)), ("owner", text(28, 40)), ("mode", text(40, 48))];
        entries.push(ArchiveEntry { name: text(0, 16), fields, content });
        rest = after.get(size.next_multiple_of(2)..).unwrap_or_default();
    }
    Some(entries)
}

fn read_tar(bytes: &[u8]) -> Option<Vec<ArchiveEntry>> {
    (bytes.get(257..262)? == b"ustar").then_some(())?;
    let mut entries = Vec::new();
    for entry in tar::Archive::new(bytes).entries().ok()? {
        let mut entry = entry.ok()?;
        let header = entry.header();
        let number = |value: std::io::Result<u64>| value.map(|n| n.to_string()).unwrap_or_default();
        let fields = vec![
            ("mtime", number(header.mtime())),
            ("owner", format!("{}:{}", number(header.uid()), number(header.gid()))),
            ("mode", header.mode().map(|mode| format!("{mode:04o}")).unwrap_or_default()),
        ];
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).ok()?;
        entries.push(ArchiveEntry { name, fields, content });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::super::difference;

    fn ar(members: &[(&str, u32, &str)]) -> Vec<u8> {
        let mut out = b"!<arch>\n".to_vec();
        for (name, time, content) in members {
            let size = content.len();
            out.extend(format!("{name:<16}{time:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 100_644).into_bytes());
            out.extend(content.as_bytes());
            out.resize(out.len().next_multiple_of(2), b'\n');
        }
        out
    }

    fn tar(members: &[(&str, u64, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, time, content) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mtime(*time);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn order_time_and_content_are_told_apart() {
        let good = ar(&[("a", 1, "x\n"), ("b", 1, "y\n")]);
        let said = |other: &[(&str, u32, &str)]| difference(&good, &ar(other));
        let order = said(&[("b", 1, "y\n"), ("a", 1, "x\n")]);
        assert_eq!(order.what, "ar, order of entries from entry 0 on");
        assert!(order.cause.unwrap().contains("order"));
        assert_eq!(said(&[("a", 1, "x\n"), ("b", 2, "y\n")]).what, "ar, mtime of b");
        assert_eq!(said(&[("a", 1, "x\n"), ("b", 1, "z\n")]).what, "ar, b, line 1");
        assert_eq!(said(&[("a", 1, "x\n")]).what, "ar, entry 1");
        let good = tar(&[("a", 1, "x\n"), ("b", 1, "y\n")]);
        let said = |other: &[(&str, u64, &str)]| difference(&good, &tar(other)).what;
        assert_eq!(said(&[("b", 1, "y\n"), ("a", 1, "x\n")]), "tar, order of entries from entry 0 on");
        assert_eq!(said(&[("a", 7, "x\n"), ("b", 1, "y\n")]), "tar, mtime of a");
        assert_eq!(said(&[("a", 1, "x\n"), ("b", 1, "z\n")]), "tar, b, line 1");
    }
}
