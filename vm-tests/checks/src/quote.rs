//! The only ways in which a value gets into a script for the machine's root shell: as one word of it, or as an argument
//! of a script that never changes.

use std::fmt::Write as _;

/// A value as one word of a shell, whatever is in it (POSIX.1-2017, Shell Command Language §2.2.2).
pub fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Values as words of a shell, with spaces between.
pub fn words<'a>(list: impl IntoIterator<Item = &'a String>) -> String {
    list.into_iter().map(|text| word(text)).collect::<Vec<_>>().join(" ")
}

/// A constant script with arguments: each byte of them an octal escape of printf(1), each one ended by a NUL.
pub fn script(script: &'static str, arguments: &[String]) -> String {
    let mut octal = String::new();
    for argument in arguments {
        for byte in argument.bytes().chain([0]) {
            // Writing to a string cannot fail.
            let _ = write!(octal, "\\{byte:03o}");
        }
    }
    format!("bash -c 'mapfile -d \"\" -t a < <(printf \"$1\"); set -- \"${{a[@]}}\"; {script}' diorite '{octal}'")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

    /// Values that run the program `pwned` where they are not quoted.
    const HOSTILE: [&str; 5] = ["x'; pwned #", "\"; pwned; \"", "$(pwned)", "`pwned`", "x\npwned\n"];

    /// Runs scripts that were made of hostile values on the host's own shell, where only `pwned` is a program: none of
    /// them starts it.
    pub fn harmless(make: impl Fn(&str) -> String) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (program, mark) = (directory.path().join("pwned"), directory.path().join("mark"));
        fs::write(&program, format!("#!/bin/sh\n: >{}\n", mark.display())).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
        let run = |script: &str| {
            let mut shell = Command::new("/bin/sh");
            let output = shell.args(["-c", script]).env_clear().env("PATH", directory.path()).output().expect("sh");
            // The scripts' other programs are not found, which they bear; a script that is none proves nothing.
            assert!(!String::from_utf8_lossy(&output.stderr).to_lowercase().contains("syntax error"), "{script}");
        };
        run("pwned");
        assert!(mark.exists(), "a control: the program runs where it is called");
        for hostile in HOSTILE {
            fs::remove_file(&mark).unwrap_or_default();
            let script = make(hostile);
            run(&script);
            assert!(!Path::exists(&mark), "{hostile} is run by {script}");
        }
    }

    fn run(command: &str) -> String {
        let output = Command::new("/bin/sh").args(["-c", command]).output().expect("sh");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn a_value_is_one_word() {
        harmless(|hostile| format!("echo {}", word(hostile)));
        for hostile in HOSTILE {
            assert_eq!(run(&format!("printf %s {}", word(hostile))), hostile);
        }
        assert_eq!(words(&["a b".to_owned(), "c".to_owned()]), "'a b' 'c'");
    }

    /// The host's own shell judges: every word arrives as it is, and none of them runs.
    #[test]
    fn hostile_words_are_words() {
        let words = [
            "'; echo pwned; '",
            "\"; echo pwned; \"",
            "$(echo pwned)",
            "`echo pwned`",
            "%s%n\\x41\\101",
            "",
            " ",
            "a\nb",
            "-n",
            "--",
            "*",
            "~",
            "\\",
            "!!",
            "ä\u{202e}",
            "\u{1}\u{7f}",
            "${a[@]}",
            "{{.}}",
            "x # y",
        ]
        .map(str::to_owned);
        let said = run(&script("printf \"<%s>\" \"$@\"", &words));
        let expected: String = words.iter().map(|w| format!("<{w}>")).collect();
        assert_eq!(said, expected);
        for word in &words {
            let text = script("true", std::slice::from_ref(word));
            let argument = text.rsplit_once(" diorite '").expect("the arguments").1;
            assert!(argument.trim_end_matches('\'').chars().all(|c| c == '\\' || c.is_ascii_digit()), "{argument}");
        }
    }
}
