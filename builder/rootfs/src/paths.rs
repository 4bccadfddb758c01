//! Places in an image that more than one stage knows.

/// The read-only store of container images, containers-storage.conf(5).
pub const CONTAINER_STORE: &str = "usr/lib/containers/storage";
/// Its content is laid over the initrd's root.
pub const INITRD_OVERLAY: &str = "usr/lib/diorite/initrd";
/// Where the package database is in an image: below /usr, so that the state partition on /var does not hide it.
pub const DATABASE: &str = "usr/lib/sysimage/dpkg";
/// Where dpkg has it.
pub const DATABASE_BEFORE: &str = "var/lib/dpkg";
