//! One piece → the blocks it is stored in. zstd is called once; what gains no block stays as it is.

use super::FilesystemOptions;
use super::encode::BLOCK;
use diorite_model::{Error, Result};
use std::sync::Mutex;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

/// The blocks of one piece, ready to be written.
pub(super) struct Blocks {
    /// A whole number of blocks.
    pub bytes: Vec<u8>,
    /// Stored as it is, because compression gained nothing.
    pub raw: bool,
}

/// Binary logarithm of the window that a piece of this length needs; the format cannot say less than 10.
pub(super) fn window_log(piece: usize) -> u8 {
    piece.next_power_of_two().ilog2().max(10) as u8
}

/// Compressors with their work space, one for each thread that asked at the same time.
pub(super) struct Compressors<'o> {
    options: &'o FilesystemOptions,
    idle: Mutex<Vec<Worker>>,
}

struct Worker {
    zstd: Compressor<'static>,
    out: Vec<u8>,
}

impl<'o> Compressors<'o> {
    pub fn new(options: &'o FilesystemOptions) -> Self {
        Self { options, idle: Mutex::default() }
    }

    /// Compresses a piece; the result depends on its bytes and the options alone.
    pub fn compress(&self, piece: &[u8]) -> Result<Blocks> {
        let raw_len = piece.len().next_multiple_of(BLOCK);
        if raw_len == BLOCK {
            return Ok(raw(piece, raw_len));
        }
        let idle = self.idle.lock().expect("no holder of the lock panics").pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::new(self.options).map_err(|e| Error::bug("zstd refuses our settings").because(e))?,
        };
        // Room for one block less than the piece itself: what needs more fails early, and stays raw.
        let room = raw_len - BLOCK;
        let blocks = match worker.zstd.compress_to_buffer(piece, &mut worker.out[..room]) {
            Ok(len) => {
                // Zeros go in front (`0PADDING`), so that the data ends with its block.
                let mut bytes = vec![0; len.next_multiple_of(BLOCK)];
                let start = bytes.len() - len;
                bytes[start..].copy_from_slice(&worker.out[..len]);
                Blocks { bytes, raw: false }
            }
            Err(_) => raw(piece, raw_len),
        };
        self.idle.lock().expect("no holder of the lock panics").push(worker);
        Ok(blocks)
    }
}

fn raw(piece: &[u8], len: usize) -> Blocks {
    let mut bytes = Vec::with_capacity(len);
    bytes.extend(piece);
    bytes.resize(len, 0);
    Blocks { bytes, raw: true }
}

impl Worker {
    fn new(options: &FilesystemOptions) -> std::io::Result<Self> {
        let mut zstd = Compressor::new(options.level)?;
        zstd.set_parameter(CParameter::WindowLog(u32::from(window_log(options.piece))))?;
        zstd.set_parameter(CParameter::ContentSizeFlag(true))?;
        zstd.set_parameter(CParameter::ChecksumFlag(false))?;
        Ok(Self { zstd, out: vec![0; compress_bound(options.piece)] })
    }
}
