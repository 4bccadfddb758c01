//! The choice of a mode, and its errors.

use super::*;

fn why(cause: &str) -> Option<Why> {
    Some(Why { cause: cause.into(), hint: "do something".into() })
}

#[test]
fn the_strongest_mode_wins_and_a_wish_is_obeyed() {
    let all = SandboxSupport::of([None, None, None]);
    assert_eq!(choose(&all, None).unwrap(), SandboxMode::Namespaces);
    assert_eq!(choose(&all, Some("chroot")).unwrap(), SandboxMode::Chroot);
    let some = SandboxSupport::of([why("no"), None, None]);
    assert_eq!(choose(&some, None).unwrap(), SandboxMode::UserNamespace);
}

#[test]
fn without_any_mode_each_says_why() {
    let none = SandboxSupport::of([
        why("only root may"),
        why("newuidmap is not installed"),
        why("only root may call chroot(2)"),
    ]);
    insta::assert_snapshot!(choose(&none, None).unwrap_err(), @r"
    error: this host offers no sandbox to run Debian's package scripts in
      namespaces: only root may
      userns: newuidmap is not installed
      chroot: only root may call chroot(2)
      help: do something
    ");
    insta::assert_snapshot!(choose(&none, Some("userns")).unwrap_err(), @r"
    error: the sandbox asked for (DIORITE_SANDBOX=userns) is not possible here
      because newuidmap is not installed
      help: do something
    ");
    insta::assert_snapshot!(choose(&none, Some("docker")).unwrap_err(), @r"
    error: DIORITE_SANDBOX=docker is not a kind of sandbox
      help: namespaces, userns or chroot
    ");
}

#[test]
fn names_go_both_ways() {
    for mode in SandboxMode::ALL {
        assert_eq!(SandboxMode::from_name(mode.name()), Some(mode));
        assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{}\"", mode.name()));
    }
}
