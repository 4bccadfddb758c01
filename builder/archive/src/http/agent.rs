//! The connections: one pool per scheme, proxies and certificate authorities from the environment.

use super::{Failure, FailureKind, Options};
use crate::url;
use diorite_model::{Error, Result};
use ureq::http::{Response, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy, ProxyProtocol};

/// The variable OpenSSL and curl read as well.
const CERTIFICATES: &str = "SSL_CERT_FILE";
/// Where Debian's ca-certificates and its relatives keep the bundle.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

pub(super) struct Agents {
    http: Agent,
    /// For what is asked of this very machine: past every proxy.
    here: Agent,
    /// With the host's certificate authorities, if it has any, then with the built-in ones.
    https: Vec<Agent>,
}

impl Agents {
    pub(super) fn new(options: &Options, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let agent = |proxy: Option<Proxy>, roots: Option<RootCerts>| -> Agent {
            let tls = TlsConfig::builder().root_certs(roots.unwrap_or(RootCerts::WebPki)).build();
            let config = Agent::config_builder()
                .user_agent(concat!("diorite/", env!("CARGO_PKG_VERSION")))
                .accept_encoding("identity")
                .http_status_as_error(false)
                .max_redirects(0)
                .proxy(proxy)
                .tls_config(tls)
                .timeout_connect(Some(options.connect))
                .timeout_recv_response(Some(options.stall))
                .timeout_per_read(Some(options.stall))
                .timeout_per_write(Some(options.stall))
                .max_idle_connections(32)
                .max_idle_connections_per_host(16);
            config.build().new_agent()
        };
        let tunnel = proxy("https", environment)?;
        let mut https = Vec::new();
        if let Some(roots) = system_roots(environment)? {
            https.push(agent(tunnel.clone(), Some(roots)));
        }
        https.push(agent(tunnel, None));
        Ok(Self { http: agent(proxy("http", environment)?, None), here: agent(None, None), https })
    }

    pub(super) fn shutdown(&self) {
        for agent in self.https.iter().chain([&self.http, &self.here]) {
            agent.clone().shutdown();
        }
    }

    /// One request, no redirects.
    pub(super) fn request(&self, url: &str, from: u64) -> Result<Response<Body>, Failure> {
        self.send(url, from, &[], &self.http)
    }

    /// As [`Agents::request`], with these headers besides. What has no TLS must be on this very machine, and no proxy sees
    /// it.
    pub(super) fn ask(
        &self,
        url: &str,
        from: u64,
        headers: &[(header::HeaderName, &str)],
    ) -> Result<Response<Body>, Failure> {
        self.send(url, from, headers, &self.here)
    }

    /// A certificate that one set of authorities did not sign is checked against the next.
    fn send(
        &self,
        url: &str,
        from: u64,
        headers: &[(header::HeaderName, &str)],
        plain: &Agent,
    ) -> Result<Response<Body>, Failure> {
        let agents = match url::scheme(url) {
            Some("http") => std::slice::from_ref(plain),
            Some("https") => &self.https,
            _ => return Err(Failure::new(FailureKind::Refused, url, "it is not an http:, https: or file: URL")),
        };
        let mut first: Option<Failure> = None;
        for agent in agents {
            let mut request = agent.get(url);
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            match request.call() {
                Ok(response) => return Ok(response),
                Err(error) => {
                    let failure = Failure::request(url, &error);
                    if failure.kind != FailureKind::Certificate {
                        return Err(failure);
                    }
                    first.get_or_insert(failure);
                }
            }
        }
        Err(first.unwrap_or_else(|| Failure::new(FailureKind::Broken, url, "no connection")))
    }
}

/// `http_proxy`, `https_proxy`, else `all_proxy`, in either case, and `no_proxy`. `HTTP_PROXY` in capitals is not read,
/// as in curl: a web server may set it from a request's header.
fn proxy(scheme: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<Proxy>> {
    let names: &[&str] = match scheme {
        "http" => &["http_proxy", "all_proxy", "ALL_PROXY"],
        _ => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
    };
    let Some((name, value)) = names.iter().find_map(|name| Some((name, environment(name)?))) else { return Ok(None) };
    let wrong = |why: &str| {
        Error::host(format!("`{}` is not a proxy Diorite can use", url::shown(&value)))
            .at(format!("environment variable {name}"))
            .because(why)
            .hint("http://HOST:PORT, or unset the variable")
    };
    let parsed = Proxy::new(&value).map_err(|e| wrong(&e.to_string()))?;
    let protocol = parsed.protocol();
    if !matches!(protocol, ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err(wrong("only http: and https: proxies are supported"));
    }
    let mut builder = Proxy::builder(protocol).host(parsed.host()).port(parsed.port()).resolve_target(false);
    if let Some(user) = parsed.username() {
        builder = builder.username(user);
    }
    if let Some(password) = parsed.password() {
        builder = builder.password(password);
    }
    let exceptions = ["no_proxy", "NO_PROXY"].iter().find_map(|name| environment(name)).unwrap_or_default();
    for exception in exceptions.split([',', ' ']).filter(|e| !e.is_empty()) {
        builder = builder.no_proxy(exception);
    }
    builder.build().map(Some).map_err(|e| wrong(&e.to_string()))
}

/// The host's certificate authorities, or nothing when it has no bundle.
fn system_roots(environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<RootCerts>> {
    let named = environment(CERTIFICATES);
    let pem = match &named {
        Some(path) => std::fs::read(path).map_err(|e| Error {
            exit: diorite_model::Exit::Host,
            ..Error::io("the certificate authorities cannot be read", path, e)
                .hint(format!("{CERTIFICATES} names this file; unset it or correct it"))
        })?,
        None => match BUNDLES.iter().find_map(|path| std::fs::read(path).ok()) {
            Some(pem) => pem,
            None => return Ok(None),
        },
    };
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match (certificates.is_empty(), named) {
        (false, _) => Ok(Some(RootCerts::from(certificates))),
        (true, None) => Ok(None),
        (true, Some(path)) => Err(Error::host("there is no certificate in the file of certificate authorities")
            .at(path)
            .hint(format!("{CERTIFICATES} names this file; it must hold certificates in PEM form"))),
    }
}
