//! `targets.toml` → [`Target`]s. Read as profiles are: every key is declared here once, an unknown one is refused with the
//! nearest known, every error shows the user's line. Pure.

use super::{LoginMethod, SecretSource, Target, Trust, forms};
use diorite_model::policy::{self, WrittenPolicy};
use diorite_model::profile::Field;
use diorite_model::profile::reader::{
    At, Files, Kind, Section, Span, Table, Value, Words, boolean, named, table, text, texts, words,
};
use diorite_model::{Error, Result};
use std::path::{Path, PathBuf};

const STORAGE: &[Field] = &[
    text("import", &forms::STORAGE, "takes uploaded images: a file storage with the content type `import`").needed(),
    text("disks", &forms::STORAGE, "holds the disks of machines").needed(),
    text("iso", &forms::STORAGE, "takes config drives: a file storage with the content type `iso`").or_said("`import`"),
];

const TARGET: &[Field] = &[
    text("url", &forms::URL, "where the API is; port 8006 when none is said").needed(),
    texts("nodes", &forms::NODE, "the nodes that may be used; all when none is named"),
    table("storage", STORAGE, "where images and disks go").needed(),
    text("bridge", &forms::BRIDGE, "what machines are connected to").needed(),
    text("pool", &forms::POOL, "the pool that machines are made in, which the token's rights can be limited to"),
    text("tag", &forms::TAG, "marks machines as ours").or_text("diorite"),
    text("vmids", &forms::VMIDS, "numbers that new machines may get").or_text("9000-9999"),
    boolean("firewall", "whether the hypervisor's firewall must be on for the datacenter").or(true),
    text("fingerprint", &forms::FINGERPRINT, "the only certificate that is trusted"),
    text("ca", &forms::FILE, "the only certificate authorities that are trusted, in PEM"),
    text("token_env", &forms::VARIABLE, "where the API token is: an environment variable"),
    text("token_file", &forms::FILE, "where the API token is: a file of mode 600"),
    words("token_command", &forms::WORD, "where the API token is: a program that prints it"),
    text("user", &forms::USER, "who logs in, where a password is used instead of a token"),
    text("password_env", &forms::VARIABLE, "where the password is: an environment variable"),
    text("password_file", &forms::FILE, "where the password is: a file of mode 600"),
    words("password_command", &forms::WORD, "where the password is: a program that prints it"),
    text(
        "signing_key_env",
        &forms::VARIABLE,
        "where the key is that signs machines' own values: an environment variable",
    ),
    text("signing_key_file", &forms::FILE, "where the key is that signs machines' own values: a file of mode 600"),
    words(
        "signing_key_command",
        &forms::WORD,
        "where the key is that signs machines' own values: a program that prints it",
    ),
    text("serve", &forms::SERVE, "where nodes fetch images from this program; they are uploaded when nothing is said"),
    table("policy", policy::FIELDS, "what has to be said of an image, and by whom, before it is deployed here"),
    text("vpn", &forms::SENTENCE, "what to do first when the target cannot be reached"),
];

const FILE: &[Field] = &[named("targets", &forms::NAME, TARGET, "hypervisors by name")];

const WORDS: Words = Words {
    noun: "file of targets",
    no_secret: "it says where a secret is, never the secret: many read it",
    instead: "put the token into an environment variable (`token_env`), a file of mode 600 (`token_file`) or a \
              password store (`token_command`), and make a new one: this one has been written down",
};

/// The least that must be said, for who has nothing yet.
pub fn example() -> &'static str {
    "[targets.school]\n\
     url = \"https://pve.example.org:8006\"\n\
     storage = { import = \"local\", disks = \"local-zfs\" }\n\
     bridge = \"vmbr0\"\n\
     token_env = \"PVE_TOKEN\""
}

/// Reads the text of a file of targets. `file` is its name for people, `directory` what its paths are relative to.
///
/// # Errors
/// [`Exit::Input`](diorite_model::Exit::Input) with the user's line.
pub fn parse(text: &str, file: &str, directory: &Path, home: Option<&str>) -> Result<Vec<Target>> {
    parse_each(text, file, directory, home)?.into_iter().map(|(_, target)| target).collect()
}

