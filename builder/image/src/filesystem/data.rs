//! Pieces → data blocks: windows of pieces are compressed on all threads while the window before is written.
//!
//! Memory is bounded by two windows. Pieces are written in their order, so threads decide nothing but the time.

use super::compress::{Blocks, Compressors};
use super::encode::BLOCK;
use super::output::ImageWriter;
use super::pieces::DataPiece;
use super::sidecar::{Previous, Record};
use super::{FilesystemOptions, rule};
use diorite_model::{Digest, Result};
use rayon::prelude::*;

/// Input compressed before any of it is written. Two of these, and what they compress to, are the memory in use.
const WINDOW: usize = 16 << 20;

/// How a piece is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct PieceLocation {
    /// Bytes of content.
    pub len: usize,
    pub blkaddr: u32,
    pub blocks: u32,
    /// Stored as it is, because compression gained nothing.
    pub raw: bool,
}

/// What became of all pieces.
pub(super) struct Data {
    pub pieces: Vec<PieceLocation>,
    /// How many came from the previous image.
    pub reused: usize,
    /// For the next image's sake.
    pub records: Vec<Record>,
}

/// Blocks of a piece with what the sidecar needs.
struct PieceBlocks {
    key: Digest,
    digest: Digest,
    blocks: Blocks,
    reused: bool,
}

/// Writes every piece from the output's current position on.
pub(super) fn write(
    pieces: &[DataPiece],
    options: &FilesystemOptions,
    previous: Option<&Previous>,
    output: &mut ImageWriter,
    done: &(dyn Fn(u64) -> Result<()> + Sync),
) -> Result<Data> {
    let rule = rule(options);
    let compressors = Compressors::new(options);
    let make = |piece: &DataPiece| {
        let key = piece.key(rule);
        if let Some((blocks, digest)) = previous.and_then(|previous| previous.get(key)) {
            return Ok(PieceBlocks { key, digest, blocks, reused: true });
        }
        let blocks = compressors.compress(&piece.bytes())?;
        Ok(PieceBlocks { key, digest: Digest::of(&blocks.bytes), blocks, reused: false })
    };

    let mut data =
        Data { pieces: Vec::with_capacity(pieces.len()), reused: 0, records: Vec::with_capacity(pieces.len()) };
    let mut ready: (&[DataPiece], Vec<PieceBlocks>) = (&[], Vec::new());
    for window in pieces.chunks((WINDOW / options.piece).max(1)) {
        let (made, written) = rayon::join(
            || window.par_iter().map(&make).collect::<Result<Vec<_>>>(),
            || data.write(ready.0, &ready.1, output, done),
        );
        written?;
        ready = (window, made?);
    }
    data.write(ready.0, &ready.1, output, done)?;
    Ok(data)
}

impl Data {
    fn write(
        &mut self,
        pieces: &[DataPiece],
        made: &[PieceBlocks],
        output: &mut ImageWriter,
        done: &(dyn Fn(u64) -> Result<()> + Sync),
    ) -> Result<()> {
        for (piece, made) in pieces.iter().zip(made) {
            let Blocks { bytes, raw } = &made.blocks;
            let blkaddr = output.blocks()?;
            self.pieces.push(PieceLocation {
                len: piece.len,
                blkaddr,
                blocks: (bytes.len() / BLOCK) as u32,
                raw: *raw,
            });
            self.records.push(Record {
                key: made.key,
                digest: made.digest,
                start: output.len(),
                len: bytes.len() as u32,
                raw: *raw,
            });
            self.reused += usize::from(made.reused);
            output.write(bytes)?;
        }
        done(pieces.iter().map(|piece| piece.len as u64).sum())
    }
}
