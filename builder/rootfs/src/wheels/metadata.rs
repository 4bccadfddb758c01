//! `METADATA` and `WHEEL` of a wheel, and `entry_points.txt`: headers as in a letter, and an INI file.

/// The values of a header of this name, in any case. What follows the first empty line is the description.
pub(super) fn headers<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = String> + use<'a> {
    // A line of blanks alone goes on with the header before it, as in a licence.
    let mut lines = text.lines().take_while(|line| !line.is_empty()).peekable();
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            let Some((key, value)) = line.split_once(':') else { continue };
            if !key.eq_ignore_ascii_case(name) {
                continue;
            }
            let mut value = value.trim().to_owned();
            while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
                value.push(' ');
                value.push_str(more.trim());
            }
            return Some(value);
        }
    })
}

/// The first value of a header.
pub(super) fn header(text: &str, name: &str) -> Option<String> {
    headers(text, name).next()
}

/// A program that an entry point makes: its name, and its content.
pub(super) struct Script {
    pub name: String,
    pub text: String,
}

/// The programs of `entry_points.txt`, "Entry points specification". Error: a cause in words.
pub(super) fn scripts(text: &str) -> Result<Vec<Script>, String> {
    let (mut section, mut all) = ("", Vec::<Script>::new());
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.trim();
            continue;
        }
        if !matches!(section, "console_scripts" | "gui_scripts") {
            continue;
        }
        let wrong = || format!("its entry point `{}` starts no function", line.escape_debug());
        let (name, object) = line.split_once('=').ok_or_else(wrong)?;
        let (name, object) = (name.trim(), object.split('[').next().unwrap_or_default().trim());
        let (module, function) = object.split_once(':').ok_or_else(wrong)?;
        let (module, function) = (module.trim(), function.trim());
        let word = |part: &str| {
            let mut chars = part.chars();
            let first = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
            first && chars.all(|c| c == '_' || c.is_alphanumeric())
        };
        if ![module, function].iter().all(|path| path.split('.').all(word)) {
            return Err(wrong());
        }
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        if name.is_empty() || name.len() > 100 || name.starts_with(['.', '-']) || !name.chars().all(fine) {
            return Err(format!("its entry point `{}` has a name that no program should have", name.escape_debug()));
        }
        let first = function.split('.').next().unwrap_or_default();
        let text = format!(
            "{SHEBANG}\nimport sys\nfrom {module} import {first}\nif __name__ == \"__main__\":\n    sys.exit({function}())\n"
        );
        match all.iter().find(|script| script.name == name) {
            Some(other) if other.text != text => return Err(format!("it has two entry points `{name}`")),
            Some(_) => {}
            None => all.push(Script { name: name.to_owned(), text }),
        }
    }
    Ok(all)
}

/// The container's interpreter, as the first line of a program.
pub(super) const SHEBANG: &str = "#!/usr/bin/python3";

/// A program of a wheel with the container's interpreter in its first line, where it says that it wants one: PEP 427,
/// "Recommended installer features".
pub(super) fn with_interpreter(content: Vec<u8>) -> Vec<u8> {
    if !content.starts_with(b"#!python") {
        return content;
    }
    let end = content.iter().position(|b| *b == b'\n').unwrap_or(content.len());
    [SHEBANG.as_bytes(), &content[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_with_an_empty_line() {
        let text = "Metadata-Version: 2.1\nName: Flask\nLicense: one\n        \n        two\nrequires-dist: click>=8\nRequires-Dist: x;\n  os_name == 'nt'\n\nName: no\n";
        assert_eq!(header(text, "name").as_deref(), Some("Flask"));
        assert_eq!(headers(text, "Requires-Dist").collect::<Vec<_>>(), ["click>=8", "x; os_name == 'nt'"]);
        assert_eq!(headers(text, "Name").count(), 1);
        assert_eq!(header("", "Name"), None);
    }

    #[test]
    fn entry_points_become_programs() {
        let text = "# x\n[console_scripts]\nflask = flask.cli:main\nsub=a.b:C.run [extra]\n\n[gui_scripts]\nwin = a:b\n[other]\nx = y\n";
        let all: Vec<String> = scripts(text).unwrap().into_iter().map(|s| format!("{}:\n{}", s.name, s.text)).collect();
        insta::assert_snapshot!(all.join("\n"));
        for bad in [
            "x = a",
            "x = a:b()",
            "x = a:b;id",
            "../x = a:b",
            ".x = a:b",
            " = a:b",
            "x = a b:c",
            "x y = a:b",
            "x = :b",
            "x",
        ] {
            assert!(scripts(&format!("[console_scripts]\n{bad}\n")).is_err(), "{bad}");
        }
        assert!(scripts("[console_scripts]\nx = a:b\n[gui_scripts]\nx = a:c\n").is_err());
    }

    #[test]
    fn an_interpreter_is_put_in() {
        assert_eq!(with_interpreter(b"#!python -x\nprint()\n".to_vec()), b"#!/usr/bin/python3\nprint()\n");
        assert_eq!(with_interpreter(b"#!pythonw\n".to_vec()), b"#!/usr/bin/python3\n");
        for kept in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF"] {
            assert_eq!(with_interpreter(kept.to_vec()), kept);
        }
    }
}
