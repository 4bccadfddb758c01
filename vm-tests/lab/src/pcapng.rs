//! All frames of a run as a pcapng file, for Wireshark and people.
//! Format: IETF draft-ietf-opsawg-pcapng, section header, interface description and enhanced packet blocks.

use diorite_model::{Error, Result};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// Which way a frame went, seen from the lab; the epb_flags of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a guest.
    FromGuest = 1,
    /// To a guest.
    ToGuest = 2,
}

/// Writes one file. Times are given since 1970.
#[derive(Debug)]
pub struct Pcapng {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Pcapng {
    /// Starts the file with one Ethernet interface per cable and nanosecond times.
    pub fn create(path: &Path, interfaces: usize) -> Result<Self> {
        let file = File::create(path).map_err(|e| Error::io("cannot write the packet capture", path, e))?;
        let mut capture = Self { file: BufWriter::new(file), path: path.to_owned() };
        // Byte-order magic, version 1.0, unknown section length.
        let mut section = Vec::new();
        section.extend_from_slice(&0x1A2B_3C4D_u32.to_le_bytes());
        section.extend_from_slice(&[1, 0, 0, 0]);
        section.extend_from_slice(&u64::MAX.to_le_bytes());
        capture.block(0x0A0D_0D0A, &section)?;
        for number in 0..interfaces {
            let mut interface = Vec::new();
            // Link type 1 is Ethernet; no snapshot length.
            interface.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
            option(&mut interface, 2, format!("port{number}").as_bytes()); // if_name
            option(&mut interface, 9, &[9]); // if_tsresol: 10^-9
            option(&mut interface, 0, &[]);
            capture.block(1, &interface)?;
        }
        Ok(capture)
    }

    /// Adds one frame.
    pub fn frame(&mut self, interface: usize, since_1970: Duration, direction: Direction, frame: &[u8]) -> Result<()> {
        let time = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
        let mut packet = Vec::with_capacity(frame.len() + 40);
        for word in [interface as u32, (time >> 32) as u32, time as u32, frame.len() as u32, frame.len() as u32] {
            packet.extend_from_slice(&word.to_le_bytes());
        }
        packet.extend_from_slice(frame);
        pad(&mut packet);
        option(&mut packet, 2, &(direction as u32).to_le_bytes()); // epb_flags
        option(&mut packet, 0, &[]);
        self.block(6, &packet)
    }

    /// Brings everything to the file.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::io("cannot write the packet capture", &self.path, e))
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> Result<()> {
        let length = (body.len() as u32 + 12).to_le_bytes();
        let parts: [&[u8]; 4] = [&kind.to_le_bytes(), &length, body, &length];
        parts
            .iter()
            .try_for_each(|part| self.file.write_all(part))
            .map_err(|e| Error::io("cannot write the packet capture", &self.path, e))
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn option(block: &mut Vec<u8>, code: u16, value: &[u8]) {
    block.extend_from_slice(&code.to_le_bytes());
    block.extend_from_slice(&(value.len() as u16).to_le_bytes());
    block.extend_from_slice(value);
    pad(block);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks the blocks as a reader must: both lengths equal, everything aligned, frame bytes intact.
    #[test]
    fn every_block_is_well_formed() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("wire.pcapng");
        let mut capture = Pcapng::create(&path, 1).expect("create");
        let frame: Vec<u8> = (0..61).collect();
        capture.frame(0, Duration::new(5, 7), Direction::FromGuest, &frame).expect("frame");
        capture.flush().expect("flush");
        let bytes = std::fs::read(&path).expect("read");
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let (mut at, mut kinds) = (0, Vec::new());
        while at < bytes.len() {
            let length = word(at + 4) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(word(at + length - 4) as usize, length);
            kinds.push(word(at));
            if word(at) == 6 {
                assert_eq!(word(at + 20), 61);
                assert_eq!(&bytes[at + 28..at + 89], &frame[..]);
                assert_eq!((u64::from(word(at + 12)) << 32) | u64::from(word(at + 16)), 5_000_000_007);
            }
            at += length;
        }
        assert_eq!(kinds, [0x0A0D_0D0A, 1, 6]);
    }
}
