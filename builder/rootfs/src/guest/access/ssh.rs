//! The secure shell: keys and certificates only, current algorithms only, for declared people only; host keys made on
//! state at first boot.

use crate::guest::Guest;
use crate::guest::ini::Ini;
use crate::guest::sandbox;
use diorite_model::recipe::{RootLogin, SecondFactor};
use diorite_model::{Error, Recipe, Result};

/// Where a machine's own host key lives.
const HOST_KEY: &str = "/var/lib/ssh/ssh_host_ed25519_key";
const KEYS_UNIT: &str = "diorite-host-key.service";
const CONFIG: &str = "etc/ssh/sshd_config.d/10-diorite.conf";
const KEYS: &str = "etc/ssh/authorized_keys.d";
const PRINCIPALS: &str = "etc/ssh/principals.d";
const AUTHORITIES: &str = "etc/ssh/user_ca.pub";
const BANNER: &str = "etc/ssh/banner";

/// Its value is [`Recipe::keys_files`].
const KEYS_FILES: &str = "AuthorizedKeysFile";

/// sshd_config(5). The first value of a keyword wins, and this file is read before Debian's.
const SETTINGS: [(&str, &str); 22] = [
    ("HostKey", HOST_KEY),
    ("AuthenticationMethods", "publickey"),
    ("PubkeyAuthentication", "yes"),
    ("PasswordAuthentication", "no"),
    ("KbdInteractiveAuthentication", "no"),
    ("HostbasedAuthentication", "no"),
    ("GSSAPIAuthentication", "no"),
    ("PermitEmptyPasswords", "no"),
    ("PermitUserEnvironment", "no"),
    // Keys are part of the image, or a cloud-init drive's: none is added to a running machine.
    (KEYS_FILES, ""),
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
        "CASignatureAlgorithms",
        "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
         sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512",
    ),
];

/// Algorithms of keys in a token, and of other keys; `true` when a certificate of the same kind exists
/// (`NAME-cert-v01@openssh.com`, PROTOCOL.certkeys).
const IN_TOKENS: [&str; 2] = ["sk-ssh-ed25519", "sk-ecdsa-sha2-nistp256"];
const IN_FILES: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// sshd_config(5), a keyword and its value per line.
#[derive(Default)]
struct SshdConfig(String);

impl SshdConfig {
    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let fine = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '#' | '\\');
        let words = value.split(' ').all(|w| !w.is_empty() && w.chars().all(fine));
        if !words || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(Error::bug(format!("`{key}` of sshd_config cannot be {value:?}")));
        }
        self.0 += &format!("{key} {value}\n");
        Ok(())
    }
}

/// The public key algorithms that are accepted.
fn algorithms(recipe: &Recipe) -> String {
    let mut all: Vec<String> = Vec::new();
    let certificates = !recipe.access.user_ca.is_empty();
    let mut add = |name: &str, key: String| {
        if certificates {
            all.push(format!("{name}-cert-v01@openssh.com"));
        }
        all.push(key);
    };
    for name in IN_TOKENS {
        add(name, format!("{name}@openssh.com"));
    }
    if recipe.access.second_factor == SecondFactor::None {
        IN_FILES.iter().for_each(|name| add(name, (*name).to_owned()));
    }
    all.join(",")
}

fn config(recipe: &Recipe) -> Result<String> {
    let access = &recipe.access;
    let mut config = SshdConfig::default();
    let files = recipe.keys_files();
    for (key, value) in SETTINGS {
        config.set(key, if key == KEYS_FILES { &files } else { value })?;
    }
    config.set("PubkeyAcceptedAlgorithms", &algorithms(recipe))?;
    if access.second_factor == SecondFactor::U2f {
        config.set("PubkeyAuthOptions", "touch-required,verify-required")?;
    }
    // Only declared accounts may log in, whatever accounts packages make.
    let root = access.root_login == RootLogin::Credential;
    let people = access.people().map(|(name, _)| name.as_str()).chain(root.then_some("root"));
    match people.collect::<Vec<_>>().join(" ") {
        nobody if nobody.is_empty() => config.set("DenyUsers", "*")?,
        names => config.set("AllowUsers", &names)?,
    }
    config.set("PermitRootLogin", if root { "prohibit-password" } else { "no" })?;
    config.set("MaxSessions", &access.sessions.to_string())?;
    if let Some(minutes) = access.idle_minutes {
        config.set("ChannelTimeout", &format!("global={minutes}m"))?;
        config.set("UnusedConnectionTimeout", &format!("{minutes}m"))?;
    }
    if !access.banner.is_empty() {
        config.set("Banner", &format!("/{BANNER}"))?;
    }
    if !access.user_ca.is_empty() {
        config.set("TrustedUserCAKeys", &format!("/{AUTHORITIES}"))?;
        config.set("AuthorizedPrincipalsFile", &format!("/{PRINCIPALS}/%u"))?;
    }
    for (key, value) in &recipe.hardening.sshd {
        config.set(key, value)?;
    }
    if root {
        // Root's keys arrive with the machine, systemd.system-credentials(7).
        config.0 += "Match User root\n    AuthorizedKeysFile /root/.ssh/authorized_keys\n";
    }
    Ok(config.0)
}

/// Lines of a file, none of which can become two.
fn lines<'a>(what: &str, all: impl IntoIterator<Item = &'a String>) -> Result<String> {
    let mut text = String::new();
    for line in all {
        if line.is_empty() || line.chars().any(char::is_control) {
            return Err(Error::bug(format!("{what} does not stay on its line: {line:?}")));
        }
        text += line;
        text.push('\n');
    }
    Ok(text)
}

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let access = &recipe.access;
    guest.file(CONFIG, 0o644, config(recipe)?)?;
    guest.directory(KEYS, 0o755)?;
    for (name, person) in access.people() {
        guest.file(&format!("{KEYS}/{name}"), 0o644, lines("a key", &person.ssh_keys)?)?;
    }
    if !access.user_ca.is_empty() {
        guest.file(AUTHORITIES, 0o644, lines("an authority's key", &access.user_ca)?)?;
        guest.directory(PRINCIPALS, 0o755)?;
        for (name, person) in access.people() {
            guest.file(&format!("{PRINCIPALS}/{name}"), 0o644, lines("a principal", &person.principals)?)?;
        }
    }
    if !access.banner.is_empty() {
        guest.file(BANNER, 0o644, lines("the banner", &access.banner)?)?;
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
        .set("ExecStartPre", format!("-/usr/bin/rm -f {HOST_KEY} {HOST_KEY}.pub"))
        .set("ExecStart", format!("/usr/bin/ssh-keygen -q -t ed25519 -N \"\" -C \"\" -f {HOST_KEY}"))
        .set("ExecStartPost", format!("/usr/bin/sync {HOST_KEY} /var/lib/ssh"));
    guest.unit(KEYS_UNIT, &sandbox::closed(unit, &[("RestrictAddressFamilies", "none")]))?;
    let needs = Ini::new().section("Unit").set("Requires", KEYS_UNIT).set("After", KEYS_UNIT);
    guest.drop_in("ssh.service", &needs)?;
    guest.enable("ssh.service")?;
    // Debian's own generator writes to /etc.
    if guest.has("usr/lib/systemd/system/sshd-keygen.service") {
        guest.mask("sshd-keygen.service")?;
    }
    Ok(())
}
