//! Images out of a registry: what comes, who is shown which login, and what is said when something is wrong.

use super::server::{Door, Server, ServerAction, TOKEN};
use super::*;
use crate::fetch::{Pool, fetch, tests::World};
use crate::http::{HttpClient, MirrorClient, Options};
use std::time::Duration;

/// `me:secret` and another.
const LOGIN: &str = "bWU6c2VjcmV0";
const OTHER: &str = "b3RoZXI=";

/// An image for two machines in `team/app`; its reference and the paths of its files: index, manifest, config, layers.
fn offered(server: &Server) -> (String, Vec<String>) {
    let layers = [tar(&[("a", b"1")]), tar(&[("b", &[7; 4000])])];
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let (blobs, manifest) = image("amd64", &layers);
    let (_, foreign) = image("arm64", &layers);
    let index = index(&[(&foreign, Some("arm64")), (&manifest, Some("amd64"))]);
    let put = |kind, bytes: &[u8]| server.put("team/app", kind, bytes);
    let mut paths = vec![put("manifests", &index), put("manifests", &manifest), put("blobs", &blobs[2])];
    paths.extend(layers.iter().map(|l| put("blobs", l)));
    (named(server, &index), paths)
}

fn named(server: &Server, document: &[u8]) -> String {
    format!("{}/team/app:1@sha256:{}", server.host, Digest::of(document))
}

fn http() -> HttpClient {
    let ms = Duration::from_millis;
    let options = Options { attempts: 2, pause: ms(1), longest_pause: ms(5), ..Options::default() };
    HttpClient::with_environment(options, &|_| None).unwrap()
}

fn locked_as(reference: &str, logins: &Path) -> Result<Vec<LockedPackage>> {
    pulled("app", reference, "amd64", &http(), &Tokens::of(logins)).map(|(files, _)| files)
}

fn locked(reference: &str) -> Result<Vec<LockedPackage>> {
    locked_as(reference, Path::new("/nowhere/auth.json"))
}

/// A store of its own, and a lock with nothing but this image.
fn world(files: &[LockedPackage]) -> World {
    let mut world = World::new();
    world.lock.image.clear();
    world.lock.container.insert("app".into(), files.to_vec());
    world
}

fn brought(world: &World) -> Result<Pool> {
    let archive = MirrorClient { http: http(), ..world.archive()? };
    let progress = Progress::quiet();
    fetch(&world.lock.packages(), &world.lock, || Ok(archive), &world.store, &progress)
}

/// Locks and fetches, then opens the image.
fn whole(reference: &str) -> Result<ContainerImage> {
    let files = locked(reference)?;
    let world = world(&files);
    let pool = brought(&world)?;
    open("app", &ContainerSource::Oci(reference.into()), &files, &|p| pool.path(p), "amd64")
}

#[test]
fn an_image_is_pulled_by_digest() {
    let server = Server::start();
    let (reference, paths) = offered(&server);
    let files = locked(&reference).unwrap();
    let names: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["config", "index", "layer-01", "layer-02", "manifest"]);
    for (file, path) in [(1, 0), (4, 1), (0, 2), (2, 3), (3, 4)] {
        let (_, place) = files[file].path.split_once('/').unwrap();
        assert_eq!(format!("/v2/{place}"), paths[path]);
        assert_eq!(files[file].size, server.state.lock().unwrap().files[&paths[path]].len() as u64);
    }
    let said = words(&files).unwrap().replace(&server.host, "REGISTRY");
    assert_eq!(said, "REGISTRY/team/app, manifest acdd53098104 of the index 69b54279866e, 2 layers, 8.7 kB");
    let image = whole(&reference).unwrap();
    assert_eq!((image.layers.len(), image.config.user.as_str()), (2, "7:8"));
    let (first, second) = (image.layers[0].size, image.layers[1].size);
    assert!(first < second, "the lowest layer first");

    // A manifest without an index.
    let manifest = server.state.lock().unwrap().files[&paths[1]].clone();
    let direct = named(&server, &manifest);
    let names: Vec<String> = locked(&direct).unwrap().into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["config", "layer-01", "layer-02", "manifest"]);
    assert_eq!(whole(&direct).unwrap().layers.len(), 2);
}

#[test]
fn a_lock_of_another_image_is_out_of_date() {
    let server = Server::start();
    let (reference, _) = offered(&server);
    let files = locked(&reference).unwrap();
    let world = world(&files);
    let pool = brought(&world).unwrap();
    let path = |p: &LockedPackage| pool.path(p);
    let error = |reference: &str, files: &[LockedPackage]| {
        open("app", &ContainerSource::Oci(reference.into()), files, &path, "amd64").unwrap_err().exit
    };
    let other = format!("{}/team/app@sha256:{}", server.host, Digest::of(b"other"));
    assert_eq!(error(&other, &files), Exit::LockOutdated);
    for missing in 0..files.len() {
        let mut less = files.clone();
        less.remove(missing);
        assert_eq!(error(&reference, &less), Exit::LockOutdated, "{}", files[missing].name);
    }
}

