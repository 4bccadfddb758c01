//! Archives as podman and docker write them, and such as nobody should.

mod remote;
pub(crate) mod server;

use super::*;
use diorite_model::recipe::Recipe;
use std::collections::BTreeMap;
use std::fs;

/// A tar of these files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

pub(crate) fn config(architecture: &str, layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|l| format!("sha256:{}", Digest::of(l))).collect();
    let config = serde_json::json!({
        "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": ids },
        "config": { "User": "7:8", "Env": ["A=b"], "Entrypoint": ["/run"], "Cmd": ["x"], "WorkingDir": "/srv" },
    });
    config.to_string().into_bytes()
}

pub(crate) fn descriptor(bytes: &[u8], architecture: Option<&str>) -> serde_json::Value {
    let platform = architecture.map(|a| serde_json::json!({ "os": "linux", "architecture": a }));
    let mut all = serde_json::json!({
        "mediaType": "x/y", "digest": format!("sha256:{}", Digest::of(bytes)), "size": bytes.len(),
    });
    if let Some(platform) = platform {
        all["platform"] = platform;
    }
    all
}

/// The blobs of an image, and its manifest.
pub(crate) fn image(architecture: &str, layers: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let config = config(architecture, layers);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "config": descriptor(&config, None),
        "layers": layers.iter().map(|l| descriptor(l, None)).collect::<Vec<_>>(),
    });
    let manifest = manifest.to_string().into_bytes();
    let blobs = layers.iter().map(|l| l.to_vec()).chain([config, manifest.clone()]).collect();
    (blobs, manifest)
}

pub(crate) fn index(manifests: &[(&[u8], Option<&str>)]) -> Vec<u8> {
    let list: Vec<_> = manifests.iter().map(|(m, a)| descriptor(m, *a)).collect();
    serde_json::json!({ "schemaVersion": 2, "manifests": list }).to_string().into_bytes()
}

fn layout(index: &[u8], blobs: &[Vec<u8>]) -> Vec<u8> {
    let names: BTreeMap<String, &[u8]> =
        blobs.iter().map(|b| (format!("blobs/sha256/{}", Digest::of(b)), b.as_slice())).collect();
    let mut files: Vec<(&str, &[u8])> =
        vec![("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#), ("index.json", index)];
    files.extend(names.iter().map(|(n, b)| (n.as_str(), *b)));
    tar(&files)
}

fn opened(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.tar");
    fs::write(&path, bytes).unwrap();
    let (layers, about) = tarball::open("app", &path, "amd64")
        .map_err(|e| e.to_string().replace(&directory.path().display().to_string(), "DIRECTORY"))?;
    assert_eq!((about.config.user.as_str(), about.config.cmd.as_slice()), ("7:8", &["x".to_owned()][..]));
    let layers = layers.iter().map(|l| {
        assert_eq!(l.file, path);
        bytes[l.start as usize..][..l.size as usize].to_vec()
    });
    Ok(layers.collect())
}

#[test]
fn every_kind_of_archive_is_read() {
    let (one, two) = (tar(&[("a", b"1")]), tar(&[("b", b"2")]));
    let (blobs, manifest) = image("amd64", &[&one, &two]);
    let layers = vec![one.clone(), two.clone()];
    assert_eq!(opened(&layout(&index(&[(&manifest, None)]), &blobs)).unwrap(), layers);

    // Of several machines, through an index of an index.
    let (other, foreign) = image("arm64", &[&one]);
    let inner = index(&[(&foreign, Some("arm64")), (&manifest, Some("amd64"))]);
    let all = [blobs, other, vec![inner.clone()]].concat();
    assert_eq!(opened(&layout(&index(&[(&inner, None)]), &all)).unwrap(), layers);

    // What docker writes, with a layer that is a link to another one's.
    let saved = br#"[{"Config":"c.json","RepoTags":["x:y"],"Layers":["one/layer.tar","two/layer.tar"]}]"#;
    let config = config("amd64", &[&one, &one]);
    let mut bytes = tar(&[("c.json", &config), ("one/layer.tar", &one), ("manifest.json", saved)]);
    bytes.truncate(bytes.len() - 1024);
    let mut builder = tar::Builder::new(bytes);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "two/layer.tar", "../one/layer.tar").unwrap();
    assert_eq!(opened(&builder.into_inner().unwrap()).unwrap(), vec![one.clone(), one]);
}

#[test]
fn what_is_wrong_is_said() {
    let one = tar(&[("a", b"1")]);
    let (blobs, manifest) = image("amd64", &[&one]);
    let good = layout(&index(&[(&manifest, None)]), &blobs);
    let (foreign_blobs, foreign) = image("arm64", &[&one]);
    let mut endless = index(&[(&manifest, None)]);
    let mut chain = blobs.clone();
    for _ in 0..5 {
        chain.push(endless.clone());
        endless = index(&[(&endless, None)]);
    }
    let lied = String::from_utf8(good.clone()).unwrap().replacen("amd64", "amd46", 1).into_bytes();
    let all = [
        b"no archive at all".to_vec(),
        [&[0x1f, 0x8b, 8, 0][..], &good].concat(),
        good[..good.len() - 3000].to_vec(),
        tar(&[("readme", b"x")]),
        tar(&[("manifest.json", b"[]")]),
        tar(&[("manifest.json", br#"[{"Config":"../c","Layers":[]}]"#)]),
        layout(b"{}", &blobs),
        layout(&index(&[(&manifest, None), (&foreign, None)]), &blobs),
        layout(&index(&[(&foreign, Some("arm64"))]), &foreign_blobs),
        layout(&index(&[(&foreign, None)]), &foreign_blobs),
        layout(&index(&[(&manifest, None)]), &blobs[1..]),
        layout(&endless, &chain),
        lied,
    ];
    let said: Vec<String> = all.iter().map(|bytes| opened(bytes).unwrap_err()).collect();
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn the_lock_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[image]\nname = \"a\"\nversion = \"1\"\n[containers.app]\narchive = \"app.tar\"\n";
    let mut none = |_: &str| -> Result<diorite_model::profile::Loaded> { panic!("nothing is extended") };
    let recipe: Recipe = diorite_model::profile::parse(text, "a.toml", &mut none).unwrap().0;
    let said = lock("app", &recipe, directory.path(), &Progress::quiet()).unwrap_err().to_string();
    insta::assert_snapshot!(said.replace(&directory.path().display().to_string(), "DIRECTORY"));
    let one = tar(&[("a", b"1")]);
    let (blobs, manifest) = image("amd64", &[&one]);
    let bytes = layout(&index(&[(&manifest, None)]), &blobs);
    fs::write(directory.path().join("app.tar"), &bytes).unwrap();
    let files = lock("app", &recipe, directory.path(), &Progress::quiet()).unwrap();
    let [file] = &files[..] else { panic!("{files:?}") };
    assert_eq!((file.path.as_str(), file.size, file.sha256), ("app.tar", bytes.len() as u64, Digest::of(&bytes)));
    let source = &recipe.containers["app"].source;
    let image = open("app", source, &files, &|p| directory.path().join(&p.path), "amd64").unwrap();
    assert_eq!(image.layers.len(), 1);
    assert!(open("app", source, &[], &|_| unreachable!(), "amd64").is_err());
    assert_eq!(words(&files).unwrap(), format!("the image in app.tar, 7.7 kB, sha256 {}", files[0].sha256));
}
