//! The binary index files libkmod looks names up in (`modules.dep.bin`, `modules.alias.bin`). libkmod reads no text
//! form of these two: without the binary ones no module can be loaded by name or alias.
//!
//! The format (depmod(8) writes it; all numbers are big-endian): magic, version, offset of the root node. A node is an
//! optional prefix ending in NUL; optionally the first and last character of its children and one offset for each
//! character between; optionally a count of values, each a priority and text ending in NUL. The top four bits of
//! an offset say which of the three are there. Nodes stand before their children, as depmod of kmod 34 writes them.

use std::collections::BTreeMap;

const MAGIC: u32 = 0xb007_f457;
const VERSION: u32 = 0x0002_0001;
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;

/// One entry: a key, its priority among equal keys (lower is earlier), its value.
pub type IndexEntry = (Vec<u8>, u32, Vec<u8>);

#[derive(Default)]
struct TrieNode<'a> {
    prefix: &'a [u8],
    children: BTreeMap<u8, TrieNode<'a>>,
    values: Vec<(u32, &'a [u8])>,
}

/// Writes an index. Keys must be ASCII without NUL; the order of entries does not matter except among those with the
/// same key and priority.
pub fn write(entries: &[IndexEntry]) -> Vec<u8> {
    let mut sorted: Vec<&IndexEntry> = entries.iter().collect();
    sorted.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let root = build(&sorted, 0);
    let mut out = [MAGIC, VERSION, 0].map(u32::to_be_bytes).concat();
    let offset = emit(&root, &mut out);
    out[8..12].copy_from_slice(&offset.to_be_bytes());
    out
}

/// Entries are sorted and share their first `depth` characters.
fn build<'a>(entries: &[&'a IndexEntry], depth: usize) -> TrieNode<'a> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return TrieNode::default() };
    let common = first.0[depth..].iter().zip(&last.0[depth..]).take_while(|(a, b)| a == b).count();
    let end = depth + common;
    let mut node = TrieNode { prefix: &first.0[depth..end], ..TrieNode::default() };
    let own = entries.iter().take_while(|e| e.0.len() == end).count();
    node.values = entries[..own].iter().map(|e| (e.1, e.2.as_slice())).collect();
    for group in entries[own..].chunk_by(|a, b| a.0[end] == b.0[end]) {
        node.children.insert(group[0].0[end], build(group, end + 1));
    }
    node
}

/// Appends a node and everything below it; its offset with the bits that say what it has.
fn emit(node: &TrieNode, out: &mut Vec<u8>) -> u32 {
    let mut offset = out.len() as u32;
    if !node.prefix.is_empty() {
        out.extend(node.prefix);
        out.push(0);
        offset |= HAS_PREFIX;
    }
    let mut places = None;
    if let Some((first, last)) = node.children.first_key_value().zip(node.children.last_key_value()) {
        let (first, last) = (*first.0, *last.0);
        out.extend([first, last]);
        places = Some((out.len(), first));
        out.resize(out.len() + 4 * (usize::from(last - first) + 1), 0);
        offset |= HAS_CHILDREN;
    }
    if !node.values.is_empty() {
        out.extend((node.values.len() as u32).to_be_bytes());
        for (priority, value) in &node.values {
            out.extend(priority.to_be_bytes());
            out.extend(*value);
            out.push(0);
        }
        offset |= HAS_VALUES;
    }
    for (&character, child) in &node.children {
        let child = emit(child, out);
        if let Some((start, first)) = places {
            let place = start + 4 * usize::from(character - first);
            out[place..place + 4].copy_from_slice(&child.to_be_bytes());
        }
    }
    offset
}

/// Looks a key up as libkmod does, without wildcards; the first value. Used by tests.
#[cfg(test)]
pub(crate) fn find(index: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| u32::from_be_bytes(index[at..at + 4].try_into().unwrap());
    assert_eq!((number(0), number(4)), (MAGIC, VERSION));
    let text = |at: usize| index[at..].split(|&b| b == 0).next().unwrap();
    let (mut offset, mut key) = (number(8), key);
    loop {
        let mut at = (offset & 0x0fff_ffff) as usize;
        if offset & HAS_PREFIX != 0 {
            key = key.strip_prefix(text(at))?;
            at += text(at).len() + 1;
        }
        let mut next = 0;
        if offset & HAS_CHILDREN != 0 {
            let (first, last) = (index[at], index[at + 1]);
            if let Some(c) = key.first().filter(|c| (first..=last).contains(*c)) {
                next = number(at + 2 + 4 * usize::from(c - first));
            }
            at += 2 + 4 * (usize::from(last - first) + 1);
        }
        if key.is_empty() {
            return (offset & HAS_VALUES != 0).then(|| text(at + 8).to_vec());
        }
        if next == 0 {
            return None;
        }
        (offset, key) = (next, &key[1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_written_and_nothing_else() {
        let keys = ["erofs", "ext4", "e", "dm_mod", "dm_verity", "dm_bufio", "virtio_blk", "a"];
        let entries: Vec<IndexEntry> =
            keys.iter().zip(0..).map(|(k, i)| (k.as_bytes().to_vec(), i, format!("v{k}").into_bytes())).collect();
        let index = write(&entries);
        for k in keys {
            assert_eq!(find(&index, k.as_bytes()).unwrap(), format!("v{k}").into_bytes());
        }
        for k in ["", "er", "erofs2", "dm", "dm_", "z", "virtio"] {
            assert_eq!(find(&index, k.as_bytes()), None, "{k}");
        }
        let mut reversed = entries;
        reversed.reverse();
        assert_eq!(write(&reversed), index);
    }

    #[test]
    fn an_empty_index_has_an_empty_root() {
        assert_eq!(find(&write(&[]), b"x"), None);
    }
}
