//! Things said to the guest from outside, without changing a byte of its disk: systemd credentials in SMBIOS OEM
//! strings (type 11), systemd.exec(5), systemd-debug-generator(8), smbios-type-11(7).

use diorite_model::base64;

/// The virtio-serial port of the root shell.
pub const SHELL_PORT: &str = "diorite.shell";
/// What the shell says first.
pub const SHELL_READY: &str = "diorite-shell-ready";

/// It waits for the port by itself: a dependency on the port's device unit would be given up after 90 s, which a busy
/// host needs to get that far. The port can be opened once only, so input and output are one descriptor.
const SHELL_UNIT: &str = r#"[Unit]
Description=Root shell for the verification, injected from outside
DefaultDependencies=no
ConditionPathExists=!/etc/initrd-release
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sh -c 'until test -c /dev/virtio-ports/diorite.shell; do sleep 1; done; exec 0<>/dev/virtio-ports/diorite.shell 1>&0 2>&0; echo diorite-shell-ready; exec /bin/sh'
Environment=PATH=/usr/sbin:/usr/bin LC_ALL=C HOME=/root
Restart=always
"#;

/// A credential: name and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// Its value, any bytes.
    pub value: Vec<u8>,
}

impl Credential {
    /// A credential.
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// QEMU's `-smbios` value. Base64 holds no comma, which QEMU would take for a separator.
    pub(crate) fn argument(&self) -> String {
        if self.name == COMMAND_LINE {
            return format!("type=11,value={COMMAND_LINE}={}", String::from_utf8_lossy(&self.value).replace(',', ",,"));
        }
        format!("type=11,value=io.systemd.credential.binary:{}={}", self.name, base64::encode(&self.value))
    }
}

/// No credential, but said in the same way: words that systemd-stub(7) adds to the kernel's command line.
const COMMAND_LINE: &str = "io.systemd.stub.kernel-cmdline-extra";

/// Words for the kernel's command line, from outside the image.
pub fn command_line(words: &str) -> Credential {
    Credential::new(COMMAND_LINE, words)
}

/// The credentials that bring a root shell onto the port [`SHELL_PORT`] early in the boot of the real root. The initrd
/// reads them as well; a shell there would prove nothing about the image.
pub fn shell() -> Vec<Credential> {
    vec![
        Credential::new("systemd.extra-unit.diorite-shell.service", SHELL_UNIT),
        Credential::new("systemd.unit-dropin.sysinit.target~diorite-shell", "[Unit]\nWants=diorite-shell.service\n"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_and_its_port_agree() {
        assert!(SHELL_UNIT.contains(&format!("0<>/dev/virtio-ports/{SHELL_PORT} ")));
        assert!(SHELL_UNIT.contains("ConditionPathExists=!/etc/initrd-release\n"));
        assert!(SHELL_UNIT.contains(&format!("echo {SHELL_READY};")));
        let added = command_line("a=1,2").argument();
        assert_eq!(added, "type=11,value=io.systemd.stub.kernel-cmdline-extra=a=1,,2");
        assert!(shell().iter().all(|c| !c.argument()["type=11,".len()..].contains(',')));
    }
}
