//! Bytes → requests (RFC 9112): a head, then a body by its length or in chunks, taken as it comes so that a large one does
//! not have to wait in the connection's input.

use super::Request;
use std::net::SocketAddr;

/// Limits, so that a guest fills no memory: of a head, and of the line that gives a chunk's size.
pub(in crate::peers) const LONGEST_HEAD: usize = 16 << 10;
const LONGEST_LINE: usize = 1 << 10;

/// What has been found.
pub(in crate::peers) enum Intake {
    /// A whole request, and whether the connection ends after its answer.
    Request(Request, bool),
    /// The other side wants to hear that it may go on (RFC 9110 §10.1.1).
    Continue,
    /// More must come first.
    NotYet,
    /// No request; the status that says so.
    Wrong(u16),
}

/// How much of a body is still to come.
enum Framing {
    /// So many bytes.
    Length(usize),
    /// Chunks, of the present one so many bytes.
    Chunk(usize),
    /// The line end behind a chunk.
    ChunkEnd,
    /// The line with a chunk's size (RFC 9112 §7.1).
    Size,
    /// Fields after the last chunk, which nobody needs.
    Trailer,
}

/// Reads one connection.
pub(in crate::peers) struct RequestReader {
    from: SocketAddr,
    open: Option<(Request, Framing, bool)>,
}

impl RequestReader {
    pub fn new(from: SocketAddr) -> Self {
        Self { from, open: None }
    }

    /// Takes a request with a body of at most `most` bytes from what has come.
    pub fn take(&mut self, input: &mut Vec<u8>, most: usize) -> Intake {
        if self.open.is_none() {
            let Some(end) = input.windows(4).position(|w| w == b"\r\n\r\n") else {
                return if input.len() > LONGEST_HEAD { Intake::Wrong(431) } else { Intake::NotYet };
            };
            let head: Vec<u8> = input.drain(..end + 4).collect();
            let opened = match opened(&String::from_utf8_lossy(&head[..end]), self.from, most) {
                Ok(opened) => opened,
                Err(status) => return Intake::Wrong(status),
            };
            let waits = opened.0.field("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue"));
            self.open = Some(opened);
            if waits && input.is_empty() {
                return Intake::Continue;
            }
        }
        let Some((request, framing, _)) = &mut self.open else { return Intake::NotYet };
        match body(framing, input, &mut request.body, most) {
            Ok(true) => match self.open.take() {
                Some((request, _, close)) => Intake::Request(request, close),
                None => Intake::NotYet,
            },
            Ok(false) => Intake::NotYet,
            Err(status) => Intake::Wrong(status),
        }
    }
}

/// A head, and how its body comes.
fn opened(head: &str, from: SocketAddr, most: usize) -> Result<(Request, Framing, bool), u16> {
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = words[..] else { return Err(400) };
    let mut fields = Vec::new();
    for line in lines {
        match line.split_once(':') {
            Some((name, value)) if !name.is_empty() && !name.contains(' ') => {
                fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            _ => return Err(400),
        }
    }
    let request = Request { from, method: method.to_owned(), target: target.to_owned(), fields, body: Vec::new() };
    let length = request.field("content-length").map(str::parse::<usize>);
    let framing = match (request.field("transfer-encoding"), length) {
        // Both is how requests are smuggled (RFC 9112 §6.1).
        (Some(_), Some(_)) => return Err(400),
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Framing::Size,
        (Some(_), None) => return Err(501),
        (None, None) => Framing::Length(0),
        (None, Some(Ok(length))) if length <= most => Framing::Length(length),
        (None, Some(Ok(_))) => return Err(413),
        (None, Some(Err(_))) => return Err(400),
    };
    let asked = request.field("connection").map(str::to_ascii_lowercase).unwrap_or_default();
    let close = if version == "HTTP/1.0" { asked != "keep-alive" } else { asked == "close" };
    Ok((request, framing, close))
}

/// Moves what has come of a body; whether it is whole.
fn body(framing: &mut Framing, input: &mut Vec<u8>, body: &mut Vec<u8>, most: usize) -> Result<bool, u16> {
    loop {
        match framing {
            Framing::Length(left) | Framing::Chunk(left) => {
                let here = input.len().min(*left);
                body.extend(input.drain(..here));
                *left -= here;
                if *left > 0 {
                    return Ok(false);
                }
                if matches!(framing, Framing::Length(_)) {
                    return Ok(true);
                }
                *framing = Framing::ChunkEnd;
            }
            Framing::ChunkEnd => match input.get(..2) {
                Some(b"\r\n") => {
                    input.drain(..2);
                    *framing = Framing::Size;
                }
                Some(_) => return Err(400),
                None => return Ok(false),
            },
            Framing::Size => {
                let Some(line) = line(input)? else { return Ok(false) };
                let digits = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(digits, 16).map_err(|_| 400u16)?;
                if size > most.saturating_sub(body.len()) {
                    return Err(413);
                }
                *framing = if size == 0 { Framing::Trailer } else { Framing::Chunk(size) };
            }
            Framing::Trailer => match line(input)? {
                Some(line) if line.is_empty() => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            },
        }
    }
}

/// A whole line, without its end.
fn line(input: &mut Vec<u8>) -> Result<Option<String>, u16> {
    match input.windows(2).position(|w| w == b"\r\n") {
        Some(end) => {
            let line: Vec<u8> = input.drain(..end + 2).collect();
            Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()))
        }
        None if input.len() > LONGEST_LINE => Err(400),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bodies of all requests, or the status that refuses one; the bytes come in pieces of this size.
    fn read(bytes: &[u8], piece: usize, most: usize) -> Result<Vec<String>, u16> {
        let mut reader = RequestReader::new("10.77.0.9:999".parse().expect("an address"));
        let (mut input, mut bodies) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            input.extend_from_slice(piece);
            loop {
                match reader.take(&mut input, most) {
                    Intake::Request(request, _) => bodies.push(String::from_utf8(request.body).expect("text")),
                    Intake::Continue => bodies.push("continue".to_owned()),
                    Intake::NotYet => break,
                    Intake::Wrong(status) => return Err(status),
                }
            }
        }
        Ok(bodies)
    }

    const CHUNKED: &str = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn bodies_come_by_length_or_in_chunks_however_they_are_cut() {
        let two = format!("{CHUNKED}4\r\nwiki\r\nA;x=1\r\npedia in c\r\n0\r\nT: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        let long = "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(read(two.as_bytes(), piece, 100), Ok(vec!["wikipedia in c".to_owned(), String::new()]));
            assert_eq!(read(long.as_bytes(), piece, 5), Ok(vec!["hello".to_owned()]));
        }
        let waits = "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(read(format!("{waits}ok").as_bytes(), waits.len(), 5), Ok(vec!["continue".into(), "ok".into()]));
    }

    #[test]
    fn bodies_that_are_wrong_or_too_long_are_refused() {
        for (wrong, status) in [
            (format!("{CHUNKED}x\r\n"), 400),
            (format!("{CHUNKED}1\r\nab\r\n"), 400),
            (format!("{CHUNKED}5\r\nhello\r\n6\r\n"), 413),
            (format!("{CHUNKED}ffffffffffffffffff\r\n"), 400),
            (format!("{CHUNKED}{}", "1".repeat(LONGEST_LINE + 1)), 400),
            (CHUNKED.replace("chunked", "gzip"), 501),
            (CHUNKED.replace("chunked", "chunked\r\nContent-Length: 1"), 400),
        ] {
            assert_eq!(read(wrong.as_bytes(), 1000, 10), Err(status), "{wrong}");
        }
    }
}
