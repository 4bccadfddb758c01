//! No string of any field can leave its line, its word or its quotes.

use super::*;

/// Every string of a value tree: a path to it, as indices.
fn strings(value: &toml::Value, path: Vec<String>, all: &mut Vec<Vec<String>>) {
    let deeper = |key: String| [path.clone(), vec![key]].concat();
    match value {
        toml::Value::String(_) => all.push(path),
        toml::Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| strings(v, deeper(i.to_string()), all)),
        toml::Value::Table(table) => table.iter().for_each(|(k, v)| strings(v, deeper(k.clone()), all)),
        _ => {}
    }
}

fn at<'a>(value: &'a mut toml::Value, path: &[String]) -> &'a mut toml::Value {
    path.iter().fold(value, |value, key| match value {
        toml::Value::Array(list) => &mut list[key.parse::<usize>().unwrap()],
        other => other.get_mut(key).unwrap(),
    })
}

/// No string of any field, and no name of anything, can carry a line, a quote or an expansion into a file we write.
#[test]
fn hostile_strings_are_refused_in_every_field() {
    const LINES: [&str; 9] = [
        "x\nExecStart=/bin/sh",
        "x\r\nPermitRootLogin yes",
        "x\0y",
        "x\u{1b}[2J",
        "x\u{85}y",
        "\u{202e}x",
        "x\ty",
        "x\u{7f}",
        "x\\\n",
    ];
    const WORDS: [&str; 14] = [
        "x; rm -rf /",
        "$(id)",
        "`id`",
        "x\" accept comment \"",
        "x } chain y {",
        "x' y",
        "x #",
        "x%n",
        "x y",
        "x\\",
        "../../etc/shadow",
        "",
        "-x",
        "ä",
    ];
    let full: toml::Value = FULL.parse::<toml::Table>().map(toml::Value::Table).unwrap();
    let mut fields = Vec::new();
    strings(&full, vec![], &mut fields);
    assert!(fields.len() > 40, "only {} strings", fields.len());
    let try_one = |path: &[String], hostile: &str| {
        let mut changed = full.clone();
        *at(&mut changed, path) = toml::Value::String(hostile.to_owned());
        parse(&toml::to_string(&changed).unwrap(), "profiles/full.toml", &mut shipped)
    };
    for path in &fields {
        for hostile in LINES {
            assert!(try_one(path, hostile).is_err(), "{path:?} lets {hostile:?} through");
        }
        // Words for people reach no file of the image.
        if path.last().is_some_and(|p| p == "why" || p == "purpose")
            || path.get(1).is_some_and(|p| p == "owners" || p == "contacts")
        {
            continue;
        }
        // Arguments go into JSON, and what follows a program is one; a variable's value is quoted: any text in one line.
        let last = path.last().map_or("", String::as_str);
        let argument = |key: &str| path.iter().any(|p| p == key) && last != "0";
        let free = argument("command") || argument("exec") || argument("entrypoint") || last == "LOG_LEVEL";
        // What is run on the administrator's own host is his to say; no shell reads it.
        let own = path.join(".") == "instances.web-1.credentials.three.command.0";
        if free || own || path.join(".") == "containers.db.command.0" {
            continue;
        }
        // A debconf answer is what its template's author wrote: a line that only debconf reads, without a backslash.
        if path.iter().any(|p| p == "debconf") {
            assert!(try_one(path, "x\\").is_err() && try_one(path, " x").is_err() && try_one(path, "").is_err());
            continue;
        }
        // What is only looked for in an answer is compared, and goes nowhere.
        if ["contains", "lacks", "stdout", "stderr", "expect"].iter().any(|key| path.iter().any(|p| p == key)) {
            continue;
        }
        if last == "target" {
            continue;
        }
        // An expression is one string of a YAML file, which Prometheus' own parser judges.
        if last == "expr" {
            assert!(try_one(path, "rate(up[5m]").is_err() && try_one(path, "").is_err());
            continue;
        }
        // Sentences for people go into files that no program parses.
        if path.iter().any(|p| p == "banner") {
            continue;
        }
        for hostile in
            WORDS.iter().filter(|w| !["description", "summary", "reason"].contains(&last) || !["x y", "ä"].contains(*w))
        {
            // An argument of sudo's may begin with `-` and be a path; what sudoers(5) expands is refused below.
            if path.iter().any(|p| p == "arguments") && ["-x", "../../etc/shadow"].contains(hostile) {
                continue;
            }
            assert!(try_one(path, hostile).is_err(), "{path:?} lets {hostile:?} through");
        }
    }
    for hostile in LINES.iter().chain(&WORDS) {
        let quoted = toml::Value::String((*hostile).to_owned()).to_string();
        for (table, value) in [("hosts", "192.0.2.1"), ("trust", super::trust::AUTHORITY)] {
            let text = format!("extends = \"base\"\n[{table}]\n{quoted} = \"\"\"\n{value}\"\"\"\n");
            assert!(parse(&text, "x.toml", &mut shipped).is_err(), "{table} lets {hostile:?} through");
        }
    }
    for table in [
        "network.X",
        "containers.X",
        "container_networks.X",
        "access.administrators.X",
        "access.users.X",
        "access.groups.X",
        "archive.extra.X",
        "firewall.sets.X",
        "mounts.X",
        "monitoring.targets.X",
        "monitoring.probes.X",
        "monitoring.alerts.X",
        "monitoring.alertmanager.receivers.X",
        "vpn.X",
        "certificates.X",
        "backup.dumps.X",
        "audit.waivers.X",
    ] {
        for hostile in LINES.iter().chain(&WORDS) {
            let quoted = toml::Value::String((*hostile).to_owned()).to_string();
            let text = format!("extends = \"base\"\n[{}]\n", table.replace('X', &quoted));
            assert!(parse(&text, "x.toml", &mut shipped).is_err(), "{table} lets {hostile:?} through");
        }
    }
}
