//! The right profile: what `server` has, and one of most things that the derived checks ask for.

/// Every edit of a wrong names a text that stands in here once.
pub const PROFILE: &str = r#"extends = "base"
[image]
name = "server"
version = "1"
[packages]
include = ["less", "procps", "qemu-guest-agent"]
[network.ethernet]
routes = [{ to = "192.0.2.0/24", via = "10.77.0.1" }]
[firewall]
allow = [{ port = 8080 }]
[firewall.sets.private]
networks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"]
[firewall.egress]
policy = "drop"
[access]
root_login = "credential"
[access.administrators.anna]
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOlWxRzO96EftjA7NDYqP9wUBklD4qPZix7G3KrMLdCi anna@example"]
sudo = "none"
[hardening]
exceptions = []
setuid = []
[containers.web]
packages = ["busybox"]
command = ["busybox", "httpd", "-f", "-v", "-p", "80", "-h", "/srv/www"]
publish = [{ host = 8080, container = 80 }]
overlays = ["web"]
capabilities = []
limits = { memory = "64M" }
[containers.back]
packages = ["busybox"]
command = ["busybox", "sleep", "1000000"]
networks = ["inner"]
health = { command = ["busybox", "true"], interval = "1h" }
volumes.books = { path = "/books", mount = "data" }
[container_networks.inner]
internal = true
[monitoring]
node_exporter = { from = ["private"] }
[services]
enable = ["fstrim.timer"]
[hosts]
"ledger.example" = "192.0.2.77"
[trust]
school = "-----BEGIN CERTIFICATE-----\nMIIBlTCCAUegAwIBAgIUCTjgWrqqZkj6e/u+zUhgG5N7uDQwBQYDK2VwMDcxFzAVBgNVBAoMDkV4YW1wbGUgU2Nob29sMRwwGgYDVQQDDBNFeGFtcGxlIFNjaG9vbCBSb290MCAXDTI2MTEyOTE5MDAxNFoYDzIxMjYxMTA1MTkwMDE0WjA3MRcwFQYDVQQKDA5FeGFtcGxlIFNjaG9vbDEcMBoGA1UEAwwTRXhhbXBsZSBTY2hvb2wgUm9vdDAqMAUGAytlcAMhAD9aeVxPIv+xBfC0cP16JsinO2s+h/20L94We4MA3tHCo2MwYTAdBgNVHQ4EFgQU/IFOfmy/RIhQx9P8PoE2J0RB8o4wHwYDVR0jBBgwFoAU/IFOfmy/RIhQx9P8PoE2J0RB8o4wDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwBQYDK2VwA0EAcOmEBmZuyKr9KtqyZiY2L5ZiD4wpranEX9sBnIMNqPIPKY9vzvoRVva1PsXMiGr0lFMFe7tiB+Bi4pce1tC+CA==\n-----END CERTIFICATE-----"
[memory]
swap = "64M"
[mounts.data]
path = "/srv/data"
disk = { serial = "data-1", create = true }
[mounts.shown]
path = "/mnt/shown"
bind = "/srv/shown"
[mounts.late]
path = "/mnt/late"
bind = "/srv/late"
when = "access"
[state]
volatile = ["/var/cache"]
"#;
