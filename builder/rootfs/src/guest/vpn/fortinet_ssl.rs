//! Tunnels to a FortiGate: a service that runs openfortivpn(1), and through it pppd(8). Neither sets routes or name servers:
//! networkd does, as the profile says, once the interface is there.

use super::authority;
use crate::guest::Guest;
use crate::guest::ini::Ini;
use crate::guest::sandbox;
use diorite_model::recipe::{FortinetSsl, VpnSecret};
use diorite_model::{Error, Recipe, Result};

/// Adds the password to the configuration, and starts.
const START: &str = "usr/lib/diorite/fortinet-ssl";
const DIRECTORY: &str = "etc/openfortivpn";
/// Takes away a route that pppd makes; openfortivpn does so itself from 1.24 on.
const UP: &str = "etc/ppp/ip-up.d/diorite-fortinet-ssl";
/// modules-load.d(5): with `dev.tty.ldisc_autoload = 0` no terminal becomes a PPP line by asking.
const MODULES: &str = "etc/modules-load.d/diorite-fortinet-ssl.conf";
/// Exit status of a tunnel that lacks its password, EX_CONFIG in sysexits(3): trying again would not help.
const NO_PASSWORD: &str = "78";

/// What pppd needs: a terminal for each side and /dev/ppp, the kernel's network, and /run for its files. It is root, because
/// it refuses to be anybody else.
const PPPD: &[(&str, &str)] = &[
    ("CapabilityBoundingSet", "CAP_NET_ADMIN CAP_NET_RAW"),
    ("ProtectSystem", "full"),
    ("PrivateDevices", ""),
    ("DeviceAllow", "/dev/ppp rw"),
    ("PrivateNetwork", ""),
    ("IPAddressDeny", ""),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET"),
    ("SystemCallFilter", "@system-service"),
    ("ProtectProc", "invisible"),
    ("TasksMax", "64"),
];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    for (name, _, ssl) in recipe.fortinet_ssl_tunnels() {
        if !guest.nodes.contains_key(START.as_bytes()) {
            guest.file(START, 0o755, include_bytes!("fortinet-ssl.sh").to_vec())?;
            guest.file(UP, 0o755, include_bytes!("fortinet-ssl-up.sh").to_vec())?;
            guest.file(MODULES, 0o644, "ppp_generic\nppp_async\n")?;
        }
        let ca = format!("{DIRECTORY}/{name}.pem");
        guest.file(&format!("{DIRECTORY}/{name}.conf"), 0o644, config(name, ssl, &ca)?)?;
        authority(guest, &ca, ssl.ca.as_deref())?;
        let unit = FortinetSsl::unit(name);
        guest.unit(&unit, &service(name))?;
        guest.enable(&unit)?;
    }
    Ok(())
}

/// openfortivpn(1), "CONFIGURATION": a key and a value in each line.
fn config(name: &str, ssl: &FortinetSsl, ca: &str) -> Result<String> {
    let mut lines = vec![("host", ssl.gateway.clone()), ("port", ssl.port.to_string()), ("username", ssl.user.clone())];
    lines.extend(ssl.realm.iter().map(|realm| ("realm", realm.clone())));
    lines.extend(ssl.trusted_certificates.iter().map(|digest| ("trusted-cert", digest.clone())));
    lines.extend(ssl.ca.iter().map(|_| ("ca-file", format!("/{ca}"))));
    for key in ["set-dns", "set-routes", "pppd-use-peerdns"] {
        lines.push((key, "0".to_owned()));
    }
    lines.push(("pppd-ifname", name.to_owned()));
    let mut text = String::new();
    for (key, value) in lines {
        if value.is_empty() || value.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Error::bug(format!("`{key}` cannot be written as {value:?}")));
        }
        text += &format!("{key} = {value}\n");
    }
    Ok(text)
}

fn service(name: &str) -> Ini {
    let ini = Ini::new()
        .section("Unit")
        .set("Description", format!("Tunnel {name}"))
        .set("Wants", "network-online.target")
        .set("After", "network-online.target")
        .set("StartLimitIntervalSec", "0")
        .section("Service")
        .set("Type", "exec")
        .set("LoadCredential", format!("password:{}", VpnSecret::Password.credential(name)))
        .set("RuntimeDirectory", format!("diorite-fortinet-ssl/{name}"))
        .set("RuntimeDirectoryMode", "0700")
        .set("ExecStart", format!("/{START} {name}"))
        // Not at once: a gateway locks an account whose password is wrong too often.
        .set("Restart", "always")
        .set("RestartSec", "60")
        .set("RestartMode", "direct")
        .set("RestartPreventExitStatus", NO_PASSWORD);
    sandbox::closed(ini, PPPD).section("Install").set("WantedBy", "multi-user.target")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    /// The host's sh and an openfortivpn that shows what it was given.
    #[test]
    fn a_password_is_written_and_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let script = String::from_utf8_lossy(include_bytes!("fortinet-ssl.sh"))
            .replace("/etc/openfortivpn/", &format!("{}/", directory.path().display()));
        fs::write(path("script"), script).unwrap();
        fs::write(path("site.conf"), "host = gate.example\n").unwrap();
        fs::write(path("openfortivpn"), "#!/bin/sh\ncat \"$2\"\n").unwrap();
        assert!(Command::new("chmod").arg("0755").arg(path("openfortivpn")).status().unwrap().success());
        let start = || {
            let output = Command::new("/bin/sh")
                .arg(path("script"))
                .arg("site")
                .env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()))
                .env("CREDENTIALS_DIRECTORY", directory.path())
                .env("RUNTIME_DIRECTORY", directory.path())
                .current_dir(directory.path())
                .output()
                .unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (output.status.code(), text(&output.stdout), text(&output.stderr))
        };
        let missing = "<3>tunnel site: the credential vpn.password.site is missing\n";
        assert_eq!(start(), (Some(78), String::new(), missing.to_owned()));
        fs::write(path("password"), "$(touch made)`x`\\ 'y\n").unwrap();
        let given = "host = gate.example\npassword = $(touch made)`x`\\ 'y\n";
        assert_eq!(start(), (Some(0), given.to_owned(), String::new()));
        assert!(!path("made").exists());
        fs::write(path("password"), "one\nhost = evil.example\n").unwrap();
        assert_eq!(start().0, Some(78), "one line, or it would be configuration");
    }

    /// The host's sh and an ip(8) that shows what it was given.
    #[test]
    fn the_route_to_a_gateway_is_taken_out_of_its_own_tunnel() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let script = String::from_utf8_lossy(include_bytes!("fortinet-ssl-up.sh"))
            .replace("/etc/openfortivpn/", &format!("{}/", directory.path().display()));
        fs::write(path("script"), script).unwrap();
        fs::write(path("site.conf"), "host = gate.example\n").unwrap();
        fs::write(path("ip"), "#!/bin/sh\necho \"$*\"\n").unwrap();
        assert!(Command::new("chmod").arg("0755").arg(path("ip")).status().unwrap().success());
        let up = |interface: &str| {
            let output = Command::new("/bin/sh")
                .arg(path("script"))
                .env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()))
                .env("PPP_IFACE", interface)
                .env("PPP_REMOTE", "192.0.2.40")
                .output()
                .unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(up("site"), "-4 route del 192.0.2.40/32 dev site\n");
        assert_eq!(up("ppp0"), "", "a line of somebody else");
    }
}
