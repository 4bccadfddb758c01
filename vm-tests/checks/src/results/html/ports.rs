//! Ports: what each was, in both families, against what was declared.

use diorite_model::report::{Declared, Port, Report, Seen};
use diorite_page::Page;
use std::collections::BTreeMap;

/// Writes the matrix. What is silent as it must be is told in ranges; everything else has a row.
pub fn write(page: &mut Page, report: &Report) {
    let ports = &report.boot.ports;
    if ports.is_empty() {
        page.element("p", &[("class", &"soft")], "No port was asked, or none was declared and none was heard.");
        return;
    }
    let wrong = ports.iter().filter(|p| !p.fits()).count();
    let class = if wrong == 0 { "good" } else { "bad" };
    let said = match wrong {
        0 => format!("All {} answers are as declared.", ports.len()),
        1 => format!("1 of {} answers is not as declared.", ports.len()),
        n => format!("{n} of {} answers are not as declared.", ports.len()),
    };
    page.element("p", &[("class", &class)], said);
    let rest = "These are the ports that were declared, and any other that was not silent. How the rest was asked, and from \
                where, stands among the checks.";
    page.element("p", &[("class", &"soft")], rest);
    let mut rows: BTreeMap<(&str, u16), BTreeMap<&str, &Port>> = BTreeMap::new();
    for port in ports {
        rows.entry((port.protocol.as_str(), port.port)).or_default().insert(port.family.as_str(), port);
    }
    let quiet = |row: &BTreeMap<&str, &Port>| row.values().all(|p| p.declared == Declared::Silent && p.fits());
    page.raw("<div class=\"scroll\"><table><thead><tr><th>port</th><th>IPv4 declared</th><th>IPv4 seen</th><th>IPv6 declared</th><th>IPv6 seen</th></tr></thead><tbody>\n");
    for ((protocol, port), row) in rows.iter().filter(|(_, row)| !quiet(row)) {
        let fail = row.values().any(|p| !p.fits());
        page.open("tr", &[("class", &if fail { "fail" } else { "" })]);
        page.element("td", &[("class", &"mono")], format!("{port}/{protocol}"));
        for family in ["ipv4", "ipv6"] {
            match row.get(family) {
                None => drop(page.raw("<td class=\"soft\">–</td><td class=\"soft\">not asked</td>")),
                Some(p) => {
                    page.element("td", &[], declared(p.declared));
                    let (class, sign) = if p.fits() { ("word good", "✓") } else { ("word bad", "✗") };
                    page.element("td", &[("class", &class)], format!("{sign} {}", seen(p.seen)));
                }
            }
        }
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table></div>\n");
    for (family, name) in [("ipv4", "IPv4"), ("ipv6", "IPv6")] {
        for protocol in ["tcp", "udp"] {
            let silent = rows.iter().filter(|((p, _), row)| *p == protocol && quiet(row) && row.contains_key(family));
            let list: Vec<u16> = silent.map(|((_, port), _)| *port).collect();
            if !list.is_empty() {
                let said = format!("Silent as declared over {name}, {}: {}", protocol.to_uppercase(), ranges(&list));
                page.element("p", &[("class", &"soft")], said);
            }
        }
    }
}

fn declared(what: Declared) -> &'static str {
    match what {
        Declared::Open => "open",
        Declared::Admitted => "admitted",
        Declared::Silent => "silent",
    }
}

fn seen(what: Seen) -> &'static str {
    match what {
        Seen::Open => "open",
        Seen::Closed => "closed",
        Seen::Rejected => "rejected",
        Seen::Silent => "silent",
    }
}

/// Sorted numbers as `21, 23–25`.
fn ranges(list: &[u16]) -> String {
    let mut all: Vec<(u16, u16)> = Vec::new();
    for port in list {
        match all.last_mut() {
            Some((_, last)) if port.checked_sub(1) == Some(*last) => *last = *port,
            _ => all.push((*port, *port)),
        }
    }
    let one = |(first, last): &(u16, u16)| if first == last { first.to_string() } else { format!("{first}–{last}") };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::report;

    #[test]
    fn ranges_are_short() {
        assert_eq!(ranges(&[21, 23, 24, 25, 65535]), "21, 23–25, 65535");
        assert_eq!(ranges(&(1..=65535).collect::<Vec<_>>()), "1–65535");
    }

    #[test]
    fn what_is_not_as_declared_has_a_row() {
        let port = |family: &str, port, declared, seen| Port {
            family: family.into(),
            protocol: "tcp".into(),
            port,
            declared,
            seen,
        };
        let mut report = report(vec![]);
        report.boot.ports = vec![
            port("ipv4", 22, Declared::Open, Seen::Open),
            port("ipv6", 22, Declared::Open, Seen::Silent),
            port("ipv4", 23, Declared::Silent, Seen::Silent),
            port("ipv4", 80, Declared::Silent, Seen::Rejected),
        ];
        let mut page = Page::default();
        write(&mut page, &report);
        let text = page.finish();
        assert!(text.contains("2 of 4 answers are not as declared."), "{text}");
        assert!(text.contains("<td class=\"mono\">22/tcp</td><td>open</td><td class=\"word good\">✓ open</td><td>open</td><td class=\"word bad\">✗ silent</td>"), "{text}");
        assert!(text.contains("✗ rejected") && text.contains("over IPv4, TCP: 23<"), "{text}");
    }
}
