//! A folder on disk → Tree.
