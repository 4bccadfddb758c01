//! From nothing to a VM, to its next image and back, a failed image, drift, and two deployments at once, by the program's own
//! verbs: told to the simulator and to real hosts, a line for each step.
#![allow(dead_code, reason = "each test uses a part of it")]

use crate::common::{Project, material, text};
use diorite_host::progress::Progress;
use diorite_proxmox::client::{Method, Parameters, Path};
use diorite_proxmox::{Client, ClientLimits, target, task};
use std::fs;
use std::process::Stdio;

/// `server` with /var on a disk of its own.
const PROFILE: &str = "extends = \"server\"\n[image]\nname = \"mine\"\nversion = \"VERSION\"\n[state]\ndisk = \"own\"\n\
                       [machine]\nmemory = \"1536M\"\nstate = \"1G\"\n";

/// What the machine has of its own, where somebody signs it.
const VALUES: &str =
    "[config_drive]\nsigners = [\"SIGNER\"]\n[instances.NAME.credentials]\nnote = { env = \"NOTE\" }\n";

/// An image that fails, and only this one: its web server does not listen, and a check asks for it. The image before it
/// passes the same check.
pub const BROKEN: &str = "[containers.web]\ncommand = [\"busybox\", \"sleep\", \"infinity\"]\n\
                          [[verify.check]]\nname = \"web\"\nport = { port = 8080 }\n";

/// Whom it is told to.
pub struct Story<'a> {
    pub project: &'a Project,
    /// Name of the profile, and of its image.
    pub profile: &'a str,
    /// Makes the image of a version, with more in its profile.
    pub build: &'a dyn Fn(&Story, &str, &str),
    /// Seconds that an image gets that fails.
    pub failing: u32,
    /// Name of the target.
    pub target: &'a str,
    /// Name of the machine.
    pub name: &'a str,
    /// Environment of the program.
    pub environment: Vec<(&'a str, String)>,
    /// The public half of the target's signing key, where it has one.
    pub signer: Option<String>,
    /// The lock of the profile follows from that of `server`.
    pub relock: fn(&Project, &str),
}

