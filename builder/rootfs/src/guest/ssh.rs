//! The secure shell: keys only, current algorithms only, host keys made on state at first boot.

use super::Guest;
use super::ini::Ini;
use diorite_model::{Error, Recipe, Result};

/// Where a machine's own host key lives.
const HOST_KEY: &str = "/var/lib/ssh/ssh_host_ed25519_key";
const KEYS_UNIT: &str = "diorite-host-key.service";

/// sshd_config(5). The first value of a keyword wins, and this file is read before Debian's.
const SETTINGS: [(&str, &str); 24] = [
    ("HostKey", HOST_KEY),
    ("AuthenticationMethods", "publickey"),
    ("PubkeyAuthentication", "yes"),
    ("PasswordAuthentication", "no"),
    ("KbdInteractiveAuthentication", "no"),
    ("HostbasedAuthentication", "no"),
    ("GSSAPIAuthentication", "no"),
    ("PermitEmptyPasswords", "no"),
    ("PermitRootLogin", "prohibit-password"),
    ("PermitUserEnvironment", "no"),
    // Keys are part of the image: nobody adds one to a running machine.
    ("AuthorizedKeysFile", "/etc/ssh/authorized_keys.d/%u"),
    ("AuthorizedKeysCommand", "none"),
    ("X11Forwarding", "no"),
    ("AllowAgentForwarding", "no"),
    ("PermitTunnel", "no"),
    ("LoginGraceTime", "60"),
    ("MaxAuthTries", "4"),
    ("RequiredRSASize", "3072"),
    ("KexAlgorithms", "mlkem768x25519-sha256,sntrup761x25519-sha512,curve25519-sha256"),
    ("Ciphers", "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com"),
    ("MACs", "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com"),
    ("HostKeyAlgorithms", "ssh-ed25519"),
    (
        "PubkeyAcceptedAlgorithms",
        "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
         sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256",
    ),
    ("CASignatureAlgorithms", "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512"),
];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let mut text: String = SETTINGS.iter().map(|(key, value)| format!("{key} {value}\n")).collect();
    // Root's keys arrive with the machine, by the credential ssh.authorized_keys.root, systemd.system-credentials(7).
    text += "Match User root\n    AuthorizedKeysFile /root/.ssh/authorized_keys\n";
    guest.file("etc/ssh/sshd_config.d/10-diorite.conf", 0o644, text)?;
    guest.directory("etc/ssh/authorized_keys.d", 0o755)?;
    for (name, person) in &recipe.access.administrators {
        let mut keys = String::new();
        for key in &person.ssh_keys {
            if key.chars().any(char::is_control) {
                return Err(Error::bug(format!("a key of `{name}` does not stay on its line")));
            }
            keys += key;
            keys.push('\n');
        }
        guest.file(&format!("etc/ssh/authorized_keys.d/{name}"), 0o644, keys)?;
    }
    // A key that a power cut left empty is made again.
    let unit = Ini::new()
        .section("Unit")
        .set("Description", "Make the host key of the secure shell")
        .set("ConditionFileNotEmpty", format!("!{HOST_KEY}"))
        .set("RequiresMountsFor", "/var/lib/ssh")
        .set("Before", "ssh.service")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("StateDirectory", "ssh")
        .set("StateDirectoryMode", "0700")
        .set("UMask", "0077")
        .set("ExecStartPre", format!("-/usr/bin/rm -f {HOST_KEY} {HOST_KEY}.pub"))
        .set("ExecStart", format!("/usr/bin/ssh-keygen -q -t ed25519 -N \"\" -C \"\" -f {HOST_KEY}"))
        .set("ExecStartPost", format!("/usr/bin/sync {HOST_KEY} /var/lib/ssh"))
        .set("NoNewPrivileges", "yes")
        .set("ProtectSystem", "strict")
        .set("ProtectHome", "yes")
        .set("PrivateTmp", "yes")
        .set("PrivateNetwork", "yes")
        .set("RestrictAddressFamilies", "none");
    guest.unit(KEYS_UNIT, &unit)?;
    let needs = Ini::new().section("Unit").set("Requires", KEYS_UNIT).set("After", KEYS_UNIT);
    guest.drop_in("ssh.service", &needs)?;
    guest.enable("ssh.service")?;
    // Debian's own generator writes to /etc.
    if guest.has("usr/lib/systemd/system/sshd-keygen.service") {
        guest.mask("sshd-keygen.service")?;
    }
    Ok(())
}
