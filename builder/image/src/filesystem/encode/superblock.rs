//! `struct erofs_super_block`: 128 bytes at offset 1024, and the compression settings behind it.

use super::BLOCK;

const MAGIC: u32 = 0xE0F5_E1E2;
/// Where the superblock begins in block 0.
const OFFSET: usize = 1024;

const COMPAT_SB_CHKSUM: u32 = 1;
const COMPAT_MTIME: u32 = 2;

const INCOMPAT_ZERO_PADDING: u32 = 0x1;
/// `COMPR_CFGS` and `BIG_PCLUSTER` share this bit.
const INCOMPAT_BIG_PCLUSTER: u32 = 0x2;
const INCOMPAT_FRAGMENTS: u32 = 0x20;

/// Bit of zstd in `available_compr_algs`.
const ALGORITHM_ZSTD: u16 = 1 << 3;

pub(in crate::filesystem) struct ErofsSuperblock {
    pub root_nid: u16,
    /// The hidden file that holds packed files, if there are any.
    pub packed_nid: Option<u64>,
    pub inodes: u64,
    pub blocks: u32,
    pub meta_blkaddr: u32,
    pub epoch: u64,
    pub uuid: [u8; 16],
    /// Binary logarithm of the largest window any zstd frame needs. The kernel allocates this much for each CPU
    /// and refuses frames that need more.
    pub window_log: u8,
}

impl ErofsSuperblock {
    /// The whole of block 0.
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[OFFSET + at..][..bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC.to_le_bytes());
        put(8, &(COMPAT_SB_CHKSUM | COMPAT_MTIME).to_le_bytes());
        put(12, &[BLOCK.ilog2() as u8]);
        put(14, &self.root_nid.to_le_bytes());
        put(16, &self.inodes.to_le_bytes());
        put(24, &self.epoch.to_le_bytes());
        put(36, &self.blocks.to_le_bytes());
        put(40, &self.meta_blkaddr.to_le_bytes());
        put(44, &self.meta_blkaddr.to_le_bytes()); // xattr_blkaddr: no shared attributes, but an address in range
        put(48, &self.uuid);
        let fragments = if self.packed_nid.is_some() { INCOMPAT_FRAGMENTS } else { 0 };
        put(80, &(INCOMPAT_ZERO_PADDING | INCOMPAT_BIG_PCLUSTER | fragments).to_le_bytes());
        put(84, &ALGORITHM_ZSTD.to_le_bytes());
        put(96, &self.packed_nid.unwrap_or(0).to_le_bytes());
        // `struct z_erofs_zstd_cfgs` after its length: format 0, windowlog - 10, 4 reserved bytes.
        put(128, &6u16.to_le_bytes());
        put(130, &[0, self.window_log - 10]);
        let sum = crc32c(&block[OFFSET..]);
        block[OFFSET + 4..OFFSET + 8].copy_from_slice(&sum.to_le_bytes());
        block
    }
}

/// CRC-32C (Castagnoli, reflected) starting from all ones and, as EROFS wants it, without the final inversion.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0x82F6_3B78 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn crc32c_of_the_check_string() {
        // The catalogue's check value for CRC-32/ISCSI is 0xE3069283, inverted at the end.
        assert_eq!(!super::crc32c(b"123456789"), 0xE306_9283);
    }
}