#[test]
fn a_token_is_asked_for() {
    let server = Server::start();
    let (reference, _) = offered(&server);
    server.door(Door::Token(""));
    assert!(whole(&reference).is_ok());
    let asked = server.asked();
    let tokens: Vec<_> = asked.iter().filter(|a| a.path.starts_with("/token")).collect();
    assert!(tokens.iter().all(|a| a.path == "/token?scope=repository:team/app:pull&service=here"));
    // One to lock; to fetch at most one for each of five files that are asked for at once.
    assert!(tokens.len() <= 6, "a token serves for more than one file: {}", tokens.len());
    assert!(asked.iter().any(|a| a.path.contains("/blobs/") && a.authorization == TOKEN));
}

#[test]
fn the_users_login_goes_to_the_place_of_tokens_alone() {
    let server = Server::start();
    let (reference, _) = offered(&server);
    server.door(Door::Token(LOGIN));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("auth.json");
    let mut said = vec![locked_as(&reference, &file).unwrap_err()];
    for text in [
        format!(r#"{{"auths": {{"{}": {{"auth": "{OTHER}"}}}}}}"#, server.host),
        "auths = {}".to_owned(),
        format!(r#"{{"credHelpers": {{"{}": "pass"}}}}"#, server.host),
    ] {
        fs::write(&file, text).unwrap();
        said.push(locked_as(&reference, &file).unwrap_err());
    }
    fs::write(&file, format!(r#"{{"auths": {{"{}/team": {{"auth": "{LOGIN}"}}}}}}"#, server.host)).unwrap();
    assert_eq!(locked_as(&reference, &file).unwrap().len(), 5);
    for asked in server.asked() {
        let shown = asked.authorization.starts_with("Basic");
        assert_eq!(shown, asked.path.starts_with("/token") && !asked.authorization.is_empty(), "{}", asked.path);
    }
    let settled = |e: &Error| {
        assert_eq!(e.exit, Exit::Remote);
        let text = e.to_string().replace(&server.host, "REGISTRY");
        text.replace(&directory.path().display().to_string(), "DIRECTORY")
    };
    insta::assert_snapshot!("logins", said.iter().map(settled).collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn a_login_may_be_wanted_without_tokens() {
    let server = Server::start();
    let (reference, _) = offered(&server);
    server.door(Door::Basic(LOGIN));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("auth.json");
    assert!(locked_as(&reference, &file).unwrap_err().cause.unwrap().contains("401"));
    fs::write(&file, format!(r#"{{"auths": {{"{}": {{"auth": "{LOGIN}"}}}}}}"#, server.host)).unwrap();
    assert_eq!(locked_as(&reference, &file).unwrap().len(), 5);
}

/// Blobs often lie elsewhere. Who holds them sees no login, gets none by asking for one, and must have TLS, unless all
/// of it happens on this machine.
#[test]
fn a_redirect_takes_no_login_along() {
    let (server, store) = (Server::start(), Server::start());
    let (reference, paths) = offered(&server);
    server.door(Door::Basic(LOGIN));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("auth.json");
    fs::write(&file, format!(r#"{{"auths": {{"{}": {{"auth": "{LOGIN}"}}}}}}"#, server.host)).unwrap();
    let config = server.state.lock().unwrap().files[&paths[2]].clone();
    store.state.lock().unwrap().files.insert("/config?signed=yes".into(), config);
    server.act(&paths[2], ServerAction::To(format!("http://{}/config?signed=yes", store.host)));
    assert_eq!(locked_as(&reference, &file).unwrap().len(), 5);
    store.door(Door::Basic(LOGIN));
    let refused = locked_as(&reference, &file).unwrap_err();
    assert!(refused.place.as_deref().unwrap().ends_with("/config"), "a signature is not shown: {refused}");
    assert_eq!(store.asked().len(), 2);
    assert!(store.asked().iter().all(|a| a.authorization.is_empty()));
    server.act(&paths[2], ServerAction::To("http://registry.example/config".into()));
    let cause = locked_as(&reference, &file).unwrap_err().cause.unwrap();
    assert_eq!(cause, "it redirects to `http://registry.example/config`");
}

/// A registry on this machine is spoken to without TLS: a proxy would see the login.
#[test]
fn no_proxy_sees_what_stays_on_this_machine() {
    let (server, proxy) = (Server::start(), Server::start());
    let (reference, _) = offered(&server);
    let address = format!("http://{}", proxy.host);
    let http =
        HttpClient::with_environment(Options::default(), &|name| (name == "http_proxy").then(|| address.clone()));
    let none = Tokens::of(Path::new("/nowhere/auth.json"));
    assert_eq!(pulled("app", &reference, "amd64", &http.unwrap(), &none).unwrap().0.len(), 5);
    assert!(proxy.asked().is_empty());
}

/// What has arrived is kept, and asked for no second time; nothing unfinished stands in the pool under its name.
#[test]
fn a_pull_that_broke_off_is_continued() {
    let server = Server::start();
    let (reference, paths) = offered(&server);
    let files = locked(&reference).unwrap();
    let world = world(&files);
    server.act(&paths[4], ServerAction::Cut);
    assert_eq!(brought(&world).unwrap_err().exit, Exit::Remote);
    let layer = &files[3];
    assert!(Pool::complete(&[layer], &world.store).is_err());
    server.state.lock().unwrap().acts.clear();
    let before = server.asked().len();
    let pool = brought(&world).unwrap();
    let asked = server.asked();
    let [again] = &asked[before..].iter().filter(|a| a.path == paths[4]).collect::<Vec<_>>()[..] else {
        panic!("the broken layer is asked for once")
    };
    assert!(again.from > 0, "and not from its beginning");
    assert_eq!(Digest::of(&fs::read(pool.path(layer)).unwrap()), layer.sha256);
}

/// The text of an error, with what is another each time settled: the port, and where this user's logins are.
fn settled(host: &str, error: &Error) -> String {
    let asked = super::super::auth::Logins::of_user().find(host, "team/app").unwrap().asked;
    let places = asked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    error.to_string().replace(host, "REGISTRY").replace(&places, "PLACES")
}

#[test]
fn what_a_registry_does_wrong_is_said() {
    let mut said = Vec::new();
    for (file, act) in [
        (0, ServerAction::Status(404)),
        (0, ServerAction::Status(401)),
        (0, ServerAction::Status(403)),
        (0, ServerAction::Page),
        (0, ServerAction::Cut),
        (1, ServerAction::Status(429)),
        (3, ServerAction::Status(403)),
        (4, ServerAction::Status(404)),
        (3, ServerAction::Status(500)),
        (4, ServerAction::Cut),
    ] {
        let server = Server::start();
        let (reference, paths) = offered(&server);
        server.act(&paths[file], act);
        let error = whole(&reference).unwrap_err();
        assert_eq!(error.exit, Exit::Remote, "{error}");
        said.push(settled(&server.host, &error));
    }
    // Other bytes than asked for, of the same length.
    for file in 0..5 {
        let server = Server::start();
        let (reference, paths) = offered(&server);
        server.state.lock().unwrap().files.get_mut(&paths[file]).unwrap()[3] ^= 1;
        let error = whole(&reference).unwrap_err();
        assert_eq!(error.exit, Exit::Remote, "{error}");
        said.push(settled(&server.host, &error));
    }
    // Nobody there: a port that was ours a moment ago.
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let error = locked(&format!("{closed}/team/app@sha256:{}", Digest::of(b"x"))).unwrap_err();
    assert_eq!(error.exit, Exit::Remote);
    said.push(settled(&closed, &error));
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn what_an_image_does_wrong_is_said() {
    let server = Server::start();
    let layer = tar(&[("a", b"1")]);
    let (blobs, manifest) = image("amd64", &[&layer]);
    let (foreign_blobs, foreign) = image("arm64", &[&layer]);
    for bytes in blobs.iter().chain(&foreign_blobs) {
        server.put("team/app", "blobs", bytes);
        server.put("team/app", "manifests", bytes);
    }
    let size = manifest.len().to_string();
    let lying = String::from_utf8(index(&[(&manifest, Some("amd64"))])).unwrap().replace(&size, "9").into_bytes();
    let text = String::from_utf8(manifest.clone()).unwrap();
    let huge = text.replace(&format!("\"size\":{}", layer.len()), "\"size\":18446744073709551615").into_bytes();
    assert_ne!(huge, manifest);
    let mut endless = index(&[(&manifest, None)]);
    for _ in 0..5 {
        server.put("team/app", "manifests", &endless);
        endless = index(&[(&endless, None)]);
    }
    let all = [
        index(&[(&foreign, Some("arm64"))]),
        foreign,
        lying,
        huge,
        endless,
        br#"{"schemaVersion": 1, "fsLayers": []}"#.to_vec(),
        text.replace("sha256:", "sha512:").into_bytes(),
    ];
    let said: Vec<String> = all
        .iter()
        .map(|document| {
            server.put("team/app", "manifests", document);
            let error = locked(&named(&server, document)).unwrap_err();
            assert_eq!(error.exit, Exit::Input, "{error}");
            settled(&server.host, &error)
        })
        .collect();
    insta::assert_snapshot!(said.join("\n\n"));
}