impl Story<'_> {
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = self.project.diorite();
        command.args(arguments).envs(self.environment.iter().cloned());
        let output = command.output().expect("the program starts");
        assert!(output.status.success(), "{arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    fn build(&self, version: &str, more: &str) {
        (self.build)(self, version, more);
    }

    /// Builds the profile `mine` for real.
    pub fn build_mine(&self, version: &str, more: &str) {
        let values = |signer: &String| VALUES.replace("SIGNER", signer).replace("NAME", self.name);
        let profile =
            PROFILE.replace("VERSION", version) + &self.signer.as_ref().map(values).unwrap_or_default() + more;
        fs::write(self.project.path("profiles/mine.toml"), profile).expect("a profile");
        (self.relock)(self.project, "mine");
        let mut command = self.project.diorite();
        command.args(["build", "mine", "--format", "raw"]).env("DIORITE_STORE", material("DIORITE_TEST_STORE"));
        let output = command.output().expect("the program starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    fn deploy(&self) -> [&str; 8] {
        ["deploy", self.profile, "--target", self.target, "--name", self.name, "--unverified", "--timeout=600"]
    }

    /// What the program ends with, its answer, and what it said meanwhile.
    fn end_of(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = self.project.diorite();
        command.args(arguments).envs(self.environment.iter().cloned());
        let output = command.output().expect("the program starts");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Tells it; `after` is called with the version that runs.
    pub fn tell(&self, mut after: impl FnMut(&str)) {
        let image = self.profile;
        let deploy = self.deploy();
        let plan = [&deploy[..], &["--plan"]].concat();
        self.build("1", "");
        assert!(self.run(&plan).contains("nothing was changed"));
        let page = self.run(&deploy);
        assert!(
            page.contains(&format!("{image} 1 runs on ")) && page.contains("its guest agent answers at "),
            "{page}"
        );
        told("deploy", &page);
        let file = self.project.path(format!("out/{image}/disk.qcow2"));
        fs::remove_file(&file).expect("it was converted");
        assert!(self.run(&deploy).contains("nothing to do"));
        assert!(!file.exists(), "a run that changes nothing converts nothing");
        println!("deploy again         nothing to do");
        after("1");

        self.build("2", "");
        let page = self.run(&deploy);
        assert!(page.contains(&format!("{image} 2 runs on ")) && page.contains("down for"), "{page}");
        told("redeploy", &page);
        let status = self.run(&["status", image, "--target", self.target, "--name", self.name]);
        assert!(status.contains(&format!("  now {image} 2")) && status.contains("as its profile declares"), "{status}");
        after("2");

        let page = self.run(&["rollback", self.name, "--target", self.target, "--timeout=600"]);
        assert!(page.contains(&format!("{image} 1 runs on ")) && !page.contains("upload"), "{page}");
        told("rollback", &page);
        after("1");
    }

    /// What goes wrong: an image that fails, a firewall that somebody opened, two deployments at once.
    pub fn tell_of_trouble(&self) {
        let (image, deploy) = (self.profile, self.deploy());
        let status = ["status", image, "--target", self.target, "--name", self.name];
        self.build("3", BROKEN);
        let timeout = format!("--timeout={}", self.failing);
        let failing = [&deploy[..7], &[timeout.as_str()]].concat();
        let (code, _, said) = self.end_of(&failing);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains(&format!("was rolled back to {image} 1, which works")), "{said}");
        println!("failed image         rolled back to {image} 1");

        self.build("2", "");
        let rule = [("type", "in"), ("action", "ACCEPT"), ("proto", "tcp"), ("dport", "2222"), ("enable", "1")];
        let rule = rule.iter().fold(Parameters::none(), |all, (name, value)| all.text(*name, *value));
        let (client, vm) = self.vm();
        let path = Path::new([&vm.iter().map(String::as_str).collect::<Vec<_>>()[..], &["firewall", "rules"]].concat());
        client.call(Method::Post, &path, &rule).unwrap_or_else(|e| panic!("{}", diorite_model::Error::from(e)));
        let (code, page, _) = self.end_of(&status);
        assert!(code == Some(4) && page.contains("IN ACCEPT tcp port 2222"), "{page}");
        let page = self.run(&deploy);
        let closed = page.find("remove rule").expect("the rule goes");
        assert!(closed < page.find("shut VM").expect("a restart"), "closed before the image is tried: {page}");
        assert!(self.run(&status).contains("as its profile declares"));
        println!("drift                seen by status, closed before {image} 2 was tried");

        self.build("4", "");
        let begin = || {
            let mut command = self.project.diorite();
            command.args(deploy).envs(self.environment.iter().cloned());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
        };
        let mut told_of = 0;
        for child in [begin(), begin()] {
            let output = child.wait_with_output().expect("the program ends");
            let said = text(&output.stderr);
            match output.status.code() {
                Some(0) => {}
                Some(6) if said.contains("is under way") => told_of += 1,
                code => panic!("{code:?} {}{said}", text(&output.stdout)),
            }
        }
        assert!(told_of < 2, "one of them must have deployed it");
        assert!(self.run(&status).contains(&format!("  now {image} 4")));
        println!("two at once          {image} 4 runs; {told_of} of them was told of the other");
    }

    /// A client, and the path of the VM.
    fn vm(&self) -> (Client, [String; 4]) {
        let status: serde_json::Value =
            serde_json::from_str(&self.run(&["status", "--target", self.target, "--json"])).expect("JSON");
        let machines = status["machines"].as_array().expect("machines").iter();
        let mine = machines.clone().find(|m| m["name"] == self.name).expect("the machine");
        let (node, id) = (mine["node"].as_str().expect("a node"), mine["id"].to_string());
        let environment = |name: &str| {
            let own = self.environment.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
            own.or_else(|| std::env::var(name).ok())
        };
        let mut files = target::files(&environment);
        files[0] = self.project.path("profiles/targets.toml");
        let found = target::find(self.target, &files, &environment).unwrap_or_else(|e| panic!("{e}"));
        let credential = found.credential(&environment).unwrap_or_else(|e| panic!("{e}"));
        let client =
            Client::new(found, credential, &environment, ClientLimits::default()).unwrap_or_else(|e| panic!("{e}"));
        (client, ["nodes".to_owned(), node.to_owned(), "qemu".to_owned(), id])
    }

    /// Removes the VM again: no verb does that.
    pub fn end(&self) {
        let (client, vm) = self.vm();
        let vm: Vec<_> = vm.iter().map(String::as_str).collect();
        let ask = |method, last: &[&str], parameters| {
            let path = Path::new([&vm[..], last].concat());
            let answer =
                client.call(method, &path, &parameters).unwrap_or_else(|e| panic!("{}", diorite_model::Error::from(e)));
            let task = task::of_answer(&client, method, &path, &answer).expect("a task");
            client
                .wait(&task, "the end of the test", &Progress::quiet())
                .unwrap_or_else(|e| panic!("{}", diorite_model::Error::from(e)));
        };
        ask(Method::Post, &["status", "stop"], Parameters::none());
        ask(Method::Delete, &[], Parameters::none().flag("purge", true));
        println!("end                  the VM is removed");
    }
}

/// A line for a step: how the program itself sums it up.
fn told(step: &str, page: &str) {
    let summary = page.lines().find(|line| line.contains(" steps in ")).unwrap_or("done");
    println!("{step:<20} {summary}");
}
