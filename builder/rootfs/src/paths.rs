//! Places in an image that more than one stage knows.

/// The read-only store of container images, containers-storage.conf(5).
pub const CONTAINER_STORE: &str = "usr/lib/containers/storage";
/// Its content is laid over the initrd's root.
pub const INITRD_OVERLAY: &str = "usr/lib/diorite/initrd";
