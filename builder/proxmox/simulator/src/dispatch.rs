//! A request → the call that it is: faults that a test has planned, login, parameters, privileges, and then the answer.

use crate::download;
use crate::endpoints::{self, Endpoint, Returns, Type};
use crate::fault::{ApiFault, LOCK, text};
use crate::multipart;
use crate::params::Params;
use crate::permission::{authenticate, forbidden};
use crate::reply::{ApiReply, parameters, refuse};
use crate::request::{FORM, Head, form};
use crate::routes;
use crate::state::{LoggedRequest, SimulatorState, lock};
use std::io::{BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

/// What a request takes, by the simulator's clock.
const REQUEST: Duration = Duration::from_millis(20);

/// One request, its body read as far as it is looked at.
pub(crate) fn request<S: Read>(head: &Head, reader: &mut BufReader<S>, shared: &Arc<SimulatorState>) -> ApiReply {
    if shared.gone() {
        return None;
    }
    if head.header("transfer-encoding").is_some() {
        return refuse(501, "chunked transfer encoding not supported");
    }
    let length: u64 = head.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let Some(path) = head.path.strip_prefix("/api2/json") else { return refuse(501, "no such file '/'") };
    let found = endpoints::find(&head.method, path);
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
    lock(&shared.asked).push(LoggedRequest {
        method: head.method.clone(),
        path: path.into(),
        parameters: given.clone(),
    });
    let Some((call, values)) = found else {
        return refuse(501, format!("Method '{} {path}' not implemented", head.method));
    };
    let fault = fault(call, shared);
    if upload && matches!(fault, Some(ApiFault::Status(_) | ApiFault::Lock | ApiFault::Locked(_))) {
        // A client that has not sent everything would not look for the answer.
        std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    }
    match &fault {
        Some(ApiFault::Status(status)) => return refuse(*status, text(*status)),
        Some(ApiFault::Lock) => return refuse(500, LOCK),
        Some(ApiFault::Locked(by)) => return refuse(500, format!("VM is locked ({by})")),
        Some(ApiFault::Cut) => return None,
        Some(ApiFault::Silence) => {
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
    let login = authenticate(head, call, &lock(&shared.world));
    let who = match login {
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
    world.clock += REQUEST;
    if let Some(wrong) = verify(call, &given) {
        return parameters(&wrong);
    }
    if let Some(refused) = forbidden(call, &values, &world) {
        return refuse(403, refused);
    }
    let before: Vec<_> = world.tasks.keys().cloned().collect();
    let saved = matches!(fault, Some(ApiFault::Task(_))).then(|| world.clone());
    let answer = routes::answer(call, &Params(given), sent, &who, &mut world);
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
        Some(ApiFault::Task(text)) => {
            assert_eq!(call.returns, Returns::Task, "{} {} starts no task", call.method, call.path);
            // What a task does not finish it takes back.
            let mut tasks = std::mem::take(&mut world.tasks);
            *world = saved.expect("it was kept");
            for (_, task) in tasks.iter_mut().filter(|(upid, _)| !before.contains(upid)) {
                task.log.push(format!("TASK ERROR: {text}"));
                (task.looks, task.exit) = (task.looks.min(1), text.clone());
            }
            world.tasks = tasks;
            answer
        }
        Some(ApiFault::CutAfter) => None,
        Some(ApiFault::LateAnswer) => refuse(596, text(596)),
        _ => answer,
    }
}

/// Ends a machine while everything else goes on.
fn stop(shared: &SimulatorState, id: u64, orderly: bool, upid: &str) {
    let hardware = lock(&shared.world).hardware.clone();
    if let Some(hardware) = hardware {
        hardware.stop(id, orderly);
    }
    let mut world = lock(&shared.world);
    world.has_stopped(id);
    if let Some(task) = world.tasks.get_mut(upid) {
        task.looks = 1;
    }
}

fn fault(call: &Endpoint, shared: &SimulatorState) -> Option<ApiFault> {
    let mut planned = lock(&shared.faults);
    let found = planned.iter_mut().find(|p| p.times > 0 && p.method == call.method && p.template == call.path)?;
    found.times -= 1;
    Some(found.fault.clone())
}

/// Strict: what is not declared is refused, what must be there is missed.
fn verify(call: &Endpoint, given: &[(String, String)]) -> Option<Vec<(String, String)>> {
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
