//! Tunnels of IPsec: the daemon has loaded each as declared, with its secrets, and no other.

use crate::{
    answer::{Judged, short},
    check::Check,
    quote,
};
use diorite_machine::Output;
use diorite_model::recipe::{Ipsec, IpsecAuth, Network};

/// What the daemon has of a tunnel. `all`: the names of every tunnel.
pub(super) fn check(name: &str, about: &Ipsec, all: Vec<String>) -> Check {
    let what = format!("tunnel {name} is loaded as declared");
    let (own, about) = (name.to_owned(), about.clone());
    Check::settling_script(format!("vpn-{name}"), what, script(name), move |said| judge(said, &own, &about, &all))
}

/// What [`judge`] reads: why its secrets are not there, or what the daemon has. Secrets are loaded a second time, which changes
/// nothing and says their names.
fn script(name: &str) -> String {
    let unit = quote::word(&Ipsec::unit(name));
    format!(
        "systemctl is-active -- {unit} | sed 's/^/secrets:/'; journalctl -b -o cat -p err -n 1 -u {unit} | sed 's/^/said:/'; \
         systemctl is-active strongswan.service | sed 's/^/daemon:/'; \
         swanctl --load-creds --noprompt 2>&1 | sed 's/^/loads:/'; swanctl --list-conns 2>&1"
    )
}

/// One connection of `swanctl --list-conns`: its first line, and those below it.
struct Connection<'a> {
    name: &'a str,
    version: &'a str,
    lines: Vec<&'a str>,
}

impl Connection<'_> {
    fn has(&self, line: &str) -> bool {
        self.lines.contains(&line)
    }
    /// The values below a line that begins so, up to the next of its depth.
    fn below(&self, begins: &str) -> Vec<&str> {
        let from = self.lines.iter().skip_while(|line| !line.starts_with(begins)).skip(1);
        from.take_while(|line| line.starts_with("    ")).copied().collect()
    }
}

fn connections(text: &str) -> Vec<Connection<'_>> {
    let mut all: Vec<Connection<'_>> = Vec::new();
    for line in text.lines() {
        match (line.split_once(": IKEv"), all.last_mut()) {
            (Some((name, version)), _) if !line.starts_with(' ') => {
                all.push(Connection { name, version, lines: Vec::new() });
            }
            (_, Some(last)) if line.starts_with(' ') => last.lines.push(line),
            _ => {}
        }
    }
    all
}

