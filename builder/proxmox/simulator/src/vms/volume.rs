//! Volumes in configurations.

/// `local-zfs:vm-100-disk-0` of `local-zfs:vm-100-disk-0,discard=on`.
pub(crate) fn volume(value: &str) -> &str {
    value.split(',').next().unwrap_or(value)
}

/// `scsi0`, `efidisk0`: what holds a volume.
pub(crate) fn holds_volume(key: &str) -> bool {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    stem != key && ["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", "unused"].contains(&stem)
}
