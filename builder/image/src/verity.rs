//! Data image → hash tree and root hash: dm-verity as `veritysetup format` makes it (Linux
//! `Documentation/admin-guide/device-mapper/verity.rst`; superblock as in cryptsetup's "DMVerity" page).
//!
//! Format 1, SHA-256, blocks of 4096 bytes. The hash image is the superblock's block, then the tree's levels from the top down;
//! the last level holds the digests of the data blocks. A digest covers the salt, then the block.

use diorite_model::{Digest, Error, Exit, Result};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

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
    let superblock = Superblock { uuid, data_blocks: tree.data_blocks, salt: salt.to_vec() };
    let mut bytes = superblock.encode().to_vec();
    tree.levels.iter().rev().for_each(|level| bytes.extend(level));

    let failed = |e| Error::io("cannot write the hash tree", out, e);
    let mut partial = out.as_os_str().to_os_string();
    partial.push(format!(".{}.partial", std::process::id()));
    let written = File::create(&partial)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| std::fs::rename(&partial, out));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written.map_err(failed)?;
    Ok(Verity { root_hash: tree.root_hash, bytes: bytes.len() as u64 })
}

/// Checks that the hash image follows from the root hash, and the data image from the hash image, in this order.
///
/// # Errors
/// [`Exit::VerificationFailed`], naming the first block that is wrong.
pub fn verify(image: &Path, hashes: &Path, root_hash: Digest) -> Result<()> {
    let stored = std::fs::read(hashes).map_err(|e| Error::io("cannot read the hash tree", hashes, e))?;
    let wrong = |place: &Path, because: String| {
        let what = "the image is not what its root hash promises";
        Err(Error::new(Exit::VerificationFailed, what).at(place.display().to_string()).because(because))
    };
    let Some(superblock) = Superblock::decode(&stored) else {
        return wrong(
            hashes,
            "it does not begin with a verity superblock of format 1, SHA-256, 4096-byte blocks".into(),
        );
    };
    let salted = Sha256::new_with_prefix(&superblock.salt);
    let data = data_digests(image, &salted)?;
    if data.len() as u64 / 32 != superblock.data_blocks {
        return wrong(image, format!("it has {} blocks, not {}", data.len() / 32, superblock.data_blocks));
    }
    // From the root down: each level must have the digests that the one above holds.
    let mut expected = root_hash.0.to_vec();
    let mut rest = &stored[BLOCK..];
    for (depth, blocks) in level_blocks(superblock.data_blocks).into_iter().rev().enumerate() {
        let Some((level, below)) = rest.split_at_checked(blocks as usize * BLOCK) else {
            return wrong(hashes, format!("it ends after {} bytes", stored.len()));
        };
        if let Some(block) = first_difference(&level_digests(level, &salted), &expected) {
            return wrong(hashes, format!("hash block {block} of level {depth} from the top is damaged"));
        }
        expected = level.to_vec();
        rest = below;
    }
    match first_difference(&data, &expected) {
        Some(block) => wrong(image, format!("data block {block} is damaged")),
        None => Ok(()),
    }
}

/// The first digest that is not the expected one; `expected` may be padded.
fn first_difference(digests: &[u8], expected: &[u8]) -> Option<usize> {
    digests.chunks(32).zip(expected.chunks(32)).position(|(digest, expected)| digest != expected)
}