/// The same, target by target: what is wrong with one is no reason not to use another.
///
/// # Errors
/// The file as a whole is wrong: it is not TOML, has an unknown table, or holds a secret.
pub fn parse_each(
    text: &str,
    file: &str,
    directory: &Path,
    home: Option<&str>,
) -> Result<Vec<(String, Result<Target>)>> {
    let mut files = Files::called(WORDS);
    // What cannot be read may still hold a secret, and then is not shown.
    let hide = |e: Error| if uuid(text).is_some() { Error { detail: None, ..e.hint(WORDS.instead) } } else { e };
    let value = files.read(file, text).map_err(hide)?;
    if let Some((start, end)) = uuid(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let span = Span { file: 0, start, end };
        return Err(files.secret(span, "this file of targets holds what looks like the secret of an API token"));
    }
    let whole = Section::new(&files, String::new(), &value, FILE)?;
    let Some((_, Value { kind: Kind::Table(targets), .. })) = whole_table(&value).get("targets") else {
        // It is none, or of another kind, which is refused.
        return whole.named("targets").map(|_| Vec::new());
    };
    let one = |name: &String| {
        let alone = only(&value, name);
        let section = Section::new(&files, String::new(), &alone, FILE)?.named("targets")?.pop();
        let (name, section) = section.ok_or_else(|| Error::bug("a target that is there is not read"))?;
        target(name, &section, directory, home)
    };
    Ok(targets.keys().map(|name| (name.clone(), one(name))).collect())
}

fn whole_table(value: &Value) -> &Table {
    match &value.kind {
        Kind::Table(table) => table,
        other => panic!("a file is {}", other.words()),
    }
}

/// The file with one of its targets.
fn only(file: &Value, name: &str) -> Value {
    let mut file = file.clone();
    if let Kind::Table(table) = &mut file.kind
        && let Some((_, targets)) = table.get_mut("targets")
        && let Kind::Table(all) = &mut targets.kind
    {
        all.retain(|other, _| other == name);
    }
    file
}

/// The secret of a token is a UUID, and nothing else in this file is one.
fn uuid(text: &str) -> Option<(usize, usize)> {
    let shape = |window: &[u8]| {
        window.iter().enumerate().all(|(i, c)| match i {
            8 | 13 | 18 | 23 => *c == b'-',
            _ => c.is_ascii_hexdigit(),
        })
    };
    text.as_bytes().windows(36).position(shape).map(|at| (at, at + 36))
}

fn target(name: String, section: &Section, directory: &Path, home: Option<&str>) -> Result<Target> {
    let url = section.needed("url")?;
    let storage = section.table("storage")?.ok_or_else(|| section.missing("storage"))?;
    let plain = |at: Option<At<String>>| at.map(|at| at.value);
    let import = storage.needed("import")?.value;
    Ok(Target {
        trust: trust(section, &url, directory, home)?,
        login: login(section, directory, home)?,
        url: forms::address(&url.value).expect("the form was asked"),
        nodes: section.plain("nodes")?,
        signing_key: signing_key(section, directory, home)?,
        iso_storage: plain(storage.text("iso")?).unwrap_or_else(|| import.clone()),
        import_storage: import,
        disk_storage: storage.needed("disks")?.value,
        bridge: section.needed("bridge")?.value,
        pool: plain(section.text("pool")?),
        tag: section.needed("tag")?.value,
        vmids: forms::range(&section.needed("vmids")?.value).expect("the form was asked"),
        firewall: section.flag("firewall")?,
        serve: plain(section.text("serve")?).map(|text| forms::served(&text).expect("the form was asked")),
        vpn: plain(section.text("vpn")?),
        policy: section.table("policy")?.map(|policy| WrittenPolicy::of(&policy, directory, home)).transpose()?,
        location: section.files.place(section.span),
        name,
    })
}

