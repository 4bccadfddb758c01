//! LockedPackages → ConfiguredTree: unpack, preinst, configure, scan.
