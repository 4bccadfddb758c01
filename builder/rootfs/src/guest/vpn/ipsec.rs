//! Tunnels of IPsec: what charon(8) loads, the service that makes files in /run of a tunnel's credentials, and the sandbox of
//! the daemon. A tunnel without its credentials is not loaded, and the others are.

use super::authority;
use super::swanctl::Section;
use crate::guest::Guest;
use crate::guest::ini::Ini;
use crate::guest::sandbox;
use diorite_model::recipe::{Ipsec, IpsecAuth, Network, VpnSecret};
use diorite_model::{Recipe, Result};

/// Debian's unit of the daemon.
const DAEMON: &str = "strongswan.service";
/// Makes files of credentials.
const SECRETS: &str = "usr/lib/diorite/ipsec-secrets";
/// Puts the address that a gateway gives on the interface.
const ADDRESS: &str = "usr/lib/diorite/ipsec-address";
/// What is not secret of each tunnel.
const TUNNELS: &str = "etc/swanctl/tunnels";
/// Below /run: what is.
const RUNTIME: &str = "diorite-ipsec";

/// Plugins of the daemon: algorithms, certificates, the kernel, its socket, and what swanctl(8) speaks to.
const PLUGINS: &str =
    "random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints kernel-netlink socket-default vici updown";
/// Where this machine logs in.
const EAP_PLUGINS: &str = "eap-identity eap-mschapv2";

/// Plugins of swanctl(8), which reads certificates and keys.
const LOADER_PLUGINS: &str = "pem pkcs1 pkcs8 x509 pubkey openssl";

