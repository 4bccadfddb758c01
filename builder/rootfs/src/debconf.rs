//! `packages.debconf`: answers to the questions of packages' scripts. They are held against the templates that the packages
//! bring (debconf-devel(7)), given to debconf by its own debconf-set-selections(1) before anything is configured, and looked
//! up in its database (`config.dat`) after everything is.

use crate::control::Paragraph;
use crate::extract::Root;
use crate::scripts::{ScriptEnvironment, tail};
use crate::staging::StagedPackage;
use diorite_model::{Error, Result};
use std::collections::BTreeMap;

const PROGRAM: &str = "usr/bin/debconf-set-selections";
/// Where the answers are read from in the tree; nothing is left of it.
const FILE: &str = "run/diorite-answers";
/// debconf's database of answers.
const DATABASE: &str = "var/cache/debconf/config.dat";

/// Answers to questions that there are, each with the package that asks and the type of its template.
#[derive(Debug, Default)]
pub struct Answers(Vec<Answer>);

#[derive(Debug)]
struct Answer {
    template: String,
    value: String,
    package: String,
    kind: String,
}

impl Answers {
    /// Holds answers against the templates of the packages.
    ///
    /// # Errors
    /// A question that nobody asks, one for a password, an answer of another type than the question's.
    pub fn to(answers: &BTreeMap<String, String>, staged: &[StagedPackage]) -> Result<Self> {
        if answers.is_empty() {
            return Ok(Self::default());
        }
        let mut templates: BTreeMap<String, (String, Paragraph)> = BTreeMap::new();
        for package in staged {
            let text = package.deb.text("templates");
            for stanza in text.split("\n\n").filter(|s| !s.trim().is_empty()) {
                let template =
                    Paragraph::parse(stanza.trim_matches('\n').as_bytes(), &package.deb.path.display().to_string())?;
                if let Some(name) = template.get("Template") {
                    templates.entry(name.to_owned()).or_insert((package.deb.name().to_owned(), template));
                }
            }
        }
        let one = |(template, value): (&String, &String)| {
            let Some((package, asked)) = templates.get(template) else { return Err(unknown(template, &templates)) };
            suits(asked, value).map_err(|e| e.at(place(template)))?;
            let kind = asked.get("Type").unwrap_or("string").to_owned();
            Ok(Answer { template: template.clone(), value: value.clone(), package: package.clone(), kind })
        };
        answers.iter().map(one).collect::<Result<_>>().map(Self)
    }

    /// Gives them to debconf.
    pub fn set(&self, root: &mut Root, environment: &ScriptEnvironment<'_>) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        if root.read(PROGRAM.as_bytes())?.is_none() {
            return Err(Error::input("nothing in this image asks debconf's questions")
                .at("packages.debconf")
                .because("the package `debconf` is not installed")
                .hint("add it to `packages.include`, or take the answers out"));
        }
        let line = |a: &Answer| format!("{} {} {} {}\n", a.package, a.template, a.kind, a.value);
        root.directories(b"run")?;
        root.write(FILE.as_bytes(), self.0.iter().map(line).collect::<String>().as_bytes(), 0o600)?;
        let output = environment.fence().run(&[&format!("/{PROGRAM}"), &format!("/{FILE}")], "/")?;
        root.forget();
        let real = root.real(FILE.as_bytes())?;
        root.unlink(&real)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::input("debconf does not take the answers")
            .at("packages.debconf")
            .because(format!("debconf-set-selections ended with {}", output.status))
            .detail(tail(&output.text(), 20)))
    }

    /// Looks whether debconf still has them. A script may empty its question or withdraw it when it has used the answer, as
    /// postfix's does, so that only another answer means that ours had no effect.
    ///
    /// # Errors
    /// A script put another answer in the place of one.
    pub fn verify(&self, root: &mut Root) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let text = root.read(DATABASE.as_bytes())?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        for answer in &self.0 {
            let Some(other) = replaced(&text, answer) else { continue };
            return Err(Error::input(format!("the answer to `{}` was not used", answer.template))
                .at(place(&answer.template))
                .because(format!("a script of package `{}` answered `{other}` instead", answer.package))
                .hint("take the answer out, and bring the configuration that it was to make with an overlay"));
        }
        Ok(())
    }
}

fn place(template: &str) -> String {
    format!("packages.debconf.\"{template}\"")
}

/// The answer that stands in the place of ours.
fn replaced<'a>(database: &'a str, answer: &Answer) -> Option<&'a str> {
    value_of(database, &answer.template).filter(|value| !value.is_empty() && *value != answer.value)
}

/// The value of a question in debconf's database: paragraphs `Name: …`, `Value: …`.
fn value_of<'a>(database: &'a str, question: &str) -> Option<&'a str> {
    let field = |paragraph: &'a str, name: &str| paragraph.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
    let paragraph = database.split("\n\n").find(|p| field(p, "Name:") == Some(question))?;
    Some(field(paragraph, "Value:").unwrap_or_default())
}

/// The error of a question that nobody asks, with those that its package does ask.
fn unknown(template: &str, templates: &BTreeMap<String, (String, Paragraph)>) -> Error {
    let first = template.split('/').next().unwrap_or(template);
    let question = |(name, (package, asked)): (&String, &(String, Paragraph))| {
        let asks = name.split('/').next() == Some(first) || package == first;
        (asks && asked.get("Type").is_some_and(|kind| is_question(kind) && kind != "password"))
            .then(|| format!("`{name}`"))
    };
    let mut there: Vec<String> = templates.iter().filter_map(question).collect();
    let more = there.len().saturating_sub(12);
    there.truncate(12);
    let hint = match (there.is_empty(), more) {
        (true, _) => format!("no package that is installed asks anything that begins with `{first}`"),
        (_, 0) => format!("there are {}", there.join(", ")),
        (_, more) => format!("there are {}, and {more} more", there.join(", ")),
    };
    Error::input(format!("no package asks `{template}`"))
        .at(place(template))
        .because("none of the image's packages has a template of this name")
        .hint(hint)
}

