//! Which packages each table of a recipe needs, so that no profile has to know.

use crate::Recipe;
use crate::recipe::{Backup, BackupRepository, Encryption, FileSystem, IpsecAuth, MountSource, Platform, TimeDaemon};

/// What every image is made of: a kernel, systemd from the boot loader to the resolver, the verified root's tools,
/// the packet filter and a secure shell.
const ALWAYS: [&str; 25] = [
    "ca-certificates",
    "cryptsetup-bin",
    "dbus",
    "dbus-broker",
    "dmsetup",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "libnss-myhostname",
    "libnss-resolve",
    "libnss-systemd",
    "libpam-systemd",
    "mount",
    "nftables",
    "openssh-server",
    "systemd",
    "systemd-boot",
    "systemd-boot-efi",
    "systemd-cryptsetup",
    "systemd-repart",
    "systemd-resolved",
    "systemd-sysv",
    "udev",
    "util-linux",
    "zstd",
];

/// What a container needs: podman, its network stack and its runtime.
const CONTAINERS: [&str; 4] = ["aardvark-dns", "crun", "netavark", "podman"];

/// What negotiates a tunnel of IPsec, and what loads its configuration.
const IPSEC: [&str; 4] = ["charon-systemd", "libstrongswan", "strongswan-libcharon", "strongswan-swanctl"];

/// The plugins that log in to a gateway: MSCHAPv2, and the user's name before it.
const EAP: [&str; 2] = ["libcharon-extauth-plugins", "libcharon-extra-plugins"];

/// What systemd opens by name to speak with a TPM: the library, its words for errors, its formats, and the way to the device.
const TPM: [&str; 4] =
    ["libtss2-esys-3.0.2-0t64", "libtss2-mu-4.0.1-0t64", "libtss2-rc0t64", "libtss2-tcti-device0t64"];

/// The user's packages and those the tables need, sorted, each name once; a wish with a version wins.
pub(crate) fn complete(recipe: &mut Recipe) {
    let needed = needed(recipe);
    let list = &mut recipe.packages.include;
    for name in needed {
        if !list.iter().any(|p| p.split('=').next() == name.split('=').next()) {
            list.push(name);
        }
    }
    list.sort();
}

/// The packages that the tables need.
pub(super) fn needed(recipe: &Recipe) -> Vec<String> {
    let mut needed: Vec<&str> = ALWAYS.to_vec();
    needed.push(recipe.kernel.package());
    needed.extend(recipe.platform.firmware.iter().map(String::as_str));
    if recipe.platform.microcode {
        needed.extend(Platform::MICROCODE);
    }
    match recipe.time.daemon {
        TimeDaemon::Timesyncd => needed.push("systemd-timesyncd"),
        TimeDaemon::Chrony => needed.push("chrony"),
        TimeDaemon::None => {}
    }
    if !recipe.containers.is_empty() {
        needed.extend(CONTAINERS);
    }
    if recipe.containers.values().any(|c| c.init) {
        needed.push("catatonit");
    }
    if recipe.monitoring.node_exporter.is_some() {
        needed.push("prometheus-node-exporter");
    }
    if recipe.monitoring.prometheus.is_some() {
        needed.push("prometheus");
    }
    if !recipe.monitoring.probes.is_empty() {
        needed.push("prometheus-blackbox-exporter");
    }
    if recipe.monitoring.alertmanager.is_some() {
        needed.push("prometheus-alertmanager");
    }
    if recipe.monitoring.logs.is_some() {
        needed.push("systemd-journal-remote");
    }
    if recipe.state.encryption == Encryption::Tpm2 {
        needed.extend(TPM);
    }
    let disks = recipe.mounts.values().filter_map(|m| m.disk()).map(|disk| disk.filesystem);
    for filesystem in disks.chain([recipe.state.filesystem]).collect::<Vec<_>>() {
        match filesystem {
            FileSystem::Ext4 => {}
            FileSystem::Xfs => needed.push("xfsprogs"),
            FileSystem::Btrfs => needed.push("btrfs-progs"),
        }
    }
    if recipe.memory.zram.is_some() {
        needed.push("systemd-zram-generator");
    }
    for mount in recipe.mounts.values() {
        match mount.source {
            MountSource::Nfs(_) => needed.push("nfs-common"),
            MountSource::Cifs(_) => needed.push("cifs-utils"),
            MountSource::Disk(_) | MountSource::Bind(_) => {}
        }
    }
    if recipe.wireguard_tunnels().next().is_some() {
        // networkd needs no program for it; those who look after the machine do.
        needed.push("wireguard-tools");
    }
    if recipe.ipsec_tunnels().next().is_some() {
        needed.extend(IPSEC);
    }
    if recipe.ipsec_tunnels().any(|(_, _, ipsec)| matches!(ipsec.auth, IpsecAuth::Eap { .. })) {
        needed.extend(EAP);
    }
    if recipe.fortinet_ssl_tunnels().next().is_some() {
        needed.push("openfortivpn");
    }
    if recipe.backup.is_some() {
        needed.push("restic");
    }
    if matches!(recipe.backup, Some(Backup { repository: BackupRepository::Sftp(_), .. })) {
        needed.push("openssh-client");
    }
    if !recipe.certificates.is_empty() {
        needed.push("openssl");
    }
    if recipe.asks_authorities() {
        needed.push("uacme");
    }
    if recipe.challenge_credentials().next().is_some() {
        // knsupdate and kdig.
        needed.push("knot-dnsutils");
    }
    if recipe.access.anybody_has_sudo() {
        needed.push("sudo");
    }
    if recipe.config_drive.is_some() {
        // It checks the signature.
        needed.push("openssh-client");
    }
    if recipe.time.timezone != "UTC" {
        needed.push("tzdata");
    }
    if !recipe.locale.compiled().is_empty() {
        needed.push("locales");
    }
    needed.into_iter().map(str::to_owned).collect()
}
