//! What the page says and what it must never do.

use super::*;
use crate::results::tests::{check, report};
use diorite_model::report::{Declared, Ended, Port, Said, Seen, Selection};

fn page(report: &Report) -> String {
    html(report, Path::new("/nowhere"))
}

#[test]
fn every_verdict_has_its_words() {
    let title = |report: &Report| page(report).split("<title>").nth(1).unwrap().split(':').next().unwrap().to_owned();
    let good = report(vec![check("a", Verdict::Pass)]);
    assert_eq!(title(&good), "PASSED");
    assert_eq!(
        title(&Report { selection: Selection { of: 9, ..Selection::default() }, ..good.clone() }),
        "PASSED IN PART"
    );
    assert_eq!(title(&report(vec![check("a", Verdict::Fail)])), "FAILED");
    let ended = Ended { class: Class::Infra, what: "QEMU has ended".into(), cause: None, at: 3.0 };
    let early = Report { ended: Some(ended), ..good };
    assert_eq!(title(&early), "ENDED EARLY");
    assert!(page(&early).contains("INFRA: the host is at fault"));
}

#[test]
fn nothing_from_outside_is_markup_or_fetched() {
    let evil = "</pre><script>alert(1)</script><img src=\"http://x\"/>\u{1b}[2J";
    let mut report = report(vec![check("evil", Verdict::Fail)]);
    report.checks[0].seen = evil.into();
    report.checks[0].what = evil.into();
    report.checks[0].id = evil.into();
    report.accelerator_reason = evil.into();
    report.boot.console = vec![evil.into()];
    report.boot.journal = vec![evil.into()];
    report.boot.names = vec![evil.into()];
    report.boot.analyze = evil.into();
    let text = page(&report);
    assert!(!text.contains("<script") && !text.contains("<img") && !text.contains('\u{1b}'));
    assert_eq!(text.matches("&lt;script&gt;").count(), text.matches("alert(1)").count());
    assert!(text.matches("alert(1)").count() >= 8, "everything is shown");
    // The name of XHTML is a name, and nobody fetches it; what looks like an address above is text.
    assert!(!text.replace("http://www.w3.org/1999/xhtml", "").contains("=\"http"));
    assert!(!text.contains("url(") && !text.contains("@import") && text.contains("default-src 'none'"));
}

#[test]
fn a_picture_is_taken_in_and_other_files_are_not() {
    let directory = std::env::temp_dir().join(format!("diorite-html-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("evidence")).expect("directory");
    std::fs::write(directory.join("evidence/screenshot.png"), b"\x89PNG\r\n\x1a\nrest").expect("picture");
    std::fs::write(directory.join("evidence/a \"b\".txt"), "x").expect("file");
    std::fs::write(directory.join("disk.raw"), "x").expect("file");
    let text = html(&report(vec![check("a", Verdict::Fail)]), &directory);
    assert!(text.contains("src=\"data:image/png;base64,iVBORw0KGgpyZXN0\""));
    assert!(text.contains("href=\"evidence/a%20%22b%22.txt\"") && !text.contains("disk.raw"));
    std::fs::write(directory.join("evidence/screenshot.png"), "<svg onload=1>").expect("no picture");
    assert!(!html(&report(vec![]), &directory).contains("<img"));
    std::fs::remove_dir_all(directory).expect("remove");
}

/// A page as wide as a phone cannot hold a table or the drawing: each scrolls in a box of its own.
#[test]
fn what_is_wide_scrolls_in_a_box_of_its_own() {
    let mut report = report(vec![check("a", Verdict::Fail)]);
    let seen = |family: &str| Port {
        family: family.into(),
        protocol: "tcp".into(),
        port: 22,
        declared: Declared::Open,
        seen: Seen::Open,
    };
    report.boot.ports = vec![seen("ipv4"), seen("ipv6")];
    report.boot.said =
        vec![Said { kind: "tcp".into(), to: "192.0.2.1".into(), port: 80, count: 1, first: 1.0, last: 2.0 }];
    let text = page(&report);
    assert_eq!(text.matches("<table>").count(), 3);
    assert_eq!(text.matches("<div class=\"scroll\"><table>").count(), 3);
    assert_eq!(text.matches("</table></div>").count(), 3);
    assert!(text.contains("<div class=\"scroll\"><svg"));
    assert!(text.contains(".scroll { overflow-x: auto;"));
    assert_eq!(text.matches("<style>").count(), 1);
}
