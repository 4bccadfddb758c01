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
pub enum FrameDirection {
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
    /// What the next frame's comment says.
    comment: Option<String>,
    /// By interface.
    counts: Vec<Counts>,
}

/// Frames of an interface.
#[derive(Debug, Clone, Default)]
struct Counts {
    frames: u64,
    lost: u64,
    first: Option<Duration>,
    last: Duration,
}

impl Pcapng {
    /// Starts the file with one Ethernet interface per cable, called as the cable is, and nanosecond times.
    pub fn create<'a>(path: &Path, interfaces: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let file = File::create(path).map_err(|e| Error::io("cannot write the packet capture", path, e))?;
        let (path, comment, counts) = (path.to_owned(), None, Vec::new());
        let mut capture = Self { file: BufWriter::new(file), path, comment, counts };
        // Byte-order magic, version 1.0, unknown section length.
        let mut section = Vec::new();
        section.extend_from_slice(&0x1A2B_3C4D_u32.to_le_bytes());
        section.extend_from_slice(&[1, 0, 0, 0]);
        section.extend_from_slice(&u64::MAX.to_le_bytes());
        option(&mut section, 4, b"diorite lab"); // shb_userappl
        option(&mut section, 0, &[]);
        capture.block(0x0A0D_0D0A, &section)?;
        for name in interfaces {
            capture.counts.push(Counts::default());
            let mut interface = Vec::new();
            // Link type 1 is Ethernet; no snapshot length.
            interface.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
            option(&mut interface, 2, name.as_bytes()); // if_name
            option(&mut interface, 9, &[9]); // if_tsresol: 10^-9
            option(&mut interface, 0, &[]);
            capture.block(1, &interface)?;
        }
        Ok(capture)
    }

    /// Adds one frame; `lost`: it was sent, but did not arrive.
    pub fn frame(
        &mut self,
        interface: usize,
        since_1970: Duration,
        direction: FrameDirection,
        frame: &[u8],
        lost: bool,
    ) -> Result<()> {
        let time = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
        let mut packet = Vec::with_capacity(frame.len() + 40);
        for word in [interface as u32, (time >> 32) as u32, time as u32, frame.len() as u32, frame.len() as u32] {
            packet.extend_from_slice(&word.to_le_bytes());
        }
        packet.extend_from_slice(frame);
        pad(&mut packet);
        if let Some(comment) = self.comment.take() {
            option(&mut packet, 1, comment.as_bytes()); // opt_comment
        }
        if lost {
            option(&mut packet, 1, b"lost on the cable");
        }
        option(&mut packet, 2, &(direction as u32).to_le_bytes()); // epb_flags
        option(&mut packet, 0, &[]);
        let counts = &mut self.counts[interface];
        counts.frames += 1;
        counts.lost += u64::from(lost);
        counts.first.get_or_insert(since_1970);
        counts.last = since_1970;
        self.block(6, &packet)
    }

    /// Says what begins with the next frame.
    pub fn comment(&mut self, text: &str) {
        let mut all = self.comment.take().map(|before| before + "\n").unwrap_or_default();
        all += text;
        // An option's length has two bytes.
        let mut end = all.len().min(60_000);
        while !all.is_char_boundary(end) {
            end -= 1;
        }
        all.truncate(end);
        self.comment = Some(all);
    }

    /// Ends the file: what each interface has carried, and a comment that no frame has come for.
    pub fn finish(&mut self) -> Result<()> {
        for (number, counts) in std::mem::take(&mut self.counts).into_iter().enumerate() {
            let mut block = (number as u32).to_le_bytes().to_vec();
            let time = |time: Duration| {
                let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                [(nanos >> 32) as u32, nanos as u32].map(u32::to_le_bytes).concat()
            };
            block.extend(time(counts.last));
            if let Some(comment) = self.comment.take() {
                option(&mut block, 1, comment.as_bytes());
            }
            option(&mut block, 2, &time(counts.first.unwrap_or_default())); // isb_starttime
            option(&mut block, 3, &time(counts.last)); // isb_endtime
            option(&mut block, 4, &counts.frames.to_le_bytes()); // isb_ifrecv
            option(&mut block, 5, &counts.lost.to_le_bytes()); // isb_ifdrop
            option(&mut block, 0, &[]);
            self.block(5, &block)?;
        }
        self.flush()
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
