//! apt is the oracle: the same requests over the same indexes must give the same packages in the same versions.
//!
//! Needs the network (the mirror the host's apt sources or DIORITE_MIRROR name) and the tools tree (DIORITE_TEST_TOOLS), whose
//! apt-get runs through the tree's own loader on lists written from the very texts that were verified here. Every difference
//! must stand, with its reason, in the table of docs/decisions/apt-differences.md; one that has gone must leave it.

use diorite_archive::http::{HttpClient, MirrorClient, Options};
use diorite_archive::packages::{Suite, SuiteIndex};
use diorite_archive::release::Keyring;
use diorite_archive::resolve::list::{List, resolve};
use diorite_archive::resolve::needs::Recommends;
use diorite_archive::sources::{SourceConfig, Sources};
use diorite_archive::transport::Repository;
use diorite_archive::universe::Stanzas;
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One line is one request, from a single package to a desktop. A `+` in front asks for Recommends.
const REQUESTS: &str = include_str!("apt_oracle.requests");
const TABLE: &str = include_str!("../../../docs/decisions/apt-differences.md");

type Set = BTreeSet<String>;

fn read_suites() -> Vec<(SuiteIndex, bool)> {
    let sources = Sources::of_machine(&SourceConfig::default()).unwrap_or_else(|e| panic!("{e}"));
    let http = HttpClient::new(Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let transport = MirrorClient { sources, http };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let keyring = Keyring::debian();
    let suites =
        [("trixie", Repository::Main), ("trixie-updates", Repository::Main), ("trixie-security", Repository::Security)];
    let components = ["main".to_owned()];
    let read = suites.iter().map(|(name, repository)| {
        let (name, repository) = ((*name).to_owned(), *repository);
        let suite =
            Suite { suite: name.clone(), name, components: &components, repository, keyring: &keyring, priority: None };
        (suite.read(&transport, "amd64", now).unwrap_or_else(|e| panic!("{e}")), true)
    });
    read.collect()
}

/// A program of the tools tree, run through the tree's own loader.
fn tool(program: &str) -> Command {
    let tools = std::env::var_os("DIORITE_TEST_TOOLS").map(PathBuf::from);
    let tools = tools.expect("DIORITE_TEST_TOOLS must name an unpacked tools tree (make test sets it)");
    let mut command = Command::new(tools.join("usr/lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(tools.join("usr/lib/x86_64-linux-gnu")).arg(tools.join("usr/bin").join(program));
    command.env_clear().env("LC_ALL", "C");
    command
}

/// apt-get over lists of ours, with nothing installed.
struct Apt {
    directory: tempfile::TempDir,
}

impl Apt {
    fn new(suites: &[(SuiteIndex, bool)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path();
        for dir in
            ["lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d"]
        {
            std::fs::create_dir_all(root.join(dir)).expect("a directory for apt");
        }
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).expect("a file for apt");
        write("status", "");
        let mut sources = String::new();
        for (number, (suite, _)) in suites.iter().enumerate() {
            // apt derives a list's file name from its source; the sources themselves are never looked at.
            sources += &format!("deb [trusted=yes arch=amd64] file:/{number} ./\n");
            write(&format!("lists/_{number}_._Packages"), &suite.texts.concat());
        }
        write("etc/sources.list", &sources);
        let path = root.display();
        let config = format!(
            "Dir \"{path}/\"; Dir::State \"{path}/\"; Dir::State::lists \"lists/\"; Dir::State::status \"{path}/status\";\n\
             Dir::Cache \"cache/\"; Dir::Etc \"etc/\"; Dir::Etc::parts \"apt.conf.d\"; Dir::Bin::dpkg \"/bin/false\";\n\
             APT::Architecture \"amd64\"; APT::Architectures {{ \"amd64\"; }}; APT::Sandbox::User \"\";\n"
        );
        write("apt.conf", &config);
        Self { directory }
    }

    fn install(&self, requests: &[&str], recommends: bool) -> Set {
        let output = tool("apt-get")
            .args(["-s", if recommends { "--install-recommends" } else { "--no-install-recommends" }])
            // apt counts itself as essential though its control file does not.
            .args(["install", "?and(?essential, ?not(?exact-name(apt)))"])
            .args(requests)
            .env("APT_CONFIG", self.directory.path().join("apt.conf"))
            .output()
            .expect("the tools tree's apt-get runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "apt {requests:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        let words = text.lines().filter_map(|line| line.strip_prefix("Inst ")).map(|rest| rest.split(' '));
        let package = |mut w: std::str::Split<'_, char>| {
            format!("{} {}", w.next().unwrap_or(""), w.next().unwrap_or("").trim_start_matches('('))
        };
        words.map(package).collect()
    }
}

/// Request, package, side (`here` or `apt`).
type Difference = (String, String, String);

/// The rows of the table.
fn table() -> BTreeSet<Difference> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        assert!(cells.len() >= 6 && cells[4].len() > 10, "a row needs request, package, side and reason: {row}");
        (cells[1].to_owned(), cells[2].to_owned(), cells[3].to_owned())
    });
    rows.collect()
}

fn compare(line: &str, stanzas: &Stanzas<'_>, apt: &Apt) -> (usize, Vec<Difference>) {
    let (recommends, names) = line.strip_prefix('+').map_or((false, line), |l| (true, l));
    let requests: Vec<&str> = names.split_ascii_whitespace().collect();
    let theirs = apt.install(&requests, recommends);
    let recommends = if recommends { Recommends::All } else { Recommends::None };
    let list = List {
        name: line,
        suite: "trixie",
        requests,
        essential: true,
        recommends,
        excluded: &[],
        provided: &[],
        debian_only: false,
    };
    let ours = resolve(stanzas, &list).unwrap_or_else(|e| panic!("{e}"));
    let package = |&id: &u32| format!("{} {}", ours.universe.package(id).name, ours.universe.package(id).version);
    let ours: Set = ours.ids.iter().map(package).collect();
    let side = |a: &Set, b: &Set, side: &str| -> Vec<Difference> {
        // Names alone in the table: it must survive an update of the archive.
        let name = |p: &String| p.split(' ').next().unwrap_or("").to_owned();
        a.difference(b).map(|p| (line.to_owned(), name(p), side.to_owned())).collect()
    };
    let mut differences = side(&ours, &theirs, "here");
    differences.extend(side(&theirs, &ours, "apt"));
    (theirs.len(), differences)
}

#[test]
fn the_same_sets_as_apt() {
    let start = Instant::now();
    let suites = read_suites();
    let read = start.elapsed();
    let start = Instant::now();
    let stanzas = Stanzas::read(&suites, &[], "amd64");
    println!("indexes read in {read:?}, {} stanzas in {:?}", stanzas.len(), start.elapsed());
    let apt = Apt::new(&suites);
    apt.install(&[], false); // Builds apt's cache once, before several read it.
    let requests: Vec<&str> =
        REQUESTS.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    assert!(requests.len() >= 60, "only {} requests", requests.len());
    let found: Vec<_> = requests.par_iter().map(|line| compare(line, &stanzas, &apt)).collect();
    let packages: usize = found.iter().map(|f| f.0).sum();
    let differences: BTreeSet<_> = found.into_iter().flat_map(|f| f.1).collect();
    let known = table();
    println!("{} requests, {packages} packages, {} differences", requests.len(), differences.len());
    let unknown: Vec<_> = differences.difference(&known).collect();
    assert!(unknown.is_empty(), "docs/decisions/apt-differences.md does not explain: {unknown:#?}");
    let gone: Vec<_> = known.difference(&differences).collect();
    assert!(gone.is_empty(), "docs/decisions/apt-differences.md explains what is no difference: {gone:#?}");
}

/// The order of versions is dpkg's, for versions made to be awkward.
#[test]
fn versions_order_as_dpkg_orders_them() {
    let pieces = ["0", "1", "9", "10", "01", "~", "+", ".", "a", "Z", "~~", "00"];
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    let mut version = || {
        let body: String = (0..next() % 5).map(|_| pieces[next() % pieces.len()]).collect();
        let epoch = if next() % 5 == 0 { "2:" } else { "" };
        format!("{epoch}1{body}{}", ["", "", "-0", "-0a", "-1~"][next() % 5])
    };
    let says = |a: &str, relation: &str, b: &str| {
        let status = tool("dpkg").args(["--compare-versions", a, relation, b]).stderr(Stdio::null()).status();
        match status.expect("the tools tree's dpkg runs").code() {
            Some(0) => true,
            Some(1) => false,
            other => panic!("dpkg --compare-versions {a} {relation} {b}: {other:?}"),
        }
    };
    for _ in 0..300 {
        let (a, b) = (version(), version());
        let expected = match (says(&a, "lt", &b), says(&a, "eq", &b)) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Equal,
            _ => Ordering::Greater,
        };
        assert_eq!(diorite_archive::version::compare(&a, &b), expected, "`{a}` against `{b}`");
    }
}