fn is_question(kind: &str) -> bool {
    matches!(kind, "string" | "boolean" | "select" | "multiselect" | "password")
}

/// Refuses an answer that is not of the question's type.
fn suits(asked: &Paragraph, value: &str) -> Result<()> {
    let name = asked.get("Template").unwrap_or_default();
    let kind = asked.get("Type").unwrap_or("string");
    let wrong = |allowed: String| {
        Err(Error::input(format!("`{name}` cannot be answered with `{value}`"))
            .because(format!("the question is of type {kind}"))
            .hint(format!("allowed: {allowed}")))
    };
    match kind {
        "password" => Err(Error::input(format!("`{name}` asks for a password"))
            .because("what answers it would be in the image, for everybody who has it to read")
            .hint(
                "leave it unanswered; set the password on the machine, from a systemd credential, when it first starts",
            )),
        "boolean" if !matches!(value, "true" | "false") => wrong("`true` or `false`".into()),
        "select" | "multiselect" => {
            let written = asked.get("Choices-C").or_else(|| asked.get("Choices")).unwrap_or_default();
            let choices = items(written);
            // A script fills in choices such as `${interfaces}`.
            if choices.iter().any(|c| c.contains("${")) {
                return Ok(());
            }
            let given = if kind == "select" { vec![value.to_owned()] } else { items(value) };
            match given.iter().all(|g| choices.contains(g)) {
                true => Ok(()),
                false => wrong(choices.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ")),
            }
        }
        kind if !is_question(kind) => Err(Error::input(format!("`{name}` is no question"))
            .because(format!("its template is of type {kind}: it only tells something"))
            .hint("take the answer out")),
        _ => Ok(()),
    }
}

/// The items of a list: separated by a comma and a blank; `\,` is a comma inside one.
fn items(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut rest = list.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, items.last_mut()) {
            ('\\', Some(item)) if rest.peek().is_some() => item.extend(rest.next()),
            (',', _) => items.push(String::new()),
            (c, Some(item)) => item.push(c),
            (_, None) => {}
        }
    }
    items.into_iter().map(|i| i.trim().to_owned()).filter(|i| !i.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATES: &str = "Template: mail/type\nType: select\nChoices-C: none, local, a\\, b\nChoices: Nichts, Lokal, A\\, B\n\n\
        Template: mail/lists\nType: multiselect\nChoices: one, two, three\n\n\
        Template: mail/interface\nType: select\nChoices: ${interfaces}\n\n\
        Template: mail/root\nType: boolean\n\nTemplate: mail/name\nType: string\n\n\
        Template: mail/password\nType: password\n\nTemplate: mail/told\nType: note\n";

    fn judged(name: &str, value: &str) -> Result<()> {
        let templates: Vec<Paragraph> =
            TEMPLATES.split("\n\n").map(|s| Paragraph::parse(s.as_bytes(), "mail.deb").unwrap()).collect();
        suits(templates.iter().find(|t| t.get("Template") == Some(name)).unwrap(), value)
    }

    #[test]
    fn an_answer_has_the_type_of_its_question() {
        for (name, value) in [
            ("mail/type", "local"),
            ("mail/type", "a, b"),
            ("mail/lists", "three, one"),
            ("mail/interface", "eth0"),
            ("mail/root", "true"),
            ("mail/name", "mail.example"),
        ] {
            judged(name, value).unwrap_or_else(|e| panic!("{name} {value}: {e}"));
        }
        let refused = [
            ("mail/type", "Lokal"),
            ("mail/lists", "one, four"),
            ("mail/root", "yes"),
            ("mail/password", "x"),
            ("mail/told", "x"),
        ];
        let errors = refused.map(|(name, value)| judged(name, value).unwrap_err().at(place(name)).to_string());
        insta::assert_snapshot!(errors.join("\n\n"));
    }

    #[test]
    fn a_question_that_nobody_asks_is_named() {
        let templates: BTreeMap<_, _> = TEMPLATES
            .split("\n\n")
            .map(|s| Paragraph::parse(s.as_bytes(), "mail.deb").unwrap())
            .map(|t| (t.get("Template").unwrap().to_owned(), ("mail".to_owned(), t)))
            .collect();
        let errors = ["mail/naem", "nail/name"].map(|name| unknown(name, &templates).to_string());
        insta::assert_snapshot!(errors.join("\n\n"));
    }

    #[test]
    fn an_answer_is_found_in_the_database() {
        let database = "Name: mail/name\nTemplate: mail/name\nValue: a b\nOwners: mail\nFlags: seen\n\n\
            Name: mail/root\nTemplate: mail/root\nValue:\nOwners: mail\n\n";
        assert_eq!(value_of(database, "mail/name"), Some("a b"));
        assert_eq!(value_of(database, "mail/root"), Some(""));
        assert_eq!(value_of(database, "mail/type"), None);
        let answer = |template: &str, value: &str| Answer {
            template: template.into(),
            value: value.into(),
            package: "mail".into(),
            kind: "string".into(),
        };
        assert_eq!(replaced(database, &answer("mail/name", "a b")), None);
        assert_eq!(replaced(database, &answer("mail/root", "true")), None, "used, and emptied");
        assert_eq!(replaced(database, &answer("mail/name", "c")), Some("a b"));
    }
}
