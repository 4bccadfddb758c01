//! Volumes: in configurations, and how a type of storage names them.

/// The VM that a volume belongs to: `9000/vm-9000-disk-0.qcow2` on storages that keep files, `vm-9000-disk-0` on others.
pub(crate) fn owner(name: &str) -> Option<u64> {
    let bare = name.split_once('/').map_or(name, |(_, bare)| bare);
    bare.strip_prefix("vm-")?.split('-').next()?.parse().ok()
}

/// How a storage of this type names a VM's volume.
pub(crate) fn name(kind: &str, id: u64, number: u32, format: &str) -> String {
    match kind {
        "dir" | "nfs" | "cifs" | "cephfs" => format!("{id}/vm-{id}-disk-{number}.{format}"),
        "btrfs" => format!("{id}/vm-{id}-disk-{number}.raw"),
        _ => format!("vm-{id}-disk-{number}"),
    }
}

/// `local-zfs:vm-100-disk-0` of `local-zfs:vm-100-disk-0,discard=on`.
pub(crate) fn volume(value: &str) -> &str {
    value.split(',').next().unwrap_or(value)
}

/// `scsi0`, `efidisk0`: what holds a volume.
pub(crate) fn holds_volume(key: &str) -> bool {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    stem != key && ["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", "unused"].contains(&stem)
}