fn judge(output: &Output, name: &str, about: &Ipsec, all: &[String]) -> Judged {
    let of =
        |word: &str| output.text.lines().filter_map(|line| line.strip_prefix(word)).map(str::trim).collect::<Vec<_>>();
    if of("secrets:") != ["active"] {
        return Err(of("said:")
            .first()
            .map_or_else(|| format!("its secrets are {}", of("secrets:").join(" ")), |s| (*s).to_owned()));
    }
    if of("daemon:") != ["active"] {
        return Err(format!("the daemon is {}", of("daemon:").join(" ")));
    }
    let there = connections(&output.text);
    if let Some(stranger) = there.iter().find(|c| !all.iter().any(|name| c.name == name)) {
        return Err(format!("`{}` is loaded and not declared", stranger.name));
    }
    let Some(own) = there.iter().find(|c| c.name == name) else {
        return Err(format!("it is not loaded: {}", short(&output.text)));
    };
    if !own.version.starts_with('2') {
        return Err(format!("it speaks IKEv{}", own.version));
    }
    let gateway = about.gateway.as_deref().unwrap_or("%any");
    let peer = format!("  remote: {gateway}");
    if !own.lines.iter().any(|line| *line == peer || line.strip_prefix(&peer).is_some_and(|rest| rest.starts_with('[')))
    {
        return Err(format!("its gateway is not {gateway}"));
    }
    let networks = |list: &[Network]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let local = if about.learns_address() { vec!["dynamic".to_owned()] } else { networks(&about.local) };
    let child = own.below(&format!("  {name}: TUNNEL"));
    for (key, wanted) in [("    local:  ", local), ("    remote: ", networks(&about.remote))] {
        let mut seen: Vec<&str> =
            child.iter().find_map(|l| l.strip_prefix(key)).unwrap_or_default().split(' ').collect();
        let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        seen.sort_unstable();
        wanted.sort_unstable();
        if seen != wanted {
            return Err(format!("{} networks are {}", key.trim().trim_end_matches(':'), seen.join(" ")));
        }
    }
    let id = format!("    id: {}", about.peer_id);
    if !own.below("  remote ").contains(&&*id) {
        return Err(format!("the other end need not be {}", about.peer_id));
    }
    let remote = if about.ca().is_some() { "public key" } else { "pre-shared key" };
    if !own.has(&format!("  remote {remote} authentication:")) {
        return Err(format!("the other end need not prove itself by a {remote}"));
    }
    let mut secrets = Vec::new();
    if about.has_psk() {
        secrets.push(format!("loaded ike secret 'ike-{name}'"));
    }
    match &about.auth {
        IpsecAuth::Psk => {}
        IpsecAuth::Eap { .. } => secrets.push(format!("loaded eap secret 'eap-{name}'")),
        IpsecAuth::Certificate { .. } => {
            secrets.push(format!("loaded private key from '/etc/swanctl/private/{name}.pem'"));
        }
    }
    let loads = of("loads:");
    match secrets.iter().find(|secret| !loads.contains(&secret.as_str())) {
        Some(secret) => Err(format!("the daemon does not say: {secret}")),
        None => Ok(format!("{} and {} networks, to {gateway}", about.local.len(), about.remote.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{quote, scope::tests::recipe_of};

    const TABLE: &str = "[network.lan]\ndhcp = true\n[vpn.site]\ntype = \"ipsec\"\naddresses = [\"10.97.0.1/32\"]\n\
        gateway = \"192.0.2.9\"\npeer_id = \"gate\"\nremote = [\"10.61.0.0/16\", \"10.62.0.0/16\"]\n";
    const SEEN: &str = "secrets:active\ndaemon:active\nloads:loaded ike secret 'ike-site'\n\
        site: IKEv2, no reauthentication, rekeying every 14400s, dpd delay 30s\n  local:  %any\n  remote: 192.0.2.9\n  \
        local pre-shared key authentication:\n  remote pre-shared key authentication:\n    id: gate\n  \
        site: TUNNEL, rekeying every 3600s, dpd action is start\n    local:  10.97.0.1/32\n    \
        remote: 10.61.0.0/16 10.62.0.0/16\n";

    #[test]
    fn a_tunnel_is_judged_by_what_the_daemon_says() {
        let recipe = recipe_of(TABLE);
        let (name, _, about) = recipe.ipsec_tunnels().next().expect("it is one");
        let asked =
            |text: &str| judge(&Output { status: 0, text: text.to_owned() }, name, about, std::slice::from_ref(name));
        assert_eq!(asked(SEEN), Ok("1 and 2 networks, to 192.0.2.9".into()));
        assert!(asked(&SEEN.replace("remote: 192.0.2.9", "remote: 192.0.2.9[500]")).is_ok());
        let missing = "secrets:failed\nsaid:tunnel site: the credential vpn.psk.site is missing\n";
        for (from, to, said) in [
            (SEEN, missing, "tunnel site: the credential vpn.psk.site is missing"),
            ("daemon:active", "daemon:failed", "the daemon is failed"),
            ("IKEv2", "IKEv1/2", "it speaks IKEv1/2, no reauthentication, rekeying every 14400s, dpd delay 30s"),
            ("  remote: 192.0.2.9\n", "  remote: 192.0.2.90\n", "its gateway is not 192.0.2.9"),
            ("10.61.0.0/16 ", "", "remote networks are 10.62.0.0/16"),
            ("10.97.0.1/32", "0.0.0.0/0", "local networks are 0.0.0.0/0"),
            ("id: gate", "id: %any", "the other end need not be gate"),
            ("remote pre-shared", "remote unspecified", "the other end need not prove itself by a pre-shared key"),
            ("'ike-site'", "'ike-other'", "the daemon does not say: loaded ike secret 'ike-site'"),
            ("site: IKEv2", "other: IKEv2", "`other` is loaded and not declared"),
        ] {
            assert_eq!(asked(&SEEN.replace(from, to)), Err(said.to_owned()), "{to}");
        }
        assert!(asked("secrets:active\ndaemon:active\n").unwrap_err().starts_with("it is not loaded"));
        quote::tests::harmless(script);
    }
}
