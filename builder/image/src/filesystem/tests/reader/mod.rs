//! A reader of EROFS images, written from the format's description and sharing no code with the writer: just enough
//! to give every file of an image back. It panics at whatever a kernel would refuse.

pub mod index;

use index::decode;
use std::collections::{BTreeMap, BTreeSet};

/// One name in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub nid: u64,
    /// With type bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    pub mtime: i64,
    pub extended: bool,
    /// 0 flat, 2 flat with inline tail, 3 compressed.
    pub layout: u16,
    /// Of devices, as stored.
    pub rdev: u32,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Content or link target; a directory's blocks.
    pub content: Vec<u8>,
}

pub struct Image<'a> {
    bytes: &'a [u8],
    /// Byte offset of the metadata area.
    metadata: usize,
    packed: Option<Vec<u8>>,
    window_log: u8,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Calls `see` for every name in the image with what it stands for; the root is the empty path.
pub fn read(bytes: &[u8], see: &mut dyn FnMut(Vec<u8>, File)) {
    assert!(bytes.len().is_multiple_of(4096));
    let superblock = &bytes[1024..];
    assert_eq!(u32_at(superblock, 0), 0xE0F5_E1E2);
    assert_eq!(superblock[12], 12, "blkszbits");
    assert_eq!(u32_at(superblock, 36) as usize * 4096, bytes.len(), "blocks");
    let incompatible = u32_at(superblock, 80);
    assert_eq!(incompatible & !0x23, 0, "only features of Linux 6.12");
    let mut image = Image {
        bytes,
        metadata: u32_at(superblock, 40) as usize * 4096,
        packed: None,
        window_log: superblock[131] + 10,
    };
    if incompatible & 0x20 != 0 {
        image.packed = Some(image.file(u64_at(superblock, 96)).content);
    }
    let root = u64::from(u16_at(superblock, 14));
    let mut nids = BTreeSet::new();
    let count = |path, file: File| {
        nids.insert(file.nid);
        see(path, file);
    };
    image.walk(Vec::new(), root, root, &mut { count });
    assert_eq!(u64_at(superblock, 16), (nids.len() + usize::from(image.packed.is_some())) as u64, "inos");
}