fn trust(section: &Section, url: &At<String>, directory: &Path, home: Option<&str>) -> Result<Trust> {
    let (pin, authority) = (section.text("fingerprint")?, section.text("ca")?);
    if let Some(at) = pin.as_ref().or(authority.as_ref())
        && url.value.starts_with("http:")
    {
        return Err(section
            .files
            .error(at.span, format!("`{}` is asked without TLS, so there is no certificate", section.path))
            .hint("remove this line, or ask by https:"));
    }
    match (pin, authority) {
        (Some(_), Some(at)) => Err(section
            .files
            .error(at.span, format!("`{}` says twice which certificate is trusted", section.path))
            .hint("keep `fingerprint`, which is one certificate, or `ca`, which stays the same when it is renewed")),
        (Some(at), None) => Ok(Trust::Fingerprint(forms::pinned(&at.value).expect("the form was asked"))),
        (None, Some(at)) => Ok(Trust::Authority(path(&at.value, directory, home))),
        (None, None) => Ok(Trust::System),
    }
}

/// Where a secret is said to be: `NOUN_env`, `NOUN_file`, `NOUN_command`.
fn sources<'n>(
    section: &Section,
    noun: &'n str,
    directory: &Path,
    home: Option<&str>,
) -> Result<Vec<(&'n str, Span, SecretSource)>> {
    let mut sources = Vec::new();
    let (env, file, command) = (format!("{noun}_env"), format!("{noun}_file"), format!("{noun}_command"));
    if let Some(at) = section.text(&env)? {
        sources.push((noun, at.span, SecretSource::Environment(at.value)));
    }
    if let Some(at) = section.text(&file)? {
        sources.push((noun, at.span, SecretSource::File(path(&at.value, directory, home))));
    }
    let words = section.plain(&command)?;
    match section.key(&command) {
        Some(span) if words.is_empty() => {
            return Err(section.files.error(span, format!("`{}.{command}` names no program", section.path)));
        }
        Some(span) => sources.push((noun, span, SecretSource::Command(words))),
        None => {}
    }
    Ok(sources)
}

fn signing_key(section: &Section, directory: &Path, home: Option<&str>) -> Result<Option<SecretSource>> {
    let mut sources = sources(section, "signing_key", directory, home)?.into_iter();
    let first = sources.next();
    match (first, sources.next()) {
        (Some((_, span, _)), Some((_, second, _))) => Err(section
            .files
            .error(second, format!("`{}` says twice where the key is that signs", section.path))
            .because(format!("the first is at {}", section.files.place(span)))
            .hint("keep one of them")),
        (first, _) => Ok(first.map(|(_, _, source)| source)),
    }
}

fn login(section: &Section, directory: &Path, home: Option<&str>) -> Result<LoginMethod> {
    let mut sources =
        [sources(section, "token", directory, home)?, sources(section, "password", directory, home)?].concat();
    let user = section.text("user")?;
    let mut sources = sources.drain(..);
    let Some((noun, span, source)) = sources.next() else {
        let error = format!("`{}` does not say where its token is", section.path);
        return Err(section.files.error(section.span, error).hint(
            "write `token_env = \"PVE_TOKEN\"`, or `token_file = …`, or `token_command = [\"pass\", \"show\", …]`",
        ));
    };
    if let Some((_, second, _)) = sources.next() {
        return Err(section
            .files
            .error(second, format!("`{}` names two logins", section.path))
            .because(format!("the first is at {}", section.files.place(span)))
            .hint("keep one of them"));
    }
    match (noun, user) {
        ("token", None) => Ok(LoginMethod::Token(source)),
        ("token", Some(at)) => Err(section
            .files
            .error(at.span, format!("`{}` has both a user and a token", section.path))
            .because("a token names its user itself: USER@REALM!ID=SECRET")
            .hint("remove `user`")),
        (_, Some(at)) => Ok(LoginMethod::Password(at.value, source)),
        (_, None) => Err(section
            .files
            .error(span, format!("`{}` does not say whose password this is", section.path))
            .hint("write `user = \"NAME@REALM\"`; better use an API token, which can be limited")),
    }
}

fn path(text: &str, directory: &Path, home: Option<&str>) -> PathBuf {
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => directory.join(text),
    }
}
