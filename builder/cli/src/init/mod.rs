//! `diorite init`: the files of a project of one's own, from the examples that the program carries in `files/`.

mod name;
mod write;

pub use name::{profile_name, valid as valid_name};
pub use write::write;

use clap::ValueEnum;
use diorite_model::profile;

/// An example to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Example {
    /// A small server: SSH, a web page in a container, metrics
    Server,
    /// A web server on two VLANs: the site for everybody, SSH and metrics for administrators
    Web,
    /// A router: DHCP and router advertisements for a network behind it, address translation, a forwarded port
    Router,
    /// A virtual machine on Proxmox VE: guest agent, state on a disk of its own
    Proxmox,
}

impl Example {
    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Example::Server => "server",
            Example::Web => "web",
            Example::Router => "router",
            Example::Proxmox => "proxmox",
        }
    }

    /// The profile.
    fn profile(self) -> &'static str {
        match self {
            Example::Server => include_str!("files/server.toml"),
            Example::Web => include_str!("files/web.toml"),
            Example::Router => include_str!("files/router.toml"),
            Example::Proxmox => include_str!("files/proxmox.toml"),
        }
    }

    /// What only this example has.
    fn extra(self) -> &'static [Template] {
        match self {
            Example::Server | Example::Web => PAGE,
            Example::Router => &[],
            Example::Proxmox => VIRTUAL_MACHINE,
        }
    }
}

/// What a container's page needs.
const PAGE: &[Template] = &[
    template("overlays/web/overlay.toml", "why the overlay exists, owners and modes", files::WEB),
    template("overlays/web/tree/srv/www/index.html", "the page that is served", files::PAGE),
];

/// What a virtual machine on Proxmox VE needs.
const VIRTUAL_MACHINE: &[Template] = &[
    template("overlays/welcome/overlay.toml", "why the overlay exists, owners and modes", files::WELCOME),
    template("overlays/welcome/tree/etc/motd.d/10-welcome", "what SSH says at login", files::GREETING),
    template("profiles/targets.toml", "the Proxmox VE host: fill it in", files::TARGETS),
];

/// What every example has, besides its profile and the schema.
const COMMON: &[Template] = &[
    template("profiles/base.toml", "what the profile extends", files::BASE),
    template(".gitignore", "results and vaults stay out of git", files::GITIGNORE),
    template(".github/workflows/image.yml", "builds and verifies on GitHub; remove it elsewhere", files::GITHUB),
    template(".gitlab-ci.yml", "builds and verifies on GitLab; remove it elsewhere", files::GITLAB),
];

/// The texts of `files/`.
mod files {
    pub const BASE: &str = include_str!("files/base.toml");
    pub const GITIGNORE: &str = include_str!("files/gitignore");
    pub const GITHUB: &str = include_str!("files/github.yml");
    pub const GITLAB: &str = include_str!("files/gitlab.yml");
    pub const WEB: &str = include_str!("files/web-overlay.toml");
    pub const PAGE: &str = include_str!("files/index.html");
    pub const WELCOME: &str = include_str!("files/welcome-overlay.toml");
    pub const GREETING: &str = include_str!("files/welcome");
    pub const TARGETS: &str = include_str!("files/targets.toml");
}

/// What stands in a template for the profile's name.
const NAME: &str = "@NAME@";

struct Template {
    path: &'static str,
    purpose: &'static str,
    text: &'static str,
}

const fn template(path: &'static str, purpose: &'static str, text: &'static str) -> Template {
    Template { path, purpose, text }
}

/// A file of the new project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFile {
    /// Relative to the project's directory.
    pub path: String,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    /// Its contents.
    pub text: String,
}

/// The files of a project with one profile of this name. The profile comes first.
pub fn files_of(example: Example, name: &str) -> Vec<ProjectFile> {
    let profile = ProjectFile {
        path: format!("profiles/{name}.toml"),
        purpose: "the profile: what the machine is",
        text: example.profile().replace(NAME, name),
    };
    let rest = example.extra().iter().chain(COMMON).map(|template| ProjectFile {
        path: template.path.into(),
        purpose: template.purpose,
        text: template.text.replace(NAME, name),
    });
    let schema = ProjectFile {
        path: "profiles/profile.schema.json".into(),
        purpose: "the language, for editors (`diorite schema`)",
        text: format!("{:#}\n", profile::json_schema()),
    };
    [profile].into_iter().chain(rest).chain([schema]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_filled_in_everywhere() {
        for example in Example::value_variants() {
            let files = files_of(*example, "shop");
            assert!(files.iter().all(|file| !file.text.contains(NAME)), "{example:?}");
            assert!(files.iter().filter(|file| file.text.contains("shop")).count() >= 3, "{example:?}");
            assert!(files.iter().all(|file| file.text.ends_with('\n')), "{example:?}");
            assert_eq!(example.to_possible_value().expect("it is offered").get_name(), example.name());
        }
    }
}
