//! IP fragmentation (RFC 791 §3.2, RFC 8200 §4.5): a whole packet as two pieces, as a filter that looks at one fragment at
//! a time would not know it.

/// Bytes of the payload in the first fragment of IPv4: ports, and of TCP the sequence number; not the flags.
const FIRST: usize = 8;
/// The same of IPv6, which demands all headers in the first fragment (RFC 7112 §5): TCP's without its last options.
const FIRST6: usize = 24;

/// The frame as two, or as it is when its payload is too short for that. `id` names the packet.
pub fn fragments(frame: &[u8], id: u32) -> Vec<Vec<u8>> {
    let whole = || vec![frame.to_vec()];
    match frame.get(12..14) {
        Some([0x08, 0x00]) if frame.len() > 34 + FIRST => {
            let (head, payload) = frame.split_at(34);
            vec![v4(head, &payload[..FIRST], id, 0, true), v4(head, &payload[FIRST..], id, FIRST, false)]
        }
        Some([0x86, 0xdd]) if frame.len() > 54 + FIRST6 => {
            let (head, payload) = frame.split_at(54);
            vec![v6(head, &payload[..FIRST6], id, 0, true), v6(head, &payload[FIRST6..], id, FIRST6, false)]
        }
        _ => whole(),
    }
}

/// Ethernet and an IPv4 header without options, and a piece of the payload.
fn v4(head: &[u8], piece: &[u8], id: u32, offset: usize, more: bool) -> Vec<u8> {
    let mut frame = [head, piece].concat();
    let ip = &mut frame[14..34];
    ip[2..4].copy_from_slice(&((20 + piece.len()) as u16).to_be_bytes());
    ip[4..6].copy_from_slice(&(id as u16).to_be_bytes());
    ip[6..8].copy_from_slice(&((offset / 8) as u16 | if more { 0x2000 } else { 0 }).to_be_bytes());
    ip[10..12].fill(0);
    let sum = ip.chunks_exact(2).fold(0_u32, |sum, w| sum + u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum = (sum & 0xffff) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    frame
}

/// Ethernet and IPv6 headers, a fragment header, and a piece of the payload.
fn v6(head: &[u8], piece: &[u8], id: u32, offset: usize, more: bool) -> Vec<u8> {
    let mut frame = head.to_vec();
    frame.extend([head[20], 0]);
    // The offset counts in units of eight bytes, three bits to the left.
    frame.extend((offset as u16 | u16::from(more)).to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend_from_slice(piece);
    frame[18..20].copy_from_slice(&((8 + piece.len()) as u16).to_be_bytes());
    frame[20] = 44;
    frame
}
