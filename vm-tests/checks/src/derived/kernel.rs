//! The kernel: its modules, and that it has found no fault in itself.

use crate::{
    answer::{Judged, short, verdict},
    check::{Check, CheckRun, Phase},
    quote,
    scope::Scope,
};
use diorite_machine::{AlarmKind, Output};
use diorite_model::report::Evidence;
use std::sync::Arc;

/// Each module that the profile names is loaded.
pub fn modules(scope: &Scope<'_>) -> Vec<Check> {
    let one = |name: &String| {
        Check::script(format!("module-{name}"), format!("kernel module {name} is loaded"), script(name), module)
    };
    scope.recipe.kernel.modules.iter().map(one).collect()
}

/// No fault that the kernel survived.
pub fn sound() -> Check {
    let ask = |machine: &mut crate::asker::Asker<'_>| {
        let inside = machine.has_shell().then(|| machine.run("cat /proc/sys/kernel/tainted")).transpose()?;
        let alarms = machine.machine().console.alarms();
        let told = alarms.into_iter().find(|alarm| alarm.kind == AlarmKind::Oops).map(|alarm| alarm.line);
        Ok(kernel(told, inside.as_ref()))
    };
    let what = "no kernel oops or taint";
    let check = Check::new("kernel-sound", what, Evidence::Console, CheckRun::Ask(Arc::new(ask)));
    Check { uninjected: true, ..check.phase(Phase::Summary) }
}

/// What [`module`] reads.
fn script(name: &str) -> String {
    format!("ls -d {}", quote::word(&format!("/sys/module/{}", name.replace('-', "_"))))
}

/// `ls -d /sys/module/NAME`: it is there when the module is loaded or built in.
fn module(output: &Output) -> Judged {
    verdict(output.success(), short(&output.text))
}

/// The faults that the console has told of, and kernel.tainted where the shell could be asked (the kernel's
/// Documentation/admin-guide/tainted-kernels.rst).
fn kernel(told: Option<String>, tainted: Option<&Output>) -> Judged {
    const LETTERS: &[u8] = b"PFSRMBUDAWCIOELKXTNJ";
    // A soft lockup: on a host that lets the machine wait for seconds it says nothing about the machine.
    const LOCKUP: u64 = 1 << 14;
    if let Some(line) = told {
        return Err(line);
    }
    let Some(output) = tainted else { return Ok("none on the console".to_owned()) };
    let Ok(bits) = output.text.trim().parse::<u64>() else { return Err(short(&output.text)) };
    let letter = |bit: usize| LETTERS.get(bit).map_or('?', |l| char::from(*l));
    let set: String = (0..64).filter(|bit| bits >> bit & 1 == 1).map(letter).collect();
    verdict(
        bits & !LOCKUP == 0,
        if set.is_empty() { "untainted".to_owned() } else { format!("tainted: {set} ({bits})") },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_tells_of_its_faults() {
        let said = |text: &str| Output { status: 0, text: text.to_owned() };
        assert_eq!(kernel(None, Some(&said("0"))), Ok("untainted".into()));
        assert_eq!(kernel(None, None), Ok("none on the console".into()));
        assert_eq!(kernel(None, Some(&said("640"))), Err("tainted: DW (640)".into()));
        assert!(kernel(None, Some(&said("16384"))).is_ok(), "a soft lockup alone");
        assert!(kernel(None, Some(&said("cat: no"))).is_err());
        let oops = "Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI";
        assert_eq!(kernel(Some(oops.into()), Some(&said("0"))), Err(oops.into()));
    }

    #[test]
    fn a_module_that_is_not_loaded_is_seen() {
        let out = |status, text: &str| Output { status, text: text.to_owned() };
        assert!(module(&out(0, "/sys/module/nf_conntrack")).is_ok() && module(&out(2, "")).is_err());
        quote::tests::harmless(script);
    }
}
