//! What a cable does to frames on their way: it may lose, delay, reorder, repeat and damage them, and be cut. Everything it
//! does by chance follows from a seed and the order of the frames.

use crate::random::Random;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// The faults of a cable in one direction. None by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Share of frames that are lost, 0 to 1.
    pub loss: f64,
    /// Share of frames that arrive twice.
    pub duplicate: f64,
    /// Share of frames in which one bit behind the Ethernet header is turned.
    pub corrupt: f64,
    /// Every frame is so late.
    pub delay: Duration,
    /// And by chance so much later at most.
    pub jitter: Duration,
    /// A frame may overtake another that is later by jitter; else all wait for each other.
    pub reorder: bool,
    /// Nothing arrives any more, what is on its way included. The guest's card still has its carrier.
    pub cut: bool,
    /// Longer IP packets are lost without a word, in bytes.
    pub mtu: Option<u16>,
}

/// The direction of a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the guest to the switch.
    FromGuest,
    /// From the switch to the guest.
    ToGuest,
    /// Both.
    Both,
}

/// Bytes that are on their way at most; more is lost, as in a real queue.
const MOST: usize = 8 << 20;

/// One direction of one cable.
#[derive(Debug)]
pub struct DelayLine {
    faults: Faults,
    random: Random,
    ready: VecDeque<Vec<u8>>,
    later: BTreeMap<(Instant, u64), Vec<u8>>,
    number: u64,
    last: Option<Instant>,
    bytes: usize,
    /// Frames that it lost.
    pub lost: u64,
}

