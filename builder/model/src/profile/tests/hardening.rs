//! `[hardening]`: what is meant, and what is refused.

use super::*;
use crate::hardening::Level;

fn start(more: &str) -> String {
    format!("[image]\nname = \"x\"\nversion = \"1\"\n\n{more}")
}

fn hardening(more: &str) -> crate::recipe::Hardening {
    parse(&start(more), "profiles/x.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).0.hardening
}

#[test]
fn a_level_is_explicit_and_exceptions_come_out_of_it() {
    let (plain, strict) = (hardening(""), hardening("[hardening]\nlevel = \"strict\"\n"));
    assert_eq!((plain.level, strict.level), (Level::Standard, Level::Strict));
    assert_eq!(
        (plain.sysctl["kernel.yama.ptrace_scope"].as_str(), strict.sysctl["kernel.yama.ptrace_scope"].as_str()),
        ("1", "2")
    );
    assert!(plain.sshd.is_empty() && strict.sshd["DisableForwarding"] == "yes");
    assert!(strict.command_line.len() > plain.command_line.len());
    let other = hardening(
        "[hardening]\nblocked_modules = [\"usb-storage\", \"sctp\"]\n\
         exceptions = [{ setting = \"kernel.sysrq\", why = \"the console is guarded\" }, { setting = \"tipc\", why = \"a cluster\" }, \
         { setting = \"slab_nomerge\", why = \"memory\" }]\n[hardening.sysctl]\n\"kernel.sysrq\" = \"1\"\n\"vm.swappiness\" = \"10\"\n",
    );
    assert_eq!((other.sysctl["kernel.sysrq"].as_str(), other.sysctl["vm.swappiness"].as_str()), ("1", "10"));
    assert!(
        !other.blocked_modules.contains(&"tipc".to_owned())
            && other.blocked_modules.contains(&"usb-storage".to_owned())
    );
    assert_eq!(other.blocked_modules.iter().filter(|m| *m == "sctp").count(), 1);
    assert!(!other.command_line.contains(&"slab_nomerge".to_owned()) && other.exceptions.len() == 3);
}

#[test]
fn what_cannot_be_meant_shows_its_lines() {
    let wrong = |more: &str| error(&start(more));
    let except = |what: &str| wrong(&format!("[hardening]\nexceptions = [{{ {what}, why = \"a reason\" }}]\n"));
    let setuid = |path: &str| format!("{{ path = \"{path}\", why = \"a reason\" }}");
    let all = [
        wrong("[hardening]\nlevel = \"strict\"\n[hardening.sysctl]\n\"kernel.sysrq\" = \"1\"\n"),
        wrong("[hardening.sysctl]\n\"kernel.sysrq\" = \"1\"\n"),
        wrong("[hardening.sysctl]\n\"vm.swappiness\" = \"1\"\n\"vm.swappiness\" = \"2\"\n"),
        wrong("[hardening.sysctl]\n\"net.ipv4.conf.a/b.rp_filter\" = \"1\"\n\"net.ipv4.conf.a.b.rp_filter\" = \"2\"\n"),
        wrong("[hardening.sysctl]\nvm.swappiness = \"1\"\n"),
        wrong("[hardening.sysctl]\n\"vm.swappiness\" = 1\n"),
        wrong("[hardening.sysctl]\n\"vm.swappiness\" = \"1 or 2\"\n"),
        wrong("[hardening.sysctl]\n\"net.ipv4.conf.*.rp_filter\" = \"1\"\n"),
        wrong("[hardening]\nlevel = \"paranoid\"\n"),
        wrong("[hardening]\nblocked_modules = [\"usb storage\"]\n"),
        except("unit = \"ssh.service\", setting = \"ProtectSystme\""),
        except("setting = \"kernel.sysrk\""),
        except("setting = \"lockdown=integrity\""),
        except("unit = \"ssh\", setting = \"ProtectSystem\""),
        wrong("[hardening]\nexceptions = [{ setting = \"sctp\", why = \"a\" }, { setting = \"sctp\", why = \"b\" }]\n"),
        wrong("[hardening]\nexceptions = [{ setting = \"sctp\" }]\n"),
        wrong("[kernel]\ncommand_line = [\"init_on_alloc=0\"]\n[hardening]\nlevel = \"strict\"\n"),
        wrong("[kernel]\nmodules = [\"sctp\"]\n"),
        wrong(&format!(
            "[hardening]\nsetuid = [{}, {}, {}]\n",
            setuid("/usr/bin/a"),
            setuid("/usr/bin/b"),
            setuid("/usr/bin/c")
        )),
        wrong(&format!("[hardening]\nsetuid = [{}]\n", setuid("su"))),
    ];
    insta::assert_snapshot!("hardening", all.join("\n\n"));
}
