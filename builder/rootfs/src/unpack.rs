//! Packages → files: decompressed in parallel, laid down in one canonical order.