/// The daemon sets up the kernel's side and has a socket in /run. It loads no module: the kernel does.
const CHARON: &[(&str, &str)] = &[
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", "CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_CHOWN"),
    ("ProtectSystem", "full"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("DevicePolicy", "closed"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectProc", "invisible"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("KeyringMode", "private"),
    ("UMask", "0077"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let tunnels: Vec<(&String, &Ipsec)> = recipe.ipsec_tunnels().map(|(name, _, ipsec)| (name, ipsec)).collect();
    if tunnels.is_empty() {
        return Ok(());
    }
    guest.file("etc/strongswan.conf", 0o644, daemon(&tunnels).finish()?)?;
    guest.file("etc/swanctl/swanctl.conf", 0o644, format!("include /run/{RUNTIME}/*.conf\n"))?;
    // swanctl(8) looks for keys in this directory alone.
    guest.remove("etc/swanctl/private");
    guest.link("etc/swanctl/private", &format!("/run/{RUNTIME}/private"))?;
    guest.file(SECRETS, 0o755, include_bytes!("ipsec-secrets.sh").to_vec())?;
    if tunnels.iter().any(|(_, ipsec)| ipsec.learns_address()) {
        guest.file(ADDRESS, 0o755, include_bytes!("ipsec-address.sh").to_vec())?;
    }
    for (name, ipsec) in tunnels {
        guest.file(&format!("{TUNNELS}/{name}.conf"), 0o644, tunnel(name, ipsec).finish()?)?;
        authority(guest, &format!("{TUNNELS}/{name}.pem"), ipsec.ca())?;
        let unit = Ipsec::unit(name);
        guest.unit(&unit, &secrets(name, ipsec))?;
        guest.enable(&unit)?;
    }
    // A tunnel that cannot be loaded must not stop the others; the log says why.
    let loads = Ini::new()
        .section("Service")
        .each("ExecStartPost", ["", "-/usr/sbin/swanctl --load-all --noprompt"])
        .set("Restart", "on-failure")
        .set("RestartSec", "5");
    guest.drop_in(DAEMON, &loads)?;
    let fence = CHARON.iter().fold(Ini::new().section("Service"), |ini, (key, value)| ini.set(key, *value));
    guest.drop_in_named(DAEMON, "20-sandbox", &fence)?;
    guest.enable(DAEMON)
}

/// strongswan.conf(5). networkd sets routes and name servers: the daemon sets none, whatever a gateway says.
fn daemon(tunnels: &[(&String, &Ipsec)]) -> Section {
    let eap = tunnels.iter().any(|(_, ipsec)| matches!(ipsec.auth, IpsecAuth::Eap { .. }));
    let load = if eap { format!("{PLUGINS} {EAP_PLUGINS}") } else { PLUGINS.to_owned() };
    let charon = Section::default()
        .set("load_modular", "no")
        .set("load", load)
        .set("install_routes", "no")
        .set("install_virtual_ip", "no")
        // A gateway whose name has no address yet is tried again.
        .set("retry_initiate_interval", "30s");
    let loader = Section::default().set("load", LOADER_PLUGINS);
    Section::default().section("charon", charon).section("swanctl", loader)
}

/// A connection and who its secrets belong to, swanctl.conf(5). The secrets themselves are added in /run.
fn tunnel(name: &str, ipsec: &Ipsec) -> Section {
    let calls = ipsec.gateway.is_some();
    let networks = |list: &[Network]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let local = Section::default();
    let local = match &ipsec.auth {
        IpsecAuth::Psk => local.set("auth", "psk"),
        IpsecAuth::Certificate { .. } => local.set("auth", "pubkey").set("certs", format!("/run/{RUNTIME}/{name}.crt")),
        IpsecAuth::Eap { user, .. } => local.set("auth", "eap-mschapv2").set("eap_id", &**user),
    };
    let authority = ipsec.ca().map(|_| format!("/{TUNNELS}/{name}.pem"));
    let remote = Section::default()
        .set("auth", if authority.is_some() { "pubkey" } else { "psk" })
        .set("id", &*ipsec.peer_id)
        .maybe("cacerts", authority);
    let again = |yes: &'static str, no: &'static str| if calls { yes } else { no };
    let child = Section::default()
        .set("local_ts", if ipsec.learns_address() { "dynamic".to_owned() } else { networks(&ipsec.local) })
        .set("remote_ts", networks(&ipsec.remote))
        .set("esp_proposals", ipsec.esp_proposals.join(","))
        .set("start_action", again("start", "none"))
        .set("close_action", again("start", "none"))
        .set("dpd_action", again("restart", "clear"))
        .maybe("updown", ipsec.learns_address().then(|| format!("/{ADDRESS} {name}")));
    let number = ipsec.interface.to_string();
    let connection = Section::default()
        .set("version", "2")
        .set("remote_addrs", ipsec.gateway.as_deref().unwrap_or("%any"))
        .maybe("vips", ipsec.learns_address().then(|| addresses(&ipsec.remote)))
        .set("proposals", ipsec.proposals.join(","))
        // Packets in UDP get through what translates addresses, and one rule of a firewall admits both.
        .set("encap", "yes")
        .set("mobike", "no")
        .set("dpd_delay", "30s")
        .set("keyingtries", again("0", "1"))
        .set("unique", "replace")
        .set("if_id_in", &*number)
        .set("if_id_out", &*number)
        .section("local", local.maybe("id", ipsec.id.as_deref()))
        .section("remote", remote)
        .section("children", Section::default().section(name, child));
    let mut owners = Section::default();
    if ipsec.has_psk() {
        owners = owners.section(&format!("ike-{name}"), Section::default().set("id-peer", &*ipsec.peer_id));
    }
    if let IpsecAuth::Eap { user, .. } = &ipsec.auth {
        owners = owners.section(&format!("eap-{name}"), Section::default().set("id-user", &**user));
    }
    Section::default().section("connections", Section::default().section(name, connection)).section("secrets", owners)
}

/// Which addresses are asked for: one of each family that is at the other end.
fn addresses(remote: &[Network]) -> String {
    let any = |ipv4: bool| remote.iter().any(|n| n.is_ipv4() == ipv4);
    let all = [any(true).then_some("0.0.0.0"), any(false).then_some("::")];
    all.into_iter().flatten().collect::<Vec<_>>().join(",")
}

fn secrets(name: &str, ipsec: &Ipsec) -> Ini {
    let all = ipsec.secrets();
    let words: Vec<&str> = all.iter().copied().map(VpnSecret::word).collect();
    let ini = Ini::new()
        .section("Unit")
        .set("Description", format!("Secrets of the tunnel {name}"))
        .set("Before", DAEMON)
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .each("LoadCredential", all.iter().map(|secret| format!("{}:{}", secret.word(), secret.credential(name))))
        .set("RuntimeDirectory", RUNTIME)
        .set("RuntimeDirectoryMode", "0700")
        .set("RuntimeDirectoryPreserve", "yes")
        .set("ExecStart", format!("/{SECRETS} {name} {}", words.join(" ")));
    sandbox::closed(ini, &[]).section("Install").set("WantedBy", DAEMON)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    /// The host's sh. What is in a credential is text, whatever it says.
    #[test]
    fn secrets_are_written_and_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("script"), include_bytes!("ipsec-secrets.sh")).unwrap();
        for name in ["credentials", "run"] {
            fs::create_dir(path(name)).unwrap();
        }
        let make = |words: &[&str]| {
            let output = Command::new("/bin/sh")
                .arg(path("script"))
                .arg("site")
                .args(words)
                .env("CREDENTIALS_DIRECTORY", path("credentials"))
                .env("RUNTIME_DIRECTORY", path("run"))
                .current_dir(directory.path())
                .output()
                .unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let missing = make(&["psk"]);
        assert_eq!(missing, (false, "<3>tunnel site: the credential vpn.psk.site is missing\n".into()));
        assert!(!path("run/site.conf").exists(), "a tunnel without its secret is not loaded");
        let hostile = "$(touch made)\" } `touch made` # \\ 'x";
        fs::write(path("credentials/psk"), format!("{hostile}\n")).unwrap();
        fs::write(path("credentials/password"), "hunter two").unwrap();
        assert_eq!(make(&["psk", "password"]), (true, String::new()));
        let text = fs::read_to_string(path("run/site.conf")).unwrap();
        let encoded = |text: &str| format!("secret = 0s{}", diorite_model::base64::encode(text.as_bytes()));
        for line in ["include /etc/swanctl/tunnels/site.conf", &encoded(hostile), &encoded("hunter two")] {
            assert!(text.lines().any(|l| l.trim() == line), "{line} is not in\n{text}");
        }
        assert!(!path("made").exists());
        fs::write(path("credentials/certificate"), "no certificate").unwrap();
        fs::write(path("credentials/key"), "no key").unwrap();
        let wrong = make(&["certificate", "key"]);
        assert_eq!(
            wrong,
            (false, "<3>tunnel site: the credential vpn.certificate.site is not a certificate in PEM\n".into())
        );
        assert!(!path("run/site.conf").exists(), "an old file does not stay");
    }
}