impl Image<'_> {
    fn walk(&self, path: Vec<u8>, nid: u64, parent: u64, see: &mut dyn FnMut(Vec<u8>, File)) -> u32 {
        let file = self.file(nid);
        let kind = file.mode >> 12;
        let listing = if kind == 4 { file.content.clone() } else { Vec::new() };
        see(path.clone(), file);
        let mut last: Vec<u8> = Vec::new();
        for block in listing.chunks(4096) {
            let count = usize::from(u16_at(block, 8)) / 12;
            for i in 0..count {
                let entry = &block[i * 12..];
                let start = usize::from(u16_at(entry, 8));
                let end = if i + 1 < count { usize::from(u16_at(entry, 20)) } else { block.len() };
                let name = block[start..end].split(|&byte| byte == 0).next().unwrap().to_vec();
                assert!(name > last, "names ascend over all blocks");
                last = name.clone();
                let child = u64_at(entry, 0);
                match &name[..] {
                    b"." => assert_eq!(child, nid),
                    b".." => assert_eq!(child, parent),
                    _ => {
                        let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
                        let kind = self.walk([&path[..], slash, &name].concat(), child, nid, see);
                        let types = [0, 8, 4, 2, 6, 1, 12, 10]; // S_IFMT >> 12 for each EROFS_FT
                        assert_eq!(kind, types[usize::from(entry[10])]);
                    }
                }
            }
        }
        kind
    }

    fn file(&self, nid: u64) -> File {
        assert_ne!(nid, 0, "no inode number 0");
        let at = self.metadata + nid as usize * 32;
        let inode = &self.bytes[at..];
        let format = u16_at(inode, 0);
        let (extended, layout) = (format & 1 == 1, format >> 1);
        let core = if extended { 64 } else { 32 };
        assert_eq!(at / 4096, (at + core - 1) / 4096, "an inode lies in one block");
        let icount = usize::from(u16_at(inode, 2));
        let xattr_len = if icount == 0 { 0 } else { 12 + (icount - 1) * 4 };
        let size = if extended { u64_at(inode, 8) } else { u64::from(u32_at(inode, 8)) } as usize;
        let union = u32_at(inode, 16);
        let mode = u32::from(u16_at(inode, 4));
        let head = core + xattr_len;
        let content = match layout {
            0 | 2 => {
                let tail = if layout == 2 { size % 4096 } else { 0 };
                let own = size - tail;
                let mut content = match own {
                    0 => Vec::new(),
                    _ => self.bytes[union as usize * 4096..][..own].to_vec(),
                };
                if tail > 0 {
                    assert_eq!(at / 4096, (at + head + tail - 1) / 4096, "inline content lies in the inode's block");
                    content.extend(&inode[head..head + tail]);
                }
                content
            }
            3 => self.compressed(at - self.metadata + head, size, union),
            _ => panic!("layout {layout}"),
        };
        File {
            nid,
            mode,
            uid: if extended { u32_at(inode, 24) } else { u16_at(inode, 24).into() },
            gid: if extended { u32_at(inode, 28) } else { u16_at(inode, 26).into() },
            nlink: if extended { u32_at(inode, 44) } else { u16_at(inode, 6).into() },
            mtime: if extended { u64_at(inode, 32) } else { u64_at(self.bytes, 1024 + 24) } as i64,
            extended,
            layout,
            rdev: if matches!(mode >> 12, 2 | 6) { union } else { 0 },
            xattrs: xattrs(&inode[core..head]),
            content,
        }
    }

    /// Content of a compressed file; its header is at the next multiple of 8 in the metadata area.
    fn compressed(&self, head: usize, size: usize, blocks: u32) -> Vec<u8> {
        let metadata = &self.bytes[self.metadata..];
        let header = head.next_multiple_of(8);
        let fragment = u64_at(metadata, header);
        if fragment >> 63 == 1 {
            let offset = (fragment & !(1 << 63)) as usize;
            return self.packed.as_ref().expect("a packed inode")[offset..offset + size].to_vec();
        }
        assert_eq!(
            (u16_at(metadata, header + 4), metadata[header + 6], metadata[header + 7]),
            (7, 3, 0),
            "advice, zstd"
        );
        let total = size.div_ceil(4096);
        let entry = |n: usize| decode(metadata, header + 8, total, n);
        let mut content = Vec::with_capacity(size);
        let (mut n, mut used) = (0, 0);
        while n < total {
            let here = entry(n);
            let start = here.blkaddr as usize * 4096;
            if here.kind == 0 {
                content.extend(&self.bytes[start..start + 4096.min(size - n * 4096)]);
                n += 1;
                used += 1;
                continue;
            }
            assert_eq!(here.kind, 1, "a piece begins with its head");
            let count = entry(n + 1).blocks.expect("the second entry holds the block count");
            let mut end = n + 1;
            while end < total && entry(end).kind == 2 {
                end += entry(end).ahead as usize;
            }
            assert!(count >= 1 && (count as usize) < end - n, "compression saves a block");
            let stored = &self.bytes[start..start + count as usize * 4096];
            let zeros = stored.iter().position(|&byte| byte != 0).expect("not all zeros");
            assert!(zeros < 4096, "padding is less than a block");
            let frame = &stored[zeros..];
            let len = (end * 4096).min(size) - n * 4096;
            let stated = zstd::zstd_safe::get_frame_content_size(frame).unwrap();
            assert_eq!(stated, Some(len as u64), "the frame states its length");
            let mut zstd = zstd::bulk::Decompressor::new().unwrap();
            zstd.window_log_max(self.window_log.into()).unwrap();
            content.extend(zstd.decompress(frame, len).unwrap());
            used += count;
            n = end;
        }
        assert_eq!(used, blocks, "i_u holds the count of compressed blocks");
        content.truncate(size);
        content
    }
}

fn xattrs(bytes: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut at = 12;
    while at < bytes.len() {
        let (name_len, index, value_len) = (usize::from(bytes[at]), bytes[at + 1], usize::from(u16_at(bytes, at + 2)));
        let prefix: &[u8] = match index {
            1 => b"user.",
            2 => b"system.posix_acl_access",
            3 => b"system.posix_acl_default",
            4 => b"trusted.",
            6 => b"security.",
            _ => panic!("attribute index {index}"),
        };
        let name = [prefix, &bytes[at + 4..at + 4 + name_len]].concat();
        let value = bytes[at + 4 + name_len..][..value_len].to_vec();
        assert!(out.insert(name, value).is_none());
        at += (4 + name_len + value_len).next_multiple_of(4);
    }
    out
}
