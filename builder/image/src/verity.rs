//! Data image → hash tree and root hash: dm-verity as `veritysetup format` makes it (Linux
//! `Documentation/admin-guide/device-mapper/verity.rst`; superblock as in cryptsetup's "DMVerity" page).
//!
//! Format 1, SHA-256, blocks of 4096 bytes. The hash image is the superblock's block, then the tree's levels from the
//! top down; the last level holds the digests of the data blocks. A digest covers the salt, then the block.

mod superblock;
#[cfg(test)]
mod tests;

use crate::region::Region;
use diorite_host::file::write_whole;
use diorite_model::{Digest, Error, Exit, Result};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use superblock::VeritySuperblock;

/// Bytes in a data block and in a hash block.
const BLOCK: usize = 4096;
/// Digests in a hash block.
const FANOUT: usize = BLOCK / 32;
/// Data blocks read at a time: 1 MiB.
const STRETCH: usize = 256;
/// The superblock has room for this much salt.
const MOST_SALT: usize = 256;

/// A hash tree that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verity {
    /// The digest everything else follows from; it goes on the kernel's command line.
    pub root_hash: Digest,
    /// Length of the hash image.
    pub bytes: u64,
}

/// Writes the hash image of `image` to `out`: byte for byte what `veritysetup format` writes with this salt (up to
/// 256 bytes) and UUID. `image` must be a whole number of blocks, and not empty.
pub fn format(image: &Path, out: &Path, salt: &[u8], uuid: [u8; 16]) -> Result<Verity> {
    if salt.len() > MOST_SALT {
        return Err(
            Error::input(format!("a verity salt of {} bytes is too long", salt.len())).hint("at most 256 bytes")
        );
    }
    let tree = HashTree::of(image, salt)?;
    let superblock = VeritySuperblock { uuid, data_blocks: tree.data_blocks, salt: salt.to_vec() };
    let mut bytes = superblock.encode().to_vec();
    tree.levels.iter().rev().for_each(|level| bytes.extend(level));

    write_whole(out, &bytes, 0o666).map_err(|e| Error::io("cannot write the hash tree", out, e))?;
    Ok(Verity { root_hash: tree.root_hash, bytes: bytes.len() as u64 })
}

/// Checks that the hash image follows from the root hash, and the data image from the hash image, in this order.
///
/// # Errors
/// [`Exit::VerificationFailed`], naming the first block that is wrong.
pub fn verify(image: &Path, hashes: &Path, root_hash: Digest) -> Result<()> {
    let (data, tree) = (Region::open(image)?, Region::open(hashes)?);
    let wrong = |place: &Path, because: String| {
        let what = "the image is not what its root hash promises";
        Err(Error::new(Exit::VerificationFailed, what).at(place.display().to_string()).because(because))
    };
    match first_damage(&data, &tree, root_hash)? {
        None => Ok(()),
        Some(damage @ (VerityDamage::Data(_) | VerityDamage::DataLength { .. })) => wrong(image, damage.to_string()),
        Some(damage) => wrong(hashes, damage.to_string()),
    }
}

/// What is wrong first, from the root hash down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerityDamage {
    /// The hash image does not begin as one does.
    Superblock,
    /// The hash image ends too early.
    Cut {
        /// Its bytes.
        bytes: u64,
    },
    /// A block of the hash tree.
    Hash {
        /// Levels below the top.
        level: usize,
        /// Block in its level.
        block: usize,
    },
    /// The data image has another length.
    DataLength {
        /// Its blocks.
        blocks: u64,
        /// Those that the superblock says.
        expected: u64,
    },
    /// A block of the data image.
    Data(usize),
}

impl std::fmt::Display for VerityDamage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Superblock => {
                write!(f, "it does not begin with a verity superblock of format 1, SHA-256, 4096-byte blocks")
            }
            Self::Cut { bytes } => write!(f, "it ends after {bytes} bytes"),
            Self::Hash { level, block } => write!(f, "hash block {block} of level {level} from the top is damaged"),
            Self::DataLength { blocks, expected } => write!(f, "it has {blocks} blocks, not {expected}"),
            Self::Data(block) => write!(f, "data block {block} is damaged"),
        }
    }
}

/// Bytes of the data image that a hash image was made for, and of the hash image; `None` without a superblock.
pub fn lengths(hashes: &Region) -> Result<Option<(u64, u64)>> {
    let block = hashes.bytes(0, BLOCK.min(hashes.len() as usize))?;
    Ok(VeritySuperblock::decode(&block).map(|superblock| {
        let blocks: u64 = level_blocks(superblock.data_blocks).into_iter().sum();
        (superblock.data_blocks * BLOCK as u64, (blocks + 1) * BLOCK as u64)
    }))
}

