//! A file of requirements as pip reads it, "Requirements File Format" of its documentation: comments, lines that go on
//! behind a backslash, and options. What would fetch anything but a wheel by its hash is refused.

use super::Pinned;
use std::ops::Range;

/// One requirement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementLine {
    /// What it asks for.
    pub pinned: Pinned,
    /// Its first line's bytes in the file.
    pub at: Range<usize>,
}

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementError {
    /// Its bytes in the file.
    pub at: Range<usize>,
    /// What is wrong.
    pub cause: String,
    /// What to do about it; may be empty.
    pub hint: &'static str,
}

/// More requirements than any application has.
const MOST: usize = 2000;

/// Reads a file; the first line that cannot be used is the error.
pub fn read(text: &str) -> Result<Vec<RequirementLine>, RequirementError> {
    let mut all = Vec::new();
    for (at, line) in logical(text) {
        let wrong = |cause: String, hint| RequirementError { at: at.clone(), cause, hint };
        if let Some(c) = line.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(wrong(format!("it holds the character `{}`", c.escape_debug()), ""));
        }
        let line = line.trim();
        if line.is_empty() || passed(line) {
            continue;
        }
        if line.starts_with('-') {
            let (cause, hint) = option(line);
            return Err(wrong(cause, hint));
        }
        let pinned = Pinned::parse(line).map_err(|cause| wrong(cause, ""))?;
        all.push(RequirementLine { pinned, at: at.clone() });
        if all.len() > MOST {
            return Err(wrong(format!("there are more than {MOST} requirements"), ""));
        }
    }
    Ok(all)
}

/// Lines without comments, those that go on joined; each with the place of its first.
fn logical(text: &str) -> Vec<(Range<usize>, String)> {
    let mut all: Vec<(Range<usize>, String)> = Vec::new();
    let (mut offset, mut goes_on) = (0, false);
    for whole in text.split_inclusive('\n') {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let at = offset..offset + line.len();
        offset += whole.len();
        // As pip does: a line of comment alone ends what goes on, and has no continuation itself.
        let comment = line.trim_start().starts_with('#');
        let (kept, more) = match line.strip_suffix('\\') {
            Some(kept) if !comment => (kept, true),
            _ => (line, false),
        };
        match all.last_mut().filter(|_| goes_on) {
            Some((_, before)) => {
                if !comment {
                    before.push(' ');
                    before.push_str(kept);
                }
            }
            None => all.push((at, kept.to_owned())),
        }
        goes_on = more;
    }
    for (_, line) in &mut all {
        let mut before = ' ';
        let end = line.char_indices().find(|&(_, c)| {
            let begins = c == '#' && before.is_whitespace();
            before = c;
            begins
        });
        if let Some((end, _)) = end {
            line.truncate(end);
        }
    }
    all
}

/// Options that ask for what is done anyway.
fn passed(line: &str) -> bool {
    let words: Vec<&str> = line.split([' ', '\t', '=']).filter(|w| !w.is_empty()).collect();
    matches!(words[..], ["--only-binary", ":all:"] | ["--require-hashes"] | ["--prefer-binary"])
}

/// Why an option cannot be used, and what to do.
fn option(line: &str) -> (String, &'static str) {
    let name = line.split([' ', '\t', '=']).next().unwrap_or_default();
    let said = format!("`{}` has no place here", name.escape_debug());
    match name {
        "-i" | "--index-url" | "--pypi-url" | "--extra-index-url" | "-f" | "--find-links" | "--no-index"
        | "--trusted-host" => (
            said,
            "remove it: where wheels are is no part of an image; write `wheel_index` under [archive], or set DIORITE_WHEEL_INDEX",
        ),
        "-r" | "--requirement" | "-c" | "--constraint" => {
            (said, "a lock is made from one file: write all requirements into it, as `pip-compile` does")
        }
        "-e" | "--editable" => (said, "only wheels are taken; build one of the source code, and name it by its URL"),
        "--no-binary" => {
            (said, "remove it: only wheels are taken, since source code would have to be run to be installed")
        }
        "--only-binary" => {
            (format!("`{}` is more than is known here", line.escape_debug()), "write `--only-binary :all:`")
        }
        _ => (said, "write requirements, `name==version --hash=sha256:…`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    #[test]
    fn a_file_of_pip_compile_is_read() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let text = format!(
            "#\n# This file is autogenerated by pip-compile with Python 3.13 \\\n#\n--only-binary=:all:\n--require-hashes\n\n\
             click==8.1.7 \\\r\n    --hash=sha256:{a} \\\r\n    --hash=sha256:{b}\r\n    # via flask\n\
             flask[async]==3.0.3 ; python_version >= \"3.8\" --hash=sha256:{b}  # the application\n\
             x @ https://files.example/x-1-py3-none-any.whl#1 --hash=sha256:{b}\n"
        );
        let error = read(&text).unwrap_err();
        assert!(text[error.at.clone()].starts_with("x @") && error.cause.contains("fragment"), "{error:?}");
        let lines = read(&text.replace("#1", "")).unwrap();
        let said: Vec<String> = lines.iter().map(|l| l.pinned.words()).collect();
        assert_eq!(said, ["click 8.1.7", "flask 3.0.3", "x 1"]);
        assert_eq!(lines[0].pinned.hashes.len(), 2);
        assert_eq!(&text[lines[0].at.clone()], "click==8.1.7 \\");
        assert_eq!(lines[1].pinned.marker.as_ref().unwrap().to_string(), "python_version >= \"3.8\"");
    }

    #[test]
    fn what_would_fetch_something_else_is_refused() {
        let all = [
            "-r other.txt",
            "-c constraints.txt",
            "--index-url https://index.example/simple",
            "--extra-index-url=https://index.example/simple",
            "-f wheels/",
            "-e .",
            "--no-binary :all:",
            "--only-binary flask",
            "--hash=sha256:00",
            "flask==${VERSION} --hash=sha256:00",
            "flask",
            "flask==1\u{1b}[2J",
        ];
        let said: Vec<String> = all
            .iter()
            .map(|line| {
                let error = read(&format!("# first\n{line}\n")).unwrap_err();
                assert_eq!(error.at.start, 8);
                format!("{line:?}: {} ({})", error.cause, error.hint)
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"));
        assert_eq!(read("# nothing\n\n").unwrap(), []);
    }
}
