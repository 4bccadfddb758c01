//! Earlier spellings of the command line: each is refused, and the error names today's.

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Verb, the option it had, and what it is called today.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("plan", "--relock", "--scratch-lock"),
    ("verify", "--relock", "--scratch-lock"),
    ("scenario", "--relock", "--scratch-lock"),
    ("deploy", "--to", "--target TARGET"),
    ("rollback", "--to", "--version VERSION"),
    ("deploy", "--patience", "--timeout SECONDS"),
    ("rollback", "--patience", "--timeout SECONDS"),
    ("build", "--no-qcow2", "--format raw"),
    ("image", "--no-qcow2", "--format raw"),
    ("drive", "--disc", "--iso FILE"),
];

/// Verbs whose first positional argument was the target, and how they are called today.
const TARGET_FIRST: &[(&str, &str)] = &[
    ("rollback", "`diorite rollback [MACHINE] --target TARGET`"),
    ("status", "`diorite status [PROFILE] --target TARGET`"),
];

/// Adds today's name to the error about an earlier one.
pub fn explain(mut error: Error, arguments: impl IntoIterator<Item = String>) -> Error {
    let command = super::Cli::command();
    let Some(verb) = arguments.into_iter().skip(1).find(|word| command.find_subcommand(word).is_some()) else {
        return error;
    };
    let invalid = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(all)) => all.join(" "),
        _ => return error,
    };
    let unknown = error.kind() == ErrorKind::UnknownArgument;
    let option = OPTIONS.iter().find(|(of, old, _)| unknown && *of == verb && *old == invalid);
    let target_first = TARGET_FIRST.iter().find(|(of, _)| {
        let misplaced = unknown && !invalid.starts_with('-');
        let missing = error.kind() == ErrorKind::MissingRequiredArgument && invalid.contains("--target");
        *of == verb && (misplaced || missing)
    });
    let tip = match (option, target_first) {
        (Some((_, old, new)), _) => format!("`{old}` of `diorite {verb}` is now `{new}`"),
        (None, Some((_, usage))) => format!("the target is named by an option: {usage}"),
        (None, None) => return error,
    };
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::TrailingArg);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser as _;

    fn refused(line: &str) -> String {
        let words = || line.split(' ').map(str::to_owned);
        let error = explain(Cli::try_parse_from(words()).expect_err(line), words());
        assert!(error.use_stderr() && error.exit_code() == 2, "{line}");
        error.to_string()
    }

    #[test]
    fn every_earlier_option_is_answered_with_its_new_name() {
        for (verb, old, new) in OPTIONS {
            let named = if *verb == "rollback" { "web --target school" } else { "web" };
            let error = refused(&format!("diorite --store somewhere {verb} {named} {old} x"));
            assert!(error.contains(&format!("tip: `{old}` of `diorite {verb}` is now `{new}`")), "{error}");
            // And what it names is there.
            let command = Cli::command();
            let option = new.split(' ').next().and_then(|o| o.strip_prefix("--")).expect("an option");
            let verb = command.find_subcommand(verb).expect("a verb");
            assert!(verb.get_arguments().any(|a| a.get_long() == Some(option)), "{new}");
        }
    }

    #[test]
    fn a_target_in_first_place_is_answered_with_the_new_order() {
        for line in [
            "diorite rollback school",
            "diorite rollback school web",
            "diorite status school",
            "diorite status school web",
        ] {
            let error = refused(line);
            assert!(error.contains("tip: the target is named by an option: `diorite "), "{line}: {error}");
        }
    }

    /// Positive control: no tip where no earlier spelling was used, and the new ones are accepted.
    #[test]
    fn other_mistakes_get_no_such_tip() {
        for line in ["diorite build web --relokc", "diorite build web --to x", "diorite deploy web", "diorite nonsense"]
        {
            let error = refused(line);
            assert!(!error.contains(" is now ") && !error.contains("by an option"), "{line}: {error}");
        }
        for line in [
            "diorite plan web --scratch-lock",
            "diorite build web --relock",
            "diorite deploy web --target school --timeout 5",
            "diorite rollback web --target school --version 2",
            "diorite rollback --target school",
            "diorite status web --target school",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
