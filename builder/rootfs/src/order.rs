//! The canonical order of packages.
