//! What changed from one lock to the next, in words.

use crate::version;
use diorite_model::python::Version;
use diorite_model::{Lock, LockedPackage};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Lines such as `image: upgraded openssl 3.0.1 → 3.0.2 (trixie-security)`; empty when nothing changed. Release files are
/// named with their dates; one that was only signed again is no change worth a line of its own kind.
pub fn explain_update(old: &Lock, new: &Lock) -> String {
    let mut text = String::new();
    for (name, release) in &new.release {
        let line = match old.release.get(name) {
            None => format!("release {name}: added, of {}", day(&release.date)),
            Some(before) if before.date != release.date => {
                format!("release {name}: {} → {}", day(&before.date), day(&release.date))
            }
            Some(before) if before.components != release.components => {
                format!("release {name}: components {} → {}", before.components.join(" "), release.components.join(" "))
            }
            Some(before) if before.sha256 != release.sha256 => format!("release {name}: signed again, same date"),
            Some(_) => continue,
        };
        let _ = writeln!(text, "{line}");
    }
    for name in old.release.keys().filter(|name| !new.release.contains_key(*name)) {
        let _ = writeln!(text, "release {name}: removed");
    }
    list(&mut text, "image", &old.image, &new.image);
    lists(&mut text, "container", &old.container, &new.container);
    lists(&mut text, "wheels of container", &old.wheels, &new.wheels);
    list(&mut text, "tools", &old.tools, &new.tools);
    if text.is_empty() && old.recipe != new.recipe {
        text.push_str("the recipe changed; the packages did not\n");
    }
    text
}

/// `2026-11-21 02:10` of an RFC 3339 date.
fn day(date: &str) -> String {
    date.get(..16).unwrap_or(date).replace('T', " ")
}

type Lists = BTreeMap<String, Vec<LockedPackage>>;

/// Lists by the name of their container.
fn lists(text: &mut String, what: &str, old: &Lists, new: &Lists) {
    let empty = Vec::new();
    for name in old.keys().chain(new.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (before, after) = (old.get(name).unwrap_or(&empty), new.get(name).unwrap_or(&empty));
        list(text, &format!("{what} {name}"), before, after);
    }
}

fn list(text: &mut String, name: &str, old: &[LockedPackage], new: &[LockedPackage]) {
    let by_name = |list: &[LockedPackage]| -> BTreeMap<String, LockedPackage> {
        list.iter().map(|p| (p.name.clone(), p.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let mut lines: Vec<(u8, String)> = Vec::new();
    for (package, now) in &after {
        match before.get(package) {
            None => lines.push((2, format!("added {package} {} ({}{})", now.version, now.release, size(0, now.size)))),
            Some(was) if was.sha256 == now.sha256 => {}
            // The beginning of a digest is neither older nor newer.
            Some(was) if now.is_image() => {
                let change = size(was.size, now.size);
                lines.push((
                    1,
                    format!("changed {package} {} → {} ({}{change})", was.version, now.version, now.release),
                ));
            }
            Some(was) => {
                let (order, verb) = match order(was, now) {
                    std::cmp::Ordering::Less => (0, "upgraded"),
                    std::cmp::Ordering::Greater => (1, "downgraded"),
                    std::cmp::Ordering::Equal => (1, "other bytes under the same version:"),
                };
                let change = size(was.size, now.size);
                lines.push((
                    order,
                    format!("{verb} {package} {} → {} ({}{change})", was.version, now.version, now.release),
                ));
            }
        }
    }
    let gone = before.iter().filter(|(package, _)| !after.contains_key(*package));
    lines.extend(gone.map(|(package, was)| (3, format!("removed {package} {}{}", was.version, size(was.size, 0)))));
    lines.sort();
    for (_, line) in lines {
        let _ = writeln!(text, "{name}: {line}");
    }
}

/// By the rules of what it is a version of.
fn order(was: &LockedPackage, now: &LockedPackage) -> std::cmp::Ordering {
    match (Version::parse(&was.version), Version::parse(&now.version)) {
        (Ok(was), Ok(version)) if now.is_wheel() => was.cmp(&version),
        _ => version::compare(&was.version, &now.version),
    }
}

/// `, +1.2 MB` where the size changes by 100 kB or more.
fn size(old: u64, new: u64) -> String {
    let (sign, by) = if new >= old { ('+', new - old) } else { ('-', old - new) };
    if by < 100_000 { String::new() } else { format!(", {sign}{}.{} MB", by / 1_000_000, by / 100_000 % 10) }
}
