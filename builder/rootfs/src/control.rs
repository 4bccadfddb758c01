//! Debian control data: paragraphs, relations, versions.