/// Hash blocks in each level, the data blocks' level first. None if there is a single data block: its digest is the root hash.
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
        let mut digests = data_digests(image, &salted)?;
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
fn data_digests(image: &Path, salted: &Sha256) -> Result<Vec<u8>> {
    let failed = |e| Error::io("cannot read the image to hash", image, e);
    let file = File::open(image).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    if len == 0 || !len.is_multiple_of(BLOCK as u64) {
        return Err(Error::input("dm-verity needs whole blocks of 4096 bytes, and at least one")
            .at(image.display().to_string())
            .because(format!("it has {len} bytes")));
    }
    let mut digests = vec![0; (len / BLOCK as u64) as usize * 32];
    digests.par_chunks_mut(STRETCH * 32).enumerate().try_for_each_init(Vec::new, |buffer, (stretch, digests)| {
        buffer.resize(digests.len() / 32 * BLOCK, 0);
        file.read_exact_at(buffer, (stretch * STRETCH * BLOCK) as u64).map_err(failed)?;
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

/// `struct verity_sb`: 512 bytes.
struct Superblock {
    uuid: [u8; 16],
    data_blocks: u64,
    salt: Vec<u8>,
}

impl Superblock {
    /// The superblock's whole block.
    fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"verity\0\0");
        put(8, &1u32.to_le_bytes()); // version of the superblock
        put(12, &1u32.to_le_bytes()); // hash type: salt in front
        put(16, &self.uuid);
        put(32, b"sha256");
        put(64, &(BLOCK as u32).to_le_bytes());
        put(68, &(BLOCK as u32).to_le_bytes());
        put(72, &self.data_blocks.to_le_bytes());
        put(80, &(self.salt.len() as u16).to_le_bytes());
        put(88, &self.salt);
        block
    }

    /// `None` unless the block is exactly what [`Self::encode`] writes for some values.
    fn decode(hashes: &[u8]) -> Option<Self> {
        let block = hashes.get(..BLOCK)?;
        let salt_len = usize::from(u16::from_le_bytes(block[80..82].try_into().ok()?));
        let superblock = Self {
            uuid: block[16..32].try_into().ok()?,
            data_blocks: u64::from_le_bytes(block[72..80].try_into().ok()?),
            salt: block[88..88 + MOST_SALT].get(..salt_len)?.to_vec(),
        };
        (superblock.encode() == block).then_some(superblock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const UUID: [u8; 16] = *b"0123456789abcdef";

    fn image(folder: &Path, blocks: usize) -> std::path::PathBuf {
        let path = folder.join("image");
        let bytes: Vec<u8> = (0..blocks * BLOCK).map(|i| (i / BLOCK * 31 + i % 251) as u8).collect();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Root hashes and digests of whole hash images as veritysetup 2.7.5 makes them.
    #[test]
    fn known_trees() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("hashes");
        let lines: Vec<_> = [1, 2, 128, 129, 16_385]
            .into_iter()
            .map(|blocks| {
                let verity = format(&image(folder.path(), blocks), &out, b"salt", UUID).unwrap();
                let hashes = fs::read(&out).unwrap();
                assert_eq!(hashes.len() as u64, verity.bytes);
                (blocks, hashes.len() / BLOCK, verity.root_hash.short(12), Digest::of(&hashes).short(12))
            })
            .collect();
        let made = |blocks, bytes, root: &str, hashes: &str| (blocks, bytes, root.to_owned(), hashes.to_owned());
        assert_eq!(
            lines,
            [
                made(1, 1, "bee332fde39b", "bca159229989"),
                made(2, 2, "de1811e2697c", "7c31f7cc403a"),
                made(128, 2, "3a59d85fe0ad", "85390ad897ef"),
                made(129, 4, "b638c4ffe525", "27605e8220f8"),
                made(16_385, 133, "64c1d1d537e5", "7d3116025c10"),
            ]
        );
    }

    #[test]
    fn damage_is_found_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let (image, out) = (image(folder.path(), 300), folder.path().join("hashes"));
        let root_hash = format(&image, &out, &[1; 32], UUID).unwrap().root_hash;
        verify(&image, &out, root_hash).unwrap();
        let because = |path: &Path, at: usize| {
            let good = fs::read(path).unwrap();
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(path, bad).unwrap();
            let error = verify(&image, &out, root_hash).unwrap_err();
            fs::write(path, good).unwrap();
            assert_eq!((error.exit, error.place.unwrap()), (Exit::VerificationFailed, path.display().to_string()));
            error.cause.unwrap()
        };
        assert_eq!(because(&image, 299 * BLOCK), "data block 299 is damaged");
        assert!(because(&out, 3).contains("superblock"));
        assert_eq!(because(&out, BLOCK + 40), "hash block 0 of level 0 from the top is damaged");
        assert_eq!(because(&out, 3 * BLOCK), "hash block 1 of level 1 from the top is damaged");
        let error = verify(&image, &out, Digest([0; 32])).unwrap_err();
        assert_eq!(error.cause.unwrap(), "hash block 0 of level 0 from the top is damaged");
        fs::write(&out, &fs::read(&out).unwrap()[..2 * BLOCK]).unwrap();
        assert!(verify(&image, &out, root_hash).unwrap_err().cause.unwrap().contains("ends after 8192 bytes"));
    }

    #[test]
    fn what_cannot_be_hashed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("hashes");
        let image = folder.path().join("image");
        for len in [0, 1, BLOCK - 1, BLOCK + 1] {
            fs::write(&image, vec![0; len]).unwrap();
            let error = format(&image, &out, b"", UUID).unwrap_err();
            assert!(error.cause.unwrap().contains(&format!("{len} bytes")));
        }
        fs::write(&image, vec![0; BLOCK]).unwrap();
        assert!(format(&image, &out, &[0; 257], UUID).is_err());
        assert!(!out.exists());
        format(&image, &out, &[0; 256], UUID).unwrap();
    }

    #[test]
    fn threads_do_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let image = image(folder.path(), 1000);
        let roots = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| format(&image, &folder.path().join("hashes"), b"", UUID).unwrap())
        });
        assert_eq!(roots[0], roots[1]);
    }
}
