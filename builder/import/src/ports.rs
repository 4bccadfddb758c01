//! Published ports: `8080:80`, `127.0.0.1:5000-5002:5000-5002/udp`, and the long form.

use crate::yaml::YamlNode;

/// Most ports of one range that are written one by one.
const MOST: u16 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) host: u16,
    pub(crate) container: u16,
    pub(crate) udp: bool,
    pub(crate) local: bool,
}

/// The ports of one entry, or why there are none.
pub(crate) fn ports(node: &YamlNode, plain: &str) -> Result<Vec<Port>, String> {
    match node.entries() {
        [] => short(plain),
        _ => {
            let text = |key: &str| node.get(key).and_then(YamlNode::text).unwrap_or_default();
            let host = if text("host_ip").is_empty() { String::new() } else { format!("{}:", text("host_ip")) };
            let published =
                if text("published").is_empty() { String::new() } else { format!("{}:", text("published")) };
            let protocol = if text("protocol").is_empty() { "tcp" } else { text("protocol") };
            short(&format!("{host}{published}{}/{protocol}", text("target")))
        }
    }
}

fn short(text: &str) -> Result<Vec<Port>, String> {
    let (rest, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let udp = match protocol {
        "tcp" => false,
        "udp" => true,
        other => return Err(format!("the protocol {other} cannot be published")),
    };
    let parts: Vec<&str> = rest.rsplitn(3, ':').collect();
    let (container, host, address) = match parts[..] {
        [container] => {
            return Err(format!("the machine's port is missing: write one for the container's port {container}"));
        }
        [container, host] => (container, host, None),
        [container, host, address] => (container, host, Some(address)),
        _ => return Err("it is no port".into()),
    };
    let local = match address {
        None | Some("0.0.0.0" | "::" | "[::]") => false,
        Some("127.0.0.1" | "::1" | "[::1]" | "localhost") => true,
        Some(address) => {
            return Err(format!("a port is published at every address of the machine, not at {address} alone"));
        }
    };
    let ((first, last), (inner, end)) = (range(host)?, range(container)?);
    if last - first != end - inner {
        return Err("the ranges have different lengths".into());
    }
    if last - first >= MOST {
        return Err(format!("a range of more than {MOST} ports is not published"));
    }
    Ok((0..=last - first).map(|n| Port { host: first + n, container: inner + n, udp, local }).collect())
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u16>().ok().filter(|n| *n > 0).ok_or(format!("`{text}` is no port"));
    let (first, last) = (number(first)?, number(last)?);
    if first > last { Err(format!("`{text}` ends before it begins")) } else { Ok((first, last)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_port() {
        let port = |host, container, udp, local| Port { host, container, udp, local };
        assert_eq!(short("8080:80"), Ok(vec![port(8080, 80, false, false)]));
        assert_eq!(short("127.0.0.1:53:5353/udp"), Ok(vec![port(53, 5353, true, true)]));
        assert_eq!(
            short("5000-5001:6000-6001"),
            Ok(vec![port(5000, 6000, false, false), port(5001, 6001, false, false)])
        );
        assert_eq!(short("[::1]:80:80"), Ok(vec![port(80, 80, false, true)]));
        for wrong in ["80", "192.0.2.1:80:80", "80:80/sctp", "1-3:1-2", "0:1", "70000:1", "a:b", "1-100:1-100", ""] {
            assert!(short(wrong).is_err(), "{wrong}");
        }
    }
}