/// The first damage of a data image or of its hash image.
///
/// # Errors
/// One of them cannot be read, or is no whole number of blocks.
pub fn first_damage(image: &Region, hashes: &Region, root_hash: Digest) -> Result<Option<VerityDamage>> {
    let stored = hashes.bytes(0, hashes.len() as usize)?;
    let Some(superblock) = VeritySuperblock::decode(&stored) else { return Ok(Some(VerityDamage::Superblock)) };
    let salted = Sha256::new_with_prefix(&superblock.salt);
    let data = data_digests(image, &salted)?;
    let (blocks, expected) = (data.len() as u64 / 32, superblock.data_blocks);
    if blocks != expected {
        return Ok(Some(VerityDamage::DataLength { blocks, expected }));
    }
    // From the root down: each level must have the digests that the one above holds.
    let mut expected = root_hash.0.to_vec();
    let mut rest = &stored[BLOCK..];
    for (level, blocks) in level_blocks(superblock.data_blocks).into_iter().rev().enumerate() {
        let Some((bytes, below)) = rest.split_at_checked(blocks as usize * BLOCK) else {
            return Ok(Some(VerityDamage::Cut { bytes: stored.len() as u64 }));
        };
        if let Some(block) = first_difference(&level_digests(bytes, &salted), &expected) {
            return Ok(Some(VerityDamage::Hash { level, block }));
        }
        expected = bytes.to_vec();
        rest = below;
    }
    Ok(first_difference(&data, &expected).map(VerityDamage::Data))
}

/// The first digest that is not the expected one; `expected` may be padded.
fn first_difference(digests: &[u8], expected: &[u8]) -> Option<usize> {
    digests.chunks(32).zip(expected.chunks(32)).position(|(digest, expected)| digest != expected)
}

/// Hash blocks in each level, the data blocks' level first. None if there is a single data block: its digest is the
/// root hash.
fn level_blocks(data_blocks: u64) -> Vec<u64> {
    let up = |&below: &u64| (below > 1).then(|| below.div_ceil(FANOUT as u64));
    std::iter::successors(Some(data_blocks), up).skip(1).collect()
}

/// All levels of digests, each padded to whole blocks; the data blocks' digests first, the single top block last.
struct HashTree {
    root_hash: Digest,
    data_blocks: u64,
    levels: Vec<Vec<u8>>,
}

impl HashTree {
    fn of(image: &Path, salt: &[u8]) -> Result<Self> {
        let salted = Sha256::new_with_prefix(salt);
        let mut digests = data_digests(&Region::open(image)?, &salted)?;
        let data_blocks = digests.len() as u64 / 32;
        let mut levels = Vec::new();
        for blocks in level_blocks(data_blocks) {
            let mut level = digests;
            level.resize(blocks as usize * BLOCK, 0);
            digests = level_digests(&level, &salted);
            levels.push(level);
        }
        let root_hash = Digest(digests.try_into().expect("the top level is one block"));
        Ok(Self { root_hash, data_blocks, levels })
    }
}

/// The digests of all blocks of a file.
fn data_digests(image: &Region, salted: &Sha256) -> Result<Vec<u8>> {
    let len = image.len();
    if len == 0 || !len.is_multiple_of(BLOCK as u64) {
        return Err(Error::input("dm-verity needs whole blocks of 4096 bytes, and at least one")
            .at(image.path().display().to_string())
            .because(format!("it has {len} bytes")));
    }
    let mut digests = vec![0; (len / BLOCK as u64) as usize * 32];
    digests.par_chunks_mut(STRETCH * 32).enumerate().try_for_each_init(Vec::new, |buffer, (stretch, digests)| {
        buffer.resize(digests.len() / 32 * BLOCK, 0);
        image.read_at(buffer, (stretch * STRETCH * BLOCK) as u64)?;
        hash_blocks(salted, buffer, digests);
        Ok::<_, Error>(())
    })?;
    Ok(digests)
}

/// The digests of all blocks of a level.
fn level_digests(level: &[u8], salted: &Sha256) -> Vec<u8> {
    let mut digests = vec![0; level.len() / FANOUT];
    let stretches = level.par_chunks(STRETCH * BLOCK).zip(digests.par_chunks_mut(STRETCH * 32));
    stretches.for_each(|(blocks, digests)| hash_blocks(salted, blocks, digests));
    digests
}

/// One digest of 32 bytes for each block.
fn hash_blocks(salted: &Sha256, blocks: &[u8], digests: &mut [u8]) {
    for (block, digest) in blocks.chunks_exact(BLOCK).zip(digests.chunks_exact_mut(32)) {
        digest.copy_from_slice(&salted.clone().chain_update(block).finalize());
    }
}
