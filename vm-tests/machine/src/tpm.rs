//! A TPM 2.0 in a process of its own: swtpm(8), whose control channel QEMU inherits.

use diorite_host::tools::{Child, Tool, ToolsTree};
use diorite_model::{Error, Result};
use std::{
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::Path,
};

/// Starts one whose state is in `directory`. Returns it, and the end of its control channel that is QEMU's; over it QEMU
/// gives swtpm a socket for commands (docs/specs/tpm.rst of QEMU).
pub(crate) fn start(tools: &ToolsTree, directory: &Path) -> Result<(Child, UnixStream)> {
    std::fs::create_dir_all(directory).map_err(|e| Error::io("the TPM's directory cannot be made", directory, e))?;
    let (near, far) = UnixStream::pair().map_err(|e| Error::host("no socket pair for the TPM").because(e))?;
    let directory =
        directory.canonicalize().map_err(|e| Error::io("the TPM's directory cannot be opened", directory, e))?;
    let control = format!("type=unixio,clientfd={}", far.as_raw_fd());
    let command = tools.command(Tool::Swtpm).args(["socket", "--tpm2", "--terminate", "--tpmstate", "dir=."]);
    // A comma in the directory's name would end the option.
    let child = command.args(["--ctrl", &control]).output(&directory).cwd(&directory).fd(&far).spawn()?;
    Ok((child, near))
}
