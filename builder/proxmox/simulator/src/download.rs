//! `download-url`: a node fetches a file by itself, as pve-common's `download_file_from_url` does by wget, while everything
//! else goes on.

use crate::params::Params;
use crate::reply::{ApiReply, ok, parameters, refuse};
use crate::state::{SimulatorState, lock};
use crate::world::{Download, World};
use diorite_model::{Digest, Hasher};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

/// The call: what is wrong with it shows at once, everything else in its task.
pub(crate) fn begin(given: &Params, who: &str, world: &mut World) -> ApiReply {
    let of = |name: &str| given.get(name).unwrap_or_default().to_owned();
    let (name, content, file) = (of("storage"), of("content"), of("filename"));
    let Some(storage) = world.storages.get(&name) else {
        return refuse(500, format!("storage '{name}' does not exist"));
    };
    if !storage.content.split(',').any(|c| c == content) {
        return refuse(500, format!("storage '{name}' is not configured for content-type '{content}'"));
    }
    if !["http://", "https://"].iter().any(|scheme| of("url").starts_with(scheme)) {
        return parameters(&[("url".into(), "value does not match the regex pattern".into())]);
    }
    if content == "import" && ![".ova", ".qcow2", ".raw", ".vmdk"].iter().any(|end| file.ends_with(end)) {
        return parameters(&[("filename".into(), "invalid filename or wrong extension".into())]);
    }
    let checksum = given.get("checksum").map(str::to_owned);
    if checksum.is_some() != given.get("checksum-algorithm").is_some() {
        return parameters(&[("checksum".into(), "missing dependency".into())]);
    }
    let upid = world.task(&of("node"), "download", &file, who);
    world.tasks.get_mut(&upid).expect("begun a moment ago").looks = u32::MAX;
    let volume = format!("{content}/{file}");
    world.downloads.push(Download { url: of("url"), storage: name, volume, checksum, upid: upid.clone() });
    ok(json!(upid))
}

/// Its task.
pub(crate) fn carry_out(shared: &SimulatorState, download: &Download) {
    let before = lock(&shared.world).clone();
    if before.cut_off {
        // wget tries for hours. Somebody may end the task.
        return;
    }
    let exit = match fetched(&before, download) {
        Err(why) => why,
        Ok(None) => "OK".into(),
        Ok(Some((size, digest, kept))) => {
            let mut world = lock(&shared.world);
            // Somebody may have ended it.
            if world.tasks.get(&download.upid).is_none_or(|task| task.looks == 0) {
                return;
            }
            if let (Some(kept), Some(hardware)) = (kept, &world.hardware) {
                let to = hardware.place(&download.storage, &download.volume);
                std::fs::rename(kept, to).expect("a download can be put in its place");
            }
            let storage = world.storages.get_mut(&download.storage).expect("it was there");
            storage.free = storage.free.saturating_sub(size);
            storage.files.insert(download.volume.clone(), (size, digest));
            "OK".into()
        }
    };
    let mut world = lock(&shared.world);
    if let Some(task) = world.tasks.get_mut(&download.upid).filter(|task| task.looks > 0) {
        task.log.push(if exit == "OK" { "TASK OK".into() } else { format!("TASK ERROR: {exit}") });
        (task.looks, task.exit) = (1, exit);
    }
}

/// Size, digest, and where the bytes are kept.
type DownloadedFile = (u64, Digest, Option<PathBuf>);

/// None: the right file is there already.
fn fetched(world: &World, download: &Download) -> Result<Option<DownloadedFile>, String> {
    let storage = &world.storages[&download.storage];
    let differs = |got: Digest| {
        let (got, wanted) = (got.to_string(), download.checksum.as_ref()?);
        (!wanted.eq_ignore_ascii_case(&got)).then(|| format!("checksum mismatch: got '{got}' != expect '{wanted}'"))
    };
    if let Some((_, there)) = storage.files.get(&download.volume) {
        return match (&download.checksum, differs(*there)) {
            (None, _) => Err(format!("refusing to override existing file '/{}'", download.volume)),
            (Some(_), Some(why)) => Err(format!("{why}, aborting")),
            (Some(_), None) => Ok(None),
        };
    }
    let wget = |code: u8| format!("download failed: command 'wget -O FILE {}' failed: exit code {code}", download.url);
    let keep = world.hardware.as_ref().map(|hardware| hardware.place("", &download.upid.replace([':', '!'], "-")));
    let (size, digest) = wget_like(&download.url, keep.as_ref(), storage.free).map_err(wget)?;
    match differs(digest) {
        Some(why) => Err(why),
        None => Ok(Some((size, digest, keep))),
    }
}

/// GET, by HTTP alone; the error is wget's exit code.
fn wget_like(url: &str, keep: Option<&PathBuf>, room: u64) -> Result<(u64, Digest), u8> {
    const FILE: u8 = 3;
    const NETWORK: u8 = 4;
    const SERVER: u8 = 8;
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or(NETWORK)?;
    let mut stream = TcpStream::connect(host).map_err(|_| NETWORK)?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(|_| NETWORK)?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Wget/1.25.0\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|_| NETWORK)?;
    let (mut reader, mut head) = (BufReader::new(stream), Vec::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).map_err(|_| NETWORK)? == 0 {
            return Err(NETWORK);
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    if head.first().and_then(|line| line.split(' ').nth(1)) != Some("200") {
        return Err(SERVER);
    }
    let length = head.iter().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<u64>().ok());
    let mut keep = keep.map(|path| File::create(path).expect("a download can be kept"));
    let (mut hasher, mut buffer, mut size) = (Hasher::new(), vec![0; 64 << 10], 0);
    loop {
        let n = reader.read(&mut buffer).map_err(|_| NETWORK)?;
        if n == 0 {
            break;
        }
        size += n as u64;
        hasher.update(&buffer[..n]);
        if size > room || keep.as_mut().is_some_and(|file| file.write_all(&buffer[..n]).is_err()) {
            return Err(FILE);
        }
    }
    // What breaks off is fetched again, as often as it breaks off.
    if length.is_some_and(|length| length != size) { Err(NETWORK) } else { Ok((size, hasher.finish())) }
}
