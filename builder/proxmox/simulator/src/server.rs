//! HTTP/1.1 as pve-http-server speaks it: a connection, its requests, and how it words its answers.

use crate::dispatch;
use crate::request::head;
use crate::state::SimulatorState;
use std::io::{BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// Answers requests until somebody closes.
pub(crate) fn connection<S: Read + Write>(stream: S, shared: &Arc<SimulatorState>) {
    let mut reader = BufReader::new(stream);
    while let Some(head) = head(&mut reader) {
        let Some((status, reason, body)) = dispatch::request(&head, &mut reader, shared) else { return };
        let text = if body.is_null() { String::new() } else { body.to_string() };
        // Errors of 400 and above close the connection.
        let close = if status >= 400 { "close" } else { "Keep-Alive" };
        let reply = format!(
            "HTTP/1.1 {status} {reason}\r\nConnection: {close}\r\nContent-Length: {}\r\n\
             Content-Type: application/json;charset=UTF-8\r\n\r\n{text}",
            text.len()
        );
        let stream = reader.get_mut();
        if stream.write_all(reply.as_bytes()).and_then(|()| stream.flush()).is_err() || status >= 400 {
            return;
        }
        if shared.closing.load(SeqCst) {
            return;
        }
    }
}
