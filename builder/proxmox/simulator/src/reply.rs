//! What a call answers: data, a refusal, or a closed connection.

use serde_json::{Value, json};

/// An answer: status, text, body. None: the connection is closed without one.
pub(crate) type ApiReply = Option<(u16, String, Value)>;

/// An answer that is well.
pub(crate) fn ok(data: Value) -> ApiReply {
    Some((200, "OK".into(), json!({ "data": data })))
}

/// A refusal, worded in the status line and in the body, as since 8.3.
pub(crate) fn refuse(status: u16, message: impl Into<String>) -> ApiReply {
    let message = message.into();
    // 401 and the proxy's own statuses come with an empty body.
    let body = match status {
        401 | 595..=599 => Value::Null,
        _ => json!({ "data": null, "message": format!("{message}\n") }),
    };
    Some((status, message, body))
}

/// What is wrong with parameters.
pub(crate) fn parameters(errors: &[(String, String)]) -> ApiReply {
    let errors: serde_json::Map<_, _> = errors.iter().map(|(n, w)| (n.clone(), json!(w))).collect();
    let message = "Parameter verification failed.";
    Some((400, message.into(), json!({ "data": null, "message": format!("{message}\n"), "errors": errors })))
}
