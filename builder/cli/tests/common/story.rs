//! From nothing to a machine, to its next image, and back, by the program's own verbs: told to a simulator and to real hosts.

use crate::common::{Project, material, text};
use diorite_host::progress::Progress;
use diorite_proxmox::client::{Method, Parameters, Path};
use diorite_proxmox::{Client, ClientLimits, target, task};
use std::fs;

/// `server` with /var on a disk of its own.
const PROFILE: &str = "extends = \"server\"\n[image]\nname = \"mine\"\nversion = \"VERSION\"\n[state]\ndisk = \"own\"\n\
                       [machine]\nmemory = \"1536M\"\nstate = \"1G\"\n";

/// What the machine has of its own, where somebody signs it.
const VALUES: &str =
    "[config_drive]\nsigners = [\"SIGNER\"]\n[instances.NAME.credentials]\nnote = { env = \"NOTE\" }\n";

/// Whom it is told to.
pub struct Story<'a> {
    pub project: &'a Project,
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

    fn build(&self, version: &str) {
        let values = |signer: &String| VALUES.replace("SIGNER", signer).replace("NAME", self.name);
        let profile = PROFILE.replace("VERSION", version) + &self.signer.as_ref().map(values).unwrap_or_default();
        fs::write(self.project.path("profiles/mine.toml"), profile).expect("a profile");
        (self.relock)(self.project, "mine");
        let mut command = self.project.diorite();
        command.args(["build", "mine", "--format", "raw"]).env("DIORITE_STORE", material("DIORITE_TEST_STORE"));
        let output = command.output().expect("the program starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Tells it; `after` is called with the version that runs.
    pub fn tell(&self, mut after: impl FnMut(&str)) {
        let deploy =
            ["deploy", "mine", "--target", self.target, "--name", self.name, "--unverified", "--timeout", "600"];
        let plan = [&deploy[..], &["--plan"]].concat();
        self.build("1");
        assert!(self.run(&plan).contains("nothing was changed"));
        let page = self.run(&deploy);
        assert!(page.contains("mine 1 runs on ") && page.contains("its guest agent answers at "), "{page}");
        assert!(self.run(&deploy).contains("nothing was to do"));
        after("1");

        self.build("2");
        let page = self.run(&deploy);
        assert!(page.contains("mine 2 runs on ") && page.contains("down for"), "{page}");
        println!("{page}");
        let status = self.run(&["status", "mine", "--target", self.target, "--name", self.name]);
        assert!(status.contains("  now mine 2") && status.contains("as its profile declares"), "{status}");
        after("2");

        let page = self.run(&["rollback", self.name, "--target", self.target, "--timeout", "600"]);
        assert!(page.contains("mine 1 runs on ") && !page.contains("upload"), "{page}");
        println!("{page}");
        after("1");
    }

    /// Takes the machine away again: no verb does that.
    pub fn end(&self) {
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
        let ask = |method, last: &[&str], parameters| {
            let path = Path::new([&["nodes", node, "qemu", &id][..], last].concat());
            let answer =
                client.call(method, &path, &parameters).unwrap_or_else(|e| panic!("{}", diorite_model::Error::from(e)));
            let task = task::of_answer(&client, method, &path, &answer).expect("a task");
            client
                .wait(&task, "the end of the test", &Progress::quiet())
                .unwrap_or_else(|e| panic!("{}", diorite_model::Error::from(e)));
        };
        ask(Method::Post, &["status", "stop"], Parameters::none());
        ask(Method::Delete, &[], Parameters::none().flag("purge", true));
    }
}
