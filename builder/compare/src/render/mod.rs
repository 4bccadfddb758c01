//! Comparison → text, Markdown, HTML. All three are made from one list of tables, so that none of them says less.

mod html;
mod markdown;
mod sections;
mod text;

pub use html::html;
pub use markdown::markdown;
pub use text::text;

/// A number of bytes, in the unit that people of file systems use.
pub(crate) fn mib(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// The change of a number of bytes: `+1.2 MiB`.
pub(crate) fn change(before: u64, after: u64) -> String {
    match before.cmp(&after) {
        std::cmp::Ordering::Less => format!("+{}", mib(after - before)),
        std::cmp::Ordering::Greater => format!("-{}", mib(before - after)),
        std::cmp::Ordering::Equal => "±0".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::InnerDifference;
    use crate::{
        ChangelogEntry, Comparison, FieldChange, FileChange, PackageChange, PackageChangelog, SideName, SizeChange,
        ValueChange,
    };

    fn value(what: &str, before: Option<&str>, after: Option<&str>) -> ValueChange {
        ValueChange { what: what.into(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    fn file(path: &str, source: &str, package: Option<&str>, fields: Vec<FieldChange>) -> FileChange {
        FileChange {
            path: path.into(),
            source_before: Some(source.into()),
            source_after: Some(source.into()),
            package: package.map(str::to_owned),
            fields,
            step: Some("tree".into()),
            raw: [None, None],
        }
    }

    fn field(name: &str, before: &str, after: &str, inside: Option<InnerDifference>) -> FieldChange {
        FieldChange { field: name.into(), before: before.into(), after: after.into(), inside }
    }

    pub(super) fn sample() -> Comparison {
        let side = |name: &str, version: &str| SideName {
            name: name.into(),
            kind: "image",
            image: Some(format!("server {version}")),
            root_hash: Some(diorite_model::Digest::of(version.as_bytes())),
        };
        let package = |name: &str, how, before: Option<&str>, after: Option<&str>, sizes: (u64, u64)| PackageChange {
            place: "machine".into(),
            name: name.into(),
            how,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            bytes_before: sizes.0,
            bytes_after: sizes.1,
        };
        let inside = InnerDifference {
            what: "line 3".into(),
            before: "listen | 80".into(),
            after: "<script>".into(),
            cause: Some("a time".into()),
        };
        Comparison {
            schema: 1,
            a: side("one.raw", "1"),
            b: side("two.raw", "2"),
            equal: false,
            packages: vec![
                package("nginx", "raised", Some("1.26.3-3"), Some("1.26.3-4"), (700_000, 900_000)),
                package("vim", "removed", Some("9.1"), None, (3 << 20, 0)),
            ],
            changelogs: vec![PackageChangelog {
                source: "nginx".into(),
                before: "1.26.3-3".into(),
                after: "1.26.3-4".into(),
                packages: vec!["nginx".into()],
                cves: vec!["CVE-2025-1234".into()],
                entries: vec![ChangelogEntry {
                    version: "1.26.3-4".into(),
                    date: "Fri, 26 Sep 2025 22:09:03 +0200".into(),
                    text: "* A <script> is refused (CVE-2025-1234)\n```\n* And more".into(),
                }],
            }],
            sizes: vec![SizeChange { what: "root file system".into(), before: 160 << 20, after: 158 << 20 }],
            people: vec![value("user anna", None, Some("1000:1000, /home/anna, /bin/bash"))],
            units: vec![value("nginx.service", Some("there"), Some("enabled"))],
            ports: vec![value("tcp 80", None, Some("container `web`"))],
            firewall: vec![value("chain input", None, Some("tcp dport 80 accept"))],
            kernel: vec![value("command line: quiet", Some("there"), None)],
            settings: vec![value("image.version", Some("1"), Some("2"))],
            files: vec![
                file(
                    "/etc/web.conf",
                    "overlay web",
                    None,
                    vec![field("content", "120 bytes", "130 bytes", Some(inside))],
                ),
                file(
                    "/usr/sbin/nginx",
                    "package nginx",
                    Some("nginx"),
                    vec![field("content", "1 bytes", "2 bytes", None)],
                ),
                file("/usr/share/nginx/new", "package nginx", Some("nginx"), vec![field("exists", "no", "yes", None)]),
            ],
            not_compared: vec!["recipe: not in one.raw".into()],
        }
    }

    #[test]
    fn sizes_are_in_mib() {
        assert_eq!([mib(17), mib(2048), mib(3 << 20)], ["17 B", "2.0 KiB", "3.0 MiB"]);
        assert_eq!([change(0, 1 << 20), change(2048, 1024), change(1, 1)], ["+1.0 MiB", "-1.0 KiB", "±0"]);
    }

    #[test]
    fn one_comparison_in_every_form() {
        insta::assert_snapshot!("text", text(&sample()));
        insta::assert_snapshot!("markdown", markdown(&sample()));
        let page = html(&sample());
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "text cannot become markup");
        insta::assert_snapshot!("html", page.split("</style>").nth(1).unwrap());
        insta::assert_snapshot!("json", serde_json::to_string_pretty(&sample()).unwrap());
    }

    #[test]
    fn nothing_is_said_where_nothing_differs() {
        let a = sample().a;
        let empty = Comparison {
            b: SideName { name: "other.raw".into(), ..a.clone() },
            a,
            equal: true,
            packages: vec![],
            changelogs: vec![],
            sizes: vec![],
            people: vec![],
            units: vec![],
            ports: vec![],
            firewall: vec![],
            kernel: vec![],
            settings: vec![],
            files: vec![],
            not_compared: vec![],
            schema: 1,
        };
        assert_eq!(text(&empty), "one.raw (image, server 1) → other.raw (image, server 1)\n\nequal\n");
        assert!(markdown(&empty).contains("Nothing differs"));
    }
}
