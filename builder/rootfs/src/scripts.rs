//! Debian's maintainer scripts, run in the fence.
