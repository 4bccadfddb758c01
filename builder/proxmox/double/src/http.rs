//! HTTP/1.1 as pve-http-server speaks it: what it accepts, refuses and drops, and how it words its answers.

use crate::fault::{Fault, LOCK, words};
use crate::table::{self, Call, Returns, Type, Who};
use crate::world::World;
use crate::{Asked, Shared, answers, download, lock, multipart};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

/// Largest head, and largest form, in bytes.
const HEAD: u64 = 8 << 10;
const FORM: u64 = 512 << 10;

/// An answer: status, words, body. None: the connection is closed without one.
pub(crate) type Answer = Option<(u16, String, Value)>;

/// An answer that is well.
pub(crate) fn ok(data: Value) -> Answer {
    Some((200, "OK".into(), json!({ "data": data })))
}

/// A refusal, worded in the status line and in the body, as since 8.3.
pub(crate) fn refuse(status: u16, message: impl Into<String>) -> Answer {
    let message = message.into();
    // 401 and the proxy's own statuses come with an empty body.
    let body = match status {
        401 | 595..=599 => Value::Null,
        _ => json!({ "data": null, "message": format!("{message}\n") }),
    };
    Some((status, message, body))
}

/// What is wrong with parameters.
pub(crate) fn parameters(errors: &[(String, String)]) -> Answer {
    let errors: serde_json::Map<_, _> = errors.iter().map(|(n, w)| (n.clone(), json!(w))).collect();
    let message = "Parameter verification failed.";
    Some((400, message.into(), json!({ "data": null, "message": format!("{message}\n"), "errors": errors })))
}

/// Percent-decoding; `+` is a space in forms only, and our paths hold none.
pub(crate) fn decode(text: &str) -> String {
    let (mut out, bytes, mut at) = (Vec::new(), text.as_bytes(), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The server splits at `;` as well as at `&`, and cuts a value at a second `=`.
fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let mut parts = pair.split('=').map(|part| decode(&part.replace('+', " ")));
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        })
        .collect()
}

