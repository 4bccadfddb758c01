//! Native stand-ins for helper programs that Debian's maintainer scripts call by the hundred.

use diorite_model::Result;
use std::path::{Path, PathBuf};

/// Our program over which of the tree's, for those that are there.
pub fn binds(_root: &Path) -> Result<Vec<(PathBuf, String)>> {
    Ok(Vec::new())
}
