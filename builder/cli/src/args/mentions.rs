//! Every text that mentions a command of ours mentions one that exists: messages and comments of the sources, README, guide,
//! decisions, Makefile and profiles are compared with the definition of the arguments.

use super::Cli;
use clap::{Command, CommandFactory as _};
use std::fs;
use std::path::{Path, PathBuf};

/// What is read: files, and directories with the endings of their files.
const TEXTS: &[(&str, &[&str])] = &[
    ("README.md", &[]),
    ("ARCHITECTURE.md", &[]),
    ("CONTRIBUTING.md", &[]),
    ("Makefile", &[]),
    (".ci/run", &[]),
    ("docs/guide", &["md"]),
    ("docs/reference", &["md", "json"]),
    ("docs/decisions", &["md"]),
    ("profiles", &["toml"]),
    ("overlays", &["toml"]),
    ("builder", &["rs"]),
    ("builder/cli/src/init/files", &["toml", "yml"]),
    ("vm-tests", &["rs", "toml"]),
];

/// Options in backticks that are those of other programs, or of our tests.
const FOREIGN: &[&str] = &["--since", "--force-depends", "--git"];

fn files(at: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    if at.is_file() {
        found.push(at.to_owned());
        return;
    }
    for entry in fs::read_dir(at).unwrap_or_else(|e| panic!("{}: {e}", at.display())).flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let ending = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && name != "tests" && name != "examples" {
            files(&path, endings, found);
        } else if endings.contains(&ending.as_str()) && name != "tests.rs" && name != "mentions.rs" {
            found.push(path);
        }
    }
}

/// A text without what only its tests say, and with the Makefile's name of the program spelt out.
fn shown(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    text.replace("$(DIORITE)", "./diorite").replace("target/$(HOST)/release/diorite", "")
}

/// Commands in a text: the line, and the words after `diorite`. In sources and the Makefile (`marked`) the name stands in many
/// other places: there a command is in backticks, or begins with `./` or `run`.
fn commands(text: &str, marked: bool) -> Vec<(usize, Vec<String>)> {
    let mut all = Vec::new();
    for (at, _) in text.match_indices("diorite ") {
        let before = text[..at].strip_suffix("./").unwrap_or(&text[..at]);
        let (last, rest) = (before.chars().next_back().unwrap_or(' '), &text[at + "diorite ".len()..]);
        // `cargo build -p diorite`, a path, or a word that only ends so.
        if before.ends_with("-p ") || !(last.is_whitespace() || "`\"'(".contains(last)) {
            continue;
        }
        let mark = last == '`' || text[..at].ends_with("./") || before.ends_with("run ");
        if marked && !mark {
            continue;
        }
        if !rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '-') {
            continue;
        }
        // Between backticks a command may go on in the next line; elsewhere it ends with its own.
        let end = match last {
            '`' => rest.find('`'),
            _ => rest.find(['\n', '`', '"', '\'', '|', ';', '>', '<', '&', '(', ')']),
        };
        let rest = &rest[..end.unwrap_or(rest.len())];
        let words = rest.split(" #").next().unwrap_or(rest).split_whitespace();
        let words = words.filter(|word| !matches!(*word, "//" | "///" | "//!" | "#" | "\\"));
        let line = text[..at].matches('\n').count() + 1;
        all.push((line, words.map(str::to_owned).collect()));
    }
    all
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| ".,:;)([]…`'\"".contains(c))
}

fn has_option(command: &Command, name: &str) -> bool {
    matches!(name, "help" | "version") || command.get_arguments().any(|a| a.get_long() == Some(name))
}

