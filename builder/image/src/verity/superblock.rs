//! The superblock of a hash image, as cryptsetup's "DMVerity" page describes it.

use super::{BLOCK, MOST_SALT};

/// `struct verity_sb`: 512 bytes.
pub(super) struct VeritySuperblock {
    pub uuid: [u8; 16],
    pub data_blocks: u64,
    pub salt: Vec<u8>,
}

impl VeritySuperblock {
    /// The superblock's whole block.
    pub fn encode(&self) -> [u8; BLOCK] {
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
    pub fn decode(hashes: &[u8]) -> Option<Self> {
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
