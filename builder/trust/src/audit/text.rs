//! Audit → lines for a terminal of 80 columns.

use super::data::DatedBy;
use super::judge::{AppliedWaiver, Audit, AuditFinding, AuditStatus, AuditVerdict, WaiverState};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The whole answer.
pub fn text(audit: &Audit) -> String {
    let mut text = head(audit);
    if audit.data.is_some() {
        fixable(&mut text, audit);
        waivers(&mut text, audit);
        let brief = [
            (AuditStatus::Open, "without a better version in the release"),
            (AuditStatus::Undetermined, "of which nobody knows whether the package has it"),
            (AuditStatus::Unimportant, "that Debian holds to be unimportant"),
        ];
        for (status, words) in brief {
            let of: Vec<_> = audit.findings.iter().filter(|f| f.status == status && f.waived.is_none()).collect();
            briefly(&mut text, &of, words);
        }
    } else {
        waivers(&mut text, audit);
    }
    not_judged(&mut text, audit);
    let (failing, expired) = (audit.failing().count(), audit.waivers_that_are(WaiverState::Expired).count());
    let _ = match audit.verdict {
        AuditVerdict::Unknown => writeln!(
            text,
            "\nunknown: there is no data about vulnerabilities\n  give some: --data FILE, or a URL in DIORITE_AUDIT_DATA"
        ),
        AuditVerdict::Passed => writeln!(text, "\npassed: nothing that the release has mended is left"),
        AuditVerdict::Failed => {
            let mut why = Vec::new();
            why.extend((failing > 0).then(|| format!("{failing} fixable")));
            why.extend((expired > 0).then(|| format!("{expired} expired {}", plural(expired, "waiver"))));
            writeln!(text, "\nfailed: {}", why.join(", "))
        }
    };
    text
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

fn head(audit: &Audit) -> String {
    let (packages, sources) = (plural(audit.packages, "package"), plural(audit.sources, "source package"));
    let mut text = format!(
        "{}: {} {packages} from {} {sources} of {}, {}\n",
        audit.image, audit.packages, audit.sources, audit.suite, audit.day
    );
    if let Some(data) = &audit.data {
        let by = match data.dated_by {
            DatedBy::Records => "its latest record",
            DatedBy::Option => "as you say",
            DatedBy::File => "the file's time",
            DatedBy::Server => "the server's time",
        };
        let age = format!("{} {} old", data.age, plural(usize::try_from(data.age).unwrap_or(2), "day"));
        let _ = writeln!(text, "data: {}, of {} ({by}; {age})", data.publisher, data.date);
    }
    if audit.by_path > 0 {
        let _ = writeln!(
            text,
            "the source packages of {} are taken from their paths: their files are not here",
            audit.by_path
        );
    }
    text
}

fn fixable(text: &mut String, audit: &Audit) {
    let failing: Vec<_> = audit.failing().collect();
    if failing.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nfixable: {}", failing.len());
    for finding in failing {
        let fixed = finding.fixed.as_deref().unwrap_or_default();
        let _ = writeln!(text, "  {}  {}\n      {} → {fixed}", finding.id, finding.source, finding.version);
        let _ = writeln!(text, "      {}", places(finding));
        if !finding.summary.is_empty() {
            let _ = writeln!(text, "      {}", short(&finding.summary, 72));
        }
    }
}

/// `machine: libssl3t64, openssl; container web: libssl3t64`.
fn places(finding: &AuditFinding) -> String {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &finding.packages {
        all.entry(&package.place).or_default().insert(&package.name);
    }
    let one = |(place, names): (&str, BTreeSet<&str>)| {
        format!("{place}: {}", names.into_iter().collect::<Vec<_>>().join(", "))
    };
    let mut places: Vec<String> = all.into_iter().map(one).collect();
    // The machine before its containers.
    places.sort_by_key(|place| !place.starts_with("machine:"));
    short(&places.join("; "), 200)
}

fn waivers(text: &mut String, audit: &Audit) {
    let words = |waiver: &AppliedWaiver| {
        let package = waiver.package.as_ref().map(|package| format!(" in {package}")).unwrap_or_default();
        format!("  {}{package}, until {}\n      {}\n", waiver.id, waiver.until, waiver.reason)
    };
    let of = |state| audit.waivers_that_are(state).map(words).collect::<String>();
    for (title, list) in [
        ("waivers that have expired", of(WaiverState::Expired)),
        ("put up with", if audit.data.is_some() { of(WaiverState::Used) } else { String::new() }),
        ("waivers that nothing matches; remove them", of(WaiverState::Unused)),
    ] {
        if !list.is_empty() {
            let _ = write!(text, "\n{title}:\n{list}");
        }
    }
}

fn briefly(text: &mut String, findings: &[&AuditFinding], words: &str) {
    if findings.is_empty() {
        return;
    }
    // The machine and a container may have two versions of one source package.
    let mut by_source: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for finding in findings {
        let ids = by_source.entry(&finding.source).or_default();
        if !ids.contains(&finding.id.as_str()) {
            ids.push(&finding.id);
        }
    }
    let _ = writeln!(text, "\n{words}: {}", by_source.values().map(Vec::len).sum::<usize>());
    for (source, mut ids) in by_source {
        let more = ids.len().saturating_sub(3);
        ids.truncate(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(text, "  {source}: {}{more}", ids.join(", "));
    }
}

fn not_judged(text: &mut String, audit: &Audit) {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in &audit.not_judged {
        let place = if one.place == "machine" { String::new() } else { format!(" ({})", one.place) };
        by_reason.entry(one.why).or_default().push(format!("{}{place}", one.name));
    }
    if !by_reason.is_empty() {
        let _ = writeln!(text, "\nnot judged, so nothing is known of them: {}", audit.not_judged.len());
    }
    for (why, names) in by_reason {
        let _ = writeln!(text, "  {why}\n      {}", short(&names.join(", "), 200));
    }
}

/// The beginning of a text, in one line.
fn short(text: &str, longest: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(longest) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// What is to be done about a finding, or why nothing is: a sentence.
pub(super) fn action(finding: &AuditFinding, suite: &str) -> String {
    match (&finding.waived, &finding.fixed, finding.status) {
        (Some(waiver), ..) => format!("Put up with until {}: {}", waiver.until, waiver.reason),
        (None, Some(fixed), AuditStatus::Fixable) => {
            format!("Lock again and build: {suite} has {} {fixed}.", finding.source)
        }
        (None, _, AuditStatus::Unimportant) => "Debian holds it to be unimportant in this package.".into(),
        _ => format!("{suite} has no version without it."),
    }
}