/// One request's head.
pub(crate) struct Head {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

fn head<R: Read>(reader: &mut BufReader<R>) -> Option<Head> {
    let mut lines = Vec::new();
    let mut limited = reader.take(HEAD);
    loop {
        let mut line = String::new();
        limited.read_line(&mut line).ok()?;
        match line.strip_suffix("\r\n")? {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let split = |line: &String| line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
    Some(Head {
        method,
        path: path.to_owned(),
        query: form(query),
        headers: lines[1..].iter().filter_map(split).collect(),
    })
}

/// Answers requests until somebody closes.
pub(crate) fn connection<S: Read + Write>(stream: S, shared: &Arc<Shared>) {
    let mut reader = BufReader::new(stream);
    while let Some(head) = head(&mut reader) {
        let Some((status, reason, body)) = request(&head, &mut reader, shared) else { return };
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

/// One request, its body read as far as it is looked at.
fn request<S: Read>(head: &Head, reader: &mut BufReader<S>, shared: &Arc<Shared>) -> Answer {
    if shared.gone() {
        return None;
    }
    if head.header("transfer-encoding").is_some() {
        return refuse(501, "chunked transfer encoding not supported");
    }
    let length: u64 = head.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let Some(path) = head.path.strip_prefix("/api2/json") else { return refuse(501, "no such file '/'") };
    let found = table::find(&head.method, path);
    let upload = found.as_ref().is_some_and(|(call, _)| call.path.ends_with("/upload"));
    let mut given = head.query.clone();
    if !upload {
        if length > FORM {
            return refuse(501, "for data too large");
        }
        let mut body = vec![0; length as usize];
        reader.read_exact(&mut body).ok()?;
        given.extend(form(&String::from_utf8_lossy(&body)));
    }
    lock(&shared.asked).push(Asked { method: head.method.clone(), path: path.into(), parameters: given.clone() });
    let Some((call, values)) = found else {
        return refuse(501, format!("Method '{} {path}' not implemented", head.method));
    };
    let fault = fault(call, shared);
    if upload && matches!(fault, Some(Fault::Status(_) | Fault::Lock | Fault::Locked(_))) {
        // A client that has not sent everything would not look for the answer.
        std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    }
    match &fault {
        Some(Fault::Status(status)) => return refuse(*status, words(*status)),
        Some(Fault::Lock) => return refuse(500, LOCK),
        Some(Fault::Locked(by)) => return refuse(500, format!("VM is locked ({by})")),
        Some(Fault::Cut) => return None,
        Some(Fault::Silence) => {
            // Until the other side gives up.
            let mut byte = [0];
            while matches!(reader.read(&mut byte), Ok(n) if n > 0) {
                if shared.closing.load(SeqCst) {
                    break;
                }
            }
            return None;
        }
        _ => {}
    }
    // The guard is let go before anybody waits.
    let believed = authenticate(head, call, &lock(&shared.world));
    let who = match believed {
        Ok(who) => who,
        Err(why) => {
            let delay = lock(&shared.world).delay;
            thread::sleep(delay);
            return refuse(401, why);
        }
    };
    let mut sent = None;
    if upload {
        let refused = forbidden(call, &values, &lock(&shared.world));
        if let Some(refused) = refused {
            // The refusal waits for three seconds, during which the client goes on sending: more than the server keeps
            // is answered by closing the connection.
            thread::sleep(lock(&shared.world).delay);
            let kept = std::io::copy(&mut reader.take(length.min(520 << 10)), &mut std::io::sink()).unwrap_or(0);
            return if kept < length { None } else { refuse(403, refused) };
        }
        let kept = lock(&shared.world).hardware.as_ref().map(|h| h.place("", "upload"));
        let mut file = kept.as_ref().map(|path| std::fs::File::create(path).expect("an upload can be kept"));
        match multipart::read(head, reader, length, file.as_mut().map(|f| f as &mut dyn Write)) {
            Ok(parts) => {
                given.extend(parts.fields.clone());
                sent = Some(parts);
            }
            Err(answer) => return answer,
        }
    }
    given.extend(values.clone());
    let mut world = lock(&shared.world);
    if let Some(wrong) = verify(call, &given) {
        return parameters(&wrong);
    }
    if let Some(refused) = forbidden(call, &values, &world) {
        return refuse(403, refused);
    }
    let before: Vec<_> = world.tasks.keys().cloned().collect();
    let saved = matches!(fault, Some(Fault::Task(_))).then(|| world.clone());
    let answer = answers::answer(call, &given, sent, &who, &mut world);
    for (id, orderly, upid) in std::mem::take(&mut world.stopping) {
        let shared = shared.clone();
        thread::spawn(move || stop(&shared, id, orderly, &upid));
    }
    let downloads = std::mem::take(&mut world.downloads);
    // What its task has taken back is not fetched.
    for download in downloads.into_iter().filter(|_| saved.is_none()) {
        let shared = shared.clone();
        thread::spawn(move || download::carry_out(&shared, &download));
    }
    if call.method != "GET" && shared.last_change() {
        return None;
    }
    match fault {
        Some(Fault::Task(words)) => {
            assert_eq!(call.returns, Returns::Task, "{} {} starts no task", call.method, call.path);
            // What a task does not finish it takes back.
            let mut tasks = std::mem::take(&mut world.tasks);
            *world = saved.expect("it was kept");
            for (_, task) in tasks.iter_mut().filter(|(upid, _)| !before.contains(upid)) {
                task.log.push(format!("TASK ERROR: {words}"));
                (task.looks, task.exit) = (task.looks.min(1), words.clone());
            }
            world.tasks = tasks;
            answer
        }
        Some(Fault::CutAfter) => None,
        Some(Fault::LateAnswer) => refuse(596, words(596)),
        _ => answer,
    }
}

/// Ends a machine while everything else goes on.
fn stop(shared: &Shared, id: u64, orderly: bool, upid: &str) {
    let hardware = lock(&shared.world).hardware.clone();
    if let Some(hardware) = hardware {
        hardware.stop(id, orderly);
    }
    let mut world = lock(&shared.world);
    if let Some(machine) = world.machines.get_mut(&id) {
        machine.running = false;
    }
    if let Some(task) = world.tasks.get_mut(upid) {
        task.looks = 1;
    }
}

fn fault(call: &Call, shared: &Shared) -> Option<Fault> {
    let mut planned = lock(&shared.faults);
    let found = planned.iter_mut().find(|p| p.times > 0 && p.method == call.method && p.template == call.path)?;
    found.times -= 1;
    Some(found.fault.clone())
}

/// Who asks, when he is believed; else why not.
fn authenticate(head: &Head, call: &Call, world: &World) -> Result<String, &'static str> {
    if call.who == Who::World {
        return Ok(String::new());
    }
    if let Some(token) = head.header("authorization").and_then(|h| h.strip_prefix("PVEAPIToken=")) {
        let who = token.split('=').next().unwrap_or_default().to_owned();
        return if token == crate::TOKEN { Ok(who) } else { Err(words(401)) };
    }
    let ticket = head.header("cookie").and_then(|cookie| cookie.strip_prefix("PVEAuthCookie="));
    let ticket = ticket.filter(|ticket| world.tickets.contains(*ticket)).ok_or(words(401))?;
    // Uploads need no token against forgery.
    let guarded = call.method != "GET" && !call.path.ends_with("/upload");
    let csrf = head.header("CSRFPreventionToken") == Some(&format!("csrf-{ticket}"));
    if guarded && !csrf { Err("Permission denied - invalid csrf token") } else { Ok(crate::USER.0.to_owned()) }
}

/// Strict: what is not declared is refused, what must be there is missed.
fn verify(call: &Call, given: &[(String, String)]) -> Option<Vec<(String, String)>> {
    let mut wrong = Vec::new();
    for (name, value) in given {
        let why = match call.parameter(name) {
            None => "property is not defined in schema and the schema does not allow additional properties",
            Some((_, Type::Integer, _)) if value.parse::<i64>().is_err() => "type check ('integer') failed",
            Some((_, Type::Boolean, _))
                if !["0", "1", "true", "false", "yes", "no", "on", "off"].contains(&value.as_str()) =>
            {
                "type check ('boolean') failed"
            }
            Some(_) => continue,
        };
        wrong.push((name.clone(), why.to_owned()));
    }
    for (name, _, needed) in call.parameters {
        if *needed && !given.iter().any(|(n, _)| n == name) {
            wrong.push(((*name).into(), "property is missing and it is not optional".into()));
        }
    }
    (!wrong.is_empty()).then_some(wrong)
}

/// The words of a refusal, when a privilege is missing.
fn forbidden(call: &Call, values: &[(String, String)], world: &World) -> Option<String> {
    lacking(&call.who, values, world)
}

fn lacking(who: &Who, values: &[(String, String)], world: &World) -> Option<String> {
    let (path, names, any) = match who {
        Who::World | Who::All => return None,
        Who::Every(path, names) => (path, names, false),
        Who::Some(path, names) => (path, names, true),
        Who::And(all) => return all.iter().find_map(|who| lacking(who, values, world)),
        // The last of them is what one is told of.
        Who::Or(some) => {
            return some.iter().map(|who| lacking(who, values, world)).reduce(|one, other| one.and(other)).flatten();
        }
    };
    let mut at = (*path).to_owned();
    for (name, value) in values {
        at = at.replace(&format!("{{{name}}}"), value);
    }
    let granted = world.privileges(&at);
    let has = |name: &&&str| granted.contains(**name);
    let fine = if any { names.iter().any(|n| has(&n)) } else { names.iter().all(|n| has(&n)) };
    (!fine).then(|| format!("Permission check failed ({at}, {})", names.join("|")))
}