/// What is wrong with a command, if anything.
fn wrong(root: &Command, words: &[String]) -> Option<String> {
    let mut at = root;
    let mut positional = 0;
    for word in words.iter().map(|word| bare(word)) {
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split(['=', '/']).next().unwrap_or(option);
            if !name.is_empty() && !has_option(at, name) && !has_option(root, name) {
                return Some(format!("`{}` has no option `--{name}`", at.get_name()));
            }
        } else if at.has_subcommands() && word.starts_with(|c: char| c.is_ascii_lowercase()) {
            // `vault export/import` stands for both.
            let mut next = at;
            for name in word.split('/') {
                match at.find_subcommand(name) {
                    Some(command) => next = command,
                    None if name == "help" => {}
                    None => return Some(format!("`{}` has no verb `{name}`", at.get_name())),
                }
            }
            at = next;
            positional += 1;
        } else if positional == 0 {
            return None;
        }
    }
    None
}

/// Options that a Markdown page mentions on their own: `--plan`.
fn options(text: &str) -> Vec<(usize, String)> {
    let found = text.match_indices("`--").map(|(at, _)| {
        let rest = &text[at + 1..];
        let end =
            rest.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')).unwrap_or(rest.len());
        (text[..at].matches('\n').count() + 1, rest[..end].to_owned())
    });
    found.collect()
}

fn known_anywhere(command: &Command, name: &str) -> bool {
    has_option(command, name) || command.get_subcommands().any(|c| known_anywhere(c, name))
}

#[test]
fn every_command_in_a_text_exists() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    for (path, endings) in TEXTS {
        files(&repository.join(path), endings, &mut all);
    }
    let mut root = Cli::command();
    root.build();
    let (mut seen, mut faults) = (0, Vec::new());
    for file in all {
        let text = shown(&fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())));
        let place = |line: usize| format!("{}:{line}", file.strip_prefix(&repository).unwrap_or(&file).display());
        let marked = !file.extension().is_some_and(|e| e == "md" || e == "toml" || e == "yml");
        for (line, words) in commands(&text, marked) {
            seen += 1;
            faults.extend(wrong(&root, &words).map(|what| format!("{}: {what}: {}", place(line), words.join(" "))));
        }
        if file.extension().is_some_and(|e| e == "md") {
            for (line, option) in options(&text) {
                if !known_anywhere(&root, &option[2..]) && !FOREIGN.contains(&option.as_str()) {
                    faults.push(format!("{}: no verb has the option `{option}`", place(line)));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 60, "only {seen} commands were found");
}

/// Positive control: each kind of mistake is found, wherever it stands.
#[test]
fn a_command_that_does_not_exist_is_found() {
    let mut root = Cli::command();
    root.build();
    let faults =
        |text: &str| commands(text, false).iter().filter_map(|(_, words)| wrong(&root, words)).collect::<Vec<_>>();
    for (text, fault) in [
        ("the earlier one; `diorite undo` tells which is right", "`diorite` has no verb `undo`"),
        (".hint(\"run diorite undo\")", "`diorite` has no verb `undo`"),
        ("```sh\n./diorite build server --now # at once\n```", "`build` has no option `--now`"),
        ("run `diorite build\n/// server --now`", "`build` has no option `--now`"),
        ("`diorite vault pack x`", "`vault` has no verb `pack`"),
        ("`diorite deploy web --to school`", "`deploy` has no option `--to`"),
        ("diorite --jsn show server", "`diorite` has no option `--jsn`"),
    ] {
        assert_eq!(faults(text), [fault], "{text}");
    }
    assert_eq!(commands("format!(\"diorite container {name}\"); run `diorite x`, run diorite y", true).len(), 2);
    for text in [
        "`diorite build NAME --relock`, and `diorite vault export/import`",
        "format!(\"run `diorite lock {} --update` and look\")",
        "./diorite --json show server > file --to",
        "cargo test -p diorite --test vm",
        "the `diorite` program",
        "`diorite {verb} --any`",
    ] {
        assert_eq!(faults(text), [""; 0], "{text}");
    }
    assert_eq!(
        options("with `--plan` and `--max-unavailable N`"),
        [(1, "--plan".into()), (1, "--max-unavailable".into())]
    );
    assert!(!known_anywhere(&root, "patience") && known_anywhere(&root, "timeout"));
}
