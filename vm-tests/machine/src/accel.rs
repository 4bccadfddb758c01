//! Which accelerator: KVM only where it has been seen to run guest code at hardware speed, else software emulation.
//!
//! `/dev/kvm` may exist, open and create machines and still not run a guest: under some nested hypervisors ring 0 is
//! emulated instruction by instruction, or not at all. QEMU's own `accel=kvm:tcg` falls back only when opening fails.

use diorite_model::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceleratorKind {
    /// The processor, through /dev/kvm.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

/// The choice and its reason: the first line of every report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accelerator {
    /// What was chosen.
    pub kind: AcceleratorKind,
    /// The reason for it, for the report.
    pub reason: String,
}

impl fmt::Display for AcceleratorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accelerator {}: {}", self.kind, self.reason)
    }
}

/// Chooses by `DIORITE_ACCEL` (`auto`, `kvm`, `tcg`; unset is `auto`). With `auto` a micro guest decides; it runs in
/// a child process that is ended after a few seconds whatever happens.
pub fn probe() -> Result<Accelerator> {
    choose(std::env::var("DIORITE_ACCEL").ok().as_deref(), try_kvm)
}

fn choose(wish: Option<&str>, try_kvm: impl FnOnce() -> std::result::Result<String, String>) -> Result<Accelerator> {
    match wish {
        Some("tcg") => Ok(Accelerator { kind: AcceleratorKind::Tcg, reason: "DIORITE_ACCEL=tcg".to_owned() }),
        Some("kvm") => {
            let reason = match try_kvm() {
                Ok(seen) => format!("DIORITE_ACCEL=kvm; {seen}"),
                Err(seen) => format!("DIORITE_ACCEL=kvm, although {seen}"),
            };
            Ok(Accelerator { kind: AcceleratorKind::Kvm, reason })
        }
        None | Some("" | "auto") => Ok(match try_kvm() {
            Ok(reason) => Accelerator { kind: AcceleratorKind::Kvm, reason },
            Err(reason) => Accelerator { kind: AcceleratorKind::Tcg, reason },
        }),
        Some(other) => Err(Error::input(format!("DIORITE_ACCEL is `{other}`")).hint("auto, kvm or tcg")),
    }
}

#[cfg(target_arch = "x86_64")]
fn try_kvm() -> std::result::Result<String, String> {
    crate::microguest::try_kvm()
}

#[cfg(not(target_arch = "x86_64"))]
fn try_kvm() -> std::result::Result<String, String> {
    Err("this host is no x86-64 machine".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_followed_and_a_wrong_one_refused() {
        let good = || Ok("ran".to_owned());
        let bad = || Err("it hangs".to_owned());
        assert_eq!(choose(None, good).expect("auto").kind, AcceleratorKind::Kvm);
        let fallen_back = choose(Some("auto"), bad).expect("auto");
        assert_eq!((fallen_back.kind, fallen_back.reason.as_str()), (AcceleratorKind::Tcg, "it hangs"));
        let forced = choose(Some("kvm"), bad).expect("kvm");
        assert_eq!(
            (forced.kind, forced.reason.as_str()),
            (AcceleratorKind::Kvm, "DIORITE_ACCEL=kvm, although it hangs")
        );
        let tcg = choose(Some("tcg"), || panic!("must not be tried")).expect("tcg");
        assert_eq!(tcg.to_string(), "accelerator tcg: DIORITE_ACCEL=tcg");
        assert_eq!(choose(Some("hvf"), good).expect_err("unknown").what, "DIORITE_ACCEL is `hvf`");
    }

    #[test]
    fn the_probe_ends_and_says_why() {
        let started = std::time::Instant::now();
        let choice = choose(None, try_kvm).expect("auto");
        assert!(started.elapsed() < std::time::Duration::from_secs(15), "{choice}");
        assert!(!choice.reason.is_empty());
        println!("{choice}, {:.2} s", started.elapsed().as_secs_f64());
    }
}
