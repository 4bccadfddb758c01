//! The command line's definition → man pages, shell completions and docs/reference/cli.md.

use crate::args::Cli;
use clap::{Arg, Command, CommandFactory as _};
use clap_complete::Shell;
use diorite_model::{Error, Result};
use std::fs;
use std::path::Path;

/// The definition, complete: global options are those of every verb.
fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// A completion script.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "diorite", &mut script);
    String::from_utf8(script).expect("our own texts are UTF-8")
}

/// Writes diorite(1) and a page for each verb into this directory.
pub fn man(directory: &Path) -> Result<()> {
    let fail = |e| Error::io("the man pages cannot be written", directory, e);
    fs::create_dir_all(directory).map_err(fail)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), directory).map_err(fail)
}

/// The reference page.
pub fn markdown() -> String {
    let root = command();
    let mut text = String::from(
        "# The command line\n\nGenerated from the definition of the arguments by `make reference`. `diorite VERB --help` \
         prints the same; `diorite man DIR` writes it as man pages, and `diorite completions SHELL` prints a completion \
         script.\n\n## Verbs\n\n| verb | does |\n|---|---|\n",
    );
    for verb in visible(&root) {
        text += &format!("| [`{0}`](#diorite-{0}) | {1} |\n", verb.get_name(), about(verb));
    }
    text += "\n## Options of every verb\n\n";
    for option in root.get_arguments().filter(|a| a.is_global_set()) {
        text += &described(option);
    }
    for verb in visible(&root) {
        section(verb, "diorite", &mut text);
    }
    let after = root.get_after_help().map(ToString::to_string).unwrap_or_default();
    text + &format!("\n## Exit codes\n\n{after}\n")
}

/// Verbs that people see.
fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help")
}

fn section(verb: &Command, above: &str, text: &mut String) {
    let name = format!("{above} {}", verb.get_name());
    *text += &format!("\n## {name}\n\n{}.\n", about(verb));
    if verb.has_subcommands() {
        visible(verb).for_each(|verb| section(verb, &name, text));
        return;
    }
    let usage = verb.clone().render_usage().to_string();
    *text += &format!("\n```text\n{}\n```\n\n", usage.trim_start_matches("Usage: "));
    let own = |argument: &&Arg| !argument.is_hide_set() && !argument.is_global_set() && argument.get_id() != "help";
    for argument in verb.get_arguments().filter(own) {
        *text += &described(argument);
    }
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// `- `--lock FILE`: what it is.`
fn described(argument: &Arg) -> String {
    let value = match argument.get_value_names() {
        Some(names) if argument.get_action().takes_values() => {
            names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    };
    let short = argument.get_short().map(|c| format!("-{c}, ")).unwrap_or_default();
    let name = match argument.get_long() {
        Some(long) => format!("{short}--{long} {value}"),
        None => value,
    };
    let choices: Vec<_> = argument.get_possible_values().iter().map(|v| format!("`{}`", v.get_name())).collect();
    let choices = match argument.get_action().takes_values() && !choices.is_empty() {
        true => format!(" One of {}.", choices.join(", ")),
        false => String::new(),
    };
    let defaults: Vec<_> = argument.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    let default = match argument.get_action().takes_values() && !defaults.is_empty() {
        true => format!(" Default: `{}`.", defaults.join(" ")),
        false => String::new(),
    };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    format!("- `{}`: {}.{choices}{default}\n", name.trim_end(), help.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every visible verb has its page, its section and its completion, and the hidden one has none.
    #[test]
    fn all_verbs_are_in_all_forms() {
        let directory = tempfile::tempdir().expect("a directory");
        man(directory.path()).expect("man pages");
        let (page, bash) = (markdown(), completions(Shell::Bash));
        let root = command();
        for verb in visible(&root) {
            let name = verb.get_name();
            let file = directory.path().join(format!("diorite-{name}.1"));
            let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{text}");
            assert!(page.contains(&format!("\n## diorite {name}\n")), "{name}");
            assert!(bash.contains(&format!("diorite,{name})")), "{name}");
        }
        let root = fs::read_to_string(directory.path().join("diorite.1")).expect("the page of the program");
        assert!(root.contains("141 the output was"), "{root}");
        assert!(!page.contains("test-material") && !root.contains("test\\-material"));
    }

    /// No text is missing, and none ends in the middle of a sentence.
    #[test]
    fn every_argument_is_described() {
        fn walk(command: &Command) {
            assert!(!about(command).is_empty(), "{}", command.get_name());
            for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().filter(|c| c.get_name() != "help").for_each(walk);
        }
        walk(&command());
    }
}