impl DelayLine {
    /// A line without faults.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self {
            faults: Faults::default(),
            random: Random::new(seed, stream),
            ready: VecDeque::new(),
            later: BTreeMap::new(),
            number: 0,
            last: None,
            bytes: 0,
            lost: 0,
        }
    }

    /// Has these faults from now on.
    pub fn set(&mut self, faults: Faults) {
        self.faults = faults;
        if self.faults.cut {
            self.lost += (self.ready.len() + self.later.len()) as u64;
            self.ready.clear();
            self.later.clear();
            self.bytes = 0;
        }
    }

    /// Takes a frame at one end.
    pub fn put(&mut self, mut frame: Vec<u8>, now: Instant) {
        let faults = &self.faults;
        // As many numbers for every frame, whatever the faults: what one does never changes what another does.
        let (lost, twice, hurt) =
            (self.random.chance(faults.loss), self.random.chance(faults.duplicate), self.random.chance(faults.corrupt));
        let (place, late) = (self.random.number(), self.random.number());
        let header = if frame.get(12..14) == Some(&[0x81, 0]) { 18 } else { 14 };
        let long = faults.mtu.is_some_and(|mtu| frame.len() > header + usize::from(mtu));
        if faults.cut || lost || long || self.bytes > MOST {
            self.lost += 1;
            return;
        }
        if hurt && frame.len() > 14 {
            let bit = place % ((frame.len() as u64 - 14) * 8);
            frame[14 + (bit / 8) as usize] ^= 1 << (bit % 8);
        }
        let jitter = u64::try_from(faults.jitter.as_nanos()).unwrap_or(u64::MAX);
        let mut at = now + faults.delay + Duration::from_nanos(if jitter == 0 { 0 } else { late % jitter });
        if !faults.reorder {
            at = self.last.map_or(at, |last| at.max(last));
            self.last = Some(at);
        }
        for _ in 0..if twice { 2 } else { 1 } {
            self.bytes += frame.len();
            if at <= now && self.later.is_empty() {
                self.ready.push_back(frame.clone());
            } else {
                self.later.insert((at, self.number), frame.clone());
                self.number += 1;
            }
        }
    }

    /// The next frame that is at the other end by now.
    pub fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        let frame = match self.ready.pop_front() {
            Some(frame) => frame,
            None => self.later.first_entry().filter(|first| first.key().0 <= now)?.remove(),
        };
        self.bytes -= frame.len();
        Some(frame)
    }

    /// When the next frame arrives that is not there yet.
    pub fn next(&self) -> Option<Instant> {
        self.later.keys().next().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives of 1000 numbered frames, a millisecond apart: number and time.
    fn through(seed: u64, faults: &Faults) -> Vec<(u16, Duration, Vec<u8>)> {
        let (mut line, start) = (DelayLine::new(seed, 0), Instant::now());
        line.set(faults.clone());
        let mut seen = Vec::new();
        for millisecond in 0..3000u16 {
            let now = start + Duration::from_millis(millisecond.into());
            if millisecond < 1000 {
                line.put([&[0; 14][..], &millisecond.to_be_bytes(), &[0; 84]].concat(), now);
            }
            while let Some(frame) = line.take(now) {
                seen.push((u16::from_be_bytes([frame[14], frame[15]]), now - start, frame));
            }
        }
        assert_eq!((line.bytes, line.next()), (0, None), "nothing stays behind");
        seen
    }

    fn numbers(seen: &[(u16, Duration, Vec<u8>)]) -> Vec<u16> {
        seen.iter().map(|(n, ..)| *n).collect()
    }

    #[test]
    fn each_fault_does_what_it_says_and_the_seed_decides() {
        let all: Vec<u16> = (0..1000).collect();
        let plain = through(1, &Faults::default());
        assert_eq!(numbers(&plain), all);
        assert!(plain.iter().all(|(n, at, frame)| at.as_millis() == u128::from(*n) && frame[16..] == [0; 84]));

        let lossy = Faults { loss: 0.2, ..Faults::default() };
        let lost = through(1, &lossy);
        assert!((750..850).contains(&lost.len()), "{}", lost.len());
        assert_eq!(lost, through(1, &lossy), "the same seed, the same frames");
        assert_ne!(numbers(&lost), numbers(&through(2, &lossy)), "another seed, others");
        let both = through(1, &Faults { loss: 0.2, duplicate: 0.5, ..Faults::default() });
        let mut once = numbers(&both);
        once.dedup();
        assert_eq!(once, numbers(&lost), "what one fault does never changes what another does");
        assert!((both.len() * 2).abs_diff(once.len() * 3) < 100, "half of them twice");

        let late = through(1, &Faults { delay: Duration::from_millis(70), ..Faults::default() });
        assert!(late.iter().all(|(n, at, _)| at.as_millis() == u128::from(*n) + 70) && late.len() == 1000);

        let jitter = Faults { jitter: Duration::from_millis(30), ..Faults::default() };
        let kept = through(1, &jitter);
        assert_eq!(numbers(&kept), all, "they wait for each other");
        assert!(kept.iter().any(|(n, at, _)| at.as_millis() > u128::from(*n) + 20));
        let mixed = numbers(&through(1, &Faults { reorder: true, ..jitter }));
        assert_ne!(mixed, all);
        let mut sorted = mixed;
        sorted.sort_unstable();
        assert_eq!(sorted, all, "none is lost");

        let hurt = through(1, &Faults { corrupt: 1.0, ..Faults::default() });
        let bits = |frame: &[u8], n: usize| -> u32 {
            let whole = [&[0; 14][..], &all[n].to_be_bytes(), &[0; 84]].concat();
            frame.iter().zip(whole).map(|(a, b)| (a ^ b).count_ones()).sum()
        };
        assert!(hurt.iter().enumerate().all(|(n, (.., frame))| bits(frame, n) == 1) && hurt.len() == 1000);

        assert!(through(1, &Faults { cut: true, ..Faults::default() }).is_empty());
        assert!(through(1, &Faults { mtu: Some(85), ..Faults::default() }).is_empty());
        assert_eq!(numbers(&through(1, &Faults { mtu: Some(86), ..Faults::default() })), all);
    }

    #[test]
    fn what_is_on_its_way_is_bounded_and_a_cut_loses_it() {
        let (mut line, now) = (DelayLine::new(1, 0), Instant::now());
        line.set(Faults { delay: Duration::from_secs(1), ..Faults::default() });
        (0..10_000).for_each(|_| line.put(vec![0; 1500], now));
        assert!(line.bytes < MOST + 3000 && line.lost > 4000);
        line.set(Faults { cut: true, ..Faults::default() });
        assert_eq!((line.take(now + Duration::from_secs(9)), line.lost), (None, 10_000));
    }
}
