//! Every text of a document in both languages, side by side: one that is missing does not compile. It is one table, and
//! therefore longer than other files.

use diorite_model::instance::SecretSource;
use diorite_model::report::Refusal;
use std::fmt::Display;

/// A language of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
}

impl Language {
    /// BCP 47.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }
}

/// Methods of [`Language`], each with its text in English and in German.
macro_rules! texts {
    ($($name:ident($($value:ident),*): $english:literal, $german:literal;)*) => {
        impl Language {
            $(pub(crate) fn $name(self $(, $value: impl Display)*) -> String {
                match self {
                    Self::English => format!($english),
                    Self::German => format!($german),
                }
            })*
        }
    };
}

texts! {
    // The head.
    server_documentation(): "Server documentation", "Serverdokumentation";
    contents(): "Contents", "Inhalt";
    image(): "Image", "Image";
    image_and_version(name, version): "{name}, version {version}", "{name}, Version {version}";
    profile(): "Profile", "Profil";
    verified_on(): "Verified on", "Verifiziert am";
    disk_digest(): "Disk image (SHA-256)", "Disk-Image (SHA-256)";
    root_hash(): "Root hash (dm-verity)", "Root-Hash (dm-verity)";
    recipe_digest(): "Recipe digest", "Prüfsumme des Rezepts";
    lock_digest(): "Lock digest", "Prüfsumme des Locks";
    not_built(): "not built yet", "noch nicht gebaut";
    no_lock(): "no lock for this recipe", "kein Lock zu diesem Rezept";
    measured(passed, failed, skipped):
        "Measured on this very image: {passed} checks passed, {failed} failed, {skipped} could not be run.",
        "An genau diesem Image gemessen: {passed} Prüfungen bestanden, {failed} nicht bestanden, {skipped} nicht durchführbar.";
    ended_early(): "The run ended early.", "Der Lauf wurde vorzeitig beendet.";
    only_some_checks(): "Only some of the checks were run.", "Es wurde nur ein Teil der Prüfungen durchgeführt.";
    nothing_measured(why):
        "Nothing in this document has been measured: {why} It says what is declared.",
        "Nichts in diesem Dokument wurde gemessen: {why} Es gibt wieder, was deklariert ist.";
    why_no_build(): "the image has not been built.", "Das Image wurde noch nicht gebaut.";
    why_other_build():
        "the image that was built is from an earlier state of the profile.",
        "Das gebaute Image stammt aus einem früheren Stand des Profils.";
    why_no_report(): "the image has not been verified.", "Das Image wurde noch nicht verifiziert.";
    why_schema(): "the report has a format that this version does not read.", "Der Prüfbericht hat ein Format, das diese Version nicht liest.";
    why_other_disk(): "the report is about another disk image.", "Der Prüfbericht gehört zu einem anderen Disk-Image.";
    why_other_recipe(): "the report is about an earlier state of the profile.", "Der Prüfbericht gehört zu einem früheren Stand des Profils.";
    why_other_plan(): "the checks have changed since the report was made.", "Die Prüfungen haben sich seit dem Prüfbericht geändert.";
    passed(): "passed", "bestanden";
    failed(): "failed", "nicht bestanden";
    not_measured(): "not measured", "nicht gemessen";
    evidence(): "Evidence", "Nachweis";

    // Words of many chapters.
    yes(): "yes", "ja";
    no(): "no", "nein";
    none(): "none", "keine";
    nothing(): "nothing", "nichts";
    nobody(): "nobody", "niemand";
    never(): "never", "nie";
    anybody(): "anybody", "alle";
    anybody_else(): "anybody else", "alle anderen";
    anywhere(): "anywhere", "beliebige Ziele";
    everything(): "everything", "alles";
    every_port(protocol): "every {protocol} port", "jeder {protocol}-Port";
    protocol(number): "protocol {number}", "Protokoll {number}";
    in_part(): "in part", "teilweise";
    name(): "Name", "Name";
    kind(): "Kind", "Art";
    what(): "What", "Was";
    when(): "When", "Wann";
    size(): "Size", "Größe";
    version(): "Version", "Version";
    reason(): "Reason", "Grund";
    source(): "Source", "Quelle";
    destination(): "Destination", "Ziel";
    user(): "User", "Benutzer";
    service(): "Service", "Dienst";
    seconds(count): "{count} s", "{count} s";
    minutes(count): "{count} min", "{count} min";
    hours(count): "{count} h", "{count} h";
    every(time): "every {time}", "alle {time}";
    at_boot(): "at boot", "beim Start";
    on_access(): "on first access", "beim ersten Zugriff";
    read_only(): "read-only", "nur lesbar";
    the_machine(): "the machine", "die Maschine";
    container_named(name): "container {name}", "Container {name}";
    only_from_the_machine(): "from the machine itself only", "nur von der Maschine selbst";

    // Purpose.
    chapter_purpose(): "Purpose and responsibility", "Zweck und Zuständigkeit";
    purpose(): "Purpose", "Zweck";
    owners(): "Owners", "Verantwortlich";
    contacts(): "Contacts", "Kontakt";
    not_stated(key): "not stated in the profile ({key})", "im Profil nicht angegeben ({key})";
    about_this_document(profile):
        "This document is generated from the profile {profile}. Do not edit it: change the profile and generate it again.",
        "Dieses Dokument wird aus dem Profil {profile} erzeugt. Änderungen gehören in das Profil; danach wird das Dokument neu erzeugt.";

    // Machine.
    chapter_machine(): "The machine", "Die Maschine";
    host_name(): "Host name", "Hostname";
    system(): "System", "System";
    debian(suite, architecture): "Debian {suite}, {architecture}", "Debian {suite}, {architecture}";
    root_file_system(): "Root file system", "Root-Dateisystem";
    root_about():
        "EROFS, read-only, every block verified against the root hash (dm-verity)",
        "EROFS, nur lesbar; jeder Block wird gegen den Root-Hash geprüft (dm-verity)";
    kernel(): "Kernel", "Kernel";
    kind_of_machine(): "Kind of machine", "Art der Maschine";
    physical(): "physical machine", "physische Maschine";
    firmware(): "Firmware and microcode", "Firmware und Microcode";
    secure_boot(): "Secure Boot", "Secure Boot";
    enrolled_at_first_start():
        "Boot loader and kernel image are signed; the firmware takes the keys at the first start",
        "Bootloader und Kernel-Image sind signiert; die Firmware übernimmt die Schlüssel beim ersten Start";
    enrolled_by_hand():
        "Boot loader and kernel image are signed; a person enters the keys into the firmware",
        "Bootloader und Kernel-Image sind signiert; die Schlüssel trägt ein Mensch in die Firmware ein";
    command_line(): "Kernel command line", "Kernel-Kommandozeile";
    modules(): "Modules loaded at boot", "Beim Start geladene Module";
    time_zone(): "Time zone", "Zeitzone";
    clock(): "Clock", "Uhr";
    clock_about(daemon, servers): "set by {daemon} from {servers}", "gestellt von {daemon} nach {servers}";
    learned_servers(): "the servers the network announces", "den vom Netz angekündigten Zeitservern";
    locale(): "Locale", "Locale";
    overlays(): "Overlays", "Overlays";
    virtual_machine(): "Virtual hardware", "Virtuelle Hardware";
    memory(): "Memory", "Arbeitsspeicher";
    processors(): "Processors", "Prozessoren";
    state_disk(): "Disk for /var", "Disk für /var";
    hypervisor_vlan(): "VLAN tag at the hypervisor", "VLAN-Tag am Hypervisor";
    hardware_address(): "Hardware address", "MAC-Adresse";
    chosen_by_hypervisor(): "chosen by the hypervisor", "vom Hypervisor vergeben";
    starts_with_host(): "Starts with its host", "Startet mit dem Host";
    high_availability(): "High availability", "Hochverfügbarkeit";
    anti_affinity(): "Machines kept on different nodes", "Maschinen auf verschiedenen Knoten";
    replication(): "Replication", "Replikation";
    kept_disks(): "Earlier system disks kept", "Aufbewahrte frühere Systemdisks";
    instances(): "Machines made from this image", "Maschinen aus diesem Image";
    instances_about():
        "Several machines run this image. Each is given its own values by a signed config drive.",
        "Mehrere Maschinen verwenden dieses Image. Jede erhält ihre eigenen Werte über ein signiertes Konfigurationslaufwerk (Config Drive).";

    // Network.
    chapter_network(): "Network", "Netzwerk";
    network_plan(): "Network plan", "Netzwerkplan";
    plan_about():
        "Above: the links and what they are made of. Below: who may reach what through the firewall. The tables that follow say the same in full.",
        "Oben: die Netzwerkschnittstellen und woraus sie bestehen. Unten: wer durch die Firewall was erreichen darf. Die folgenden Tabellen geben dasselbe vollständig wieder.";
    firewall(): "Firewall", "Firewall";
    no_way_out(): "no way out", "ohne Ausgang";
    by_links(links): "by {links}", "über {links}";
    behind(links): "networks at {links}", "Netze an {links}";
    passes_through(): "passes through", "wird durchgeleitet";
    translated(): "address translated", "mit NAT";
    machine_and_containers(): "machine and containers", "Maschine und Container";
    network_at(link): "network at {link}", "Netz an {link}";
    gateway(address): "gateway {address}", "Gateway {address}";
    over(links): "over {links}", "über {links}";
    links(): "Network interfaces", "Netzwerkschnittstellen";
    link(): "Interface", "Schnittstelle";
    addresses(): "Addresses", "Adressen";
    gateways(): "Gateways", "Gateways";
    card(which): "card: {which}", "Karte: {which}";
    any_card(): "any Ethernet card", "jede Ethernet-Karte";
    card_number(number): "no. {number}", "Nr. {number}";
    vlan(id): "VLAN {id}", "VLAN {id}";
    bond(mode): "bond, {mode}", "Bond, {mode}";
    bridge(more): "bridge{more}", "Bridge{more}";
    vrf(table): "VRF, routing table {table}", "VRF, Routing-Tabelle {table}";
    wireguard(): "WireGuard tunnel", "WireGuard-Tunnel";
    ipsec(): "IPsec tunnel (IKEv2)", "IPsec-Tunnel (IKEv2)";
    fortinet_ssl(): "TLS tunnel to a FortiGate", "TLS-Tunnel zu einem FortiGate";
    router_advertisements(): "router advertisements", "Router-Advertisements";
    reachable_addresses(): "Addresses in use", "Adressen in Verwendung";
    routes(): "Routes", "Routen";
    via(): "Via", "Über";
    directly(): "directly", "direkt";
    with_source(source): "from {source}", "von {source}";
    by_rule(priority): "rule, priority {priority}", "Regel, Priorität {priority}";
    routing_table(): "Table", "Tabelle";
    metric(): "Metric", "Metrik";
    names(): "Names", "Namensauflösung";
    name_servers(): "Name servers", "Nameserver";
    search_domains(): "Search domains", "Suchdomänen";
    only_for(domain): "only for {domain}", "nur für {domain}";
    dns_over_tls(): "DNS over TLS", "DNS über TLS";
    learned(): "those the network announces", "die vom Netz angekündigten";
    where_possible(): "where possible", "wenn möglich";
    hosts_about(): "Names that no name server is asked for:", "Namen, für die kein Nameserver gefragt wird:";
    authority(): "Authority", "Zertifizierungsstelle";
    trust_about():
        "Certificate authorities that are trusted besides Debian's, also in containers:",
        "Zertifizierungsstellen, denen zusätzlich zu denen von Debian vertraut wird, auch in Containern:";
    signed_by_acme(directory, challenge, days):
        "signed by the authority at {directory} (ACME, {challenge}), until then self-signed for {days} days",
        "von der Zertifizierungsstelle {directory} signiert (ACME, {challenge}), bis dahin {days} Tage selbst signiert";
    certificate_named(name): "certificate {name}", "Zertifikat {name}";
    proved_in_dns(server, zone):
        "shown by records in the zone {zone}, which the machine changes at {server}",
        "nachgewiesen durch Einträge in der Zone {zone}, die die Maschine bei {server} ändert";
    certificates_about(): "Certificates of servers in containers:", "Zertifikate von Servern in Containern:";
    certificate(): "Certificate", "Zertifikat";
    certificate_names(): "For", "Für";
    certificate_source(): "Where it is from", "Herkunft";
    self_signed(days): "self-signed, made again within {days} days", "selbst signiert, alle {days} Tage oder früher erneuert";
    self_signed_until(credential, days):
        "credential {credential}; without it self-signed, made again within {days} days",
        "Credential {credential}; ohne dieses selbst signiert, alle {days} Tage oder früher erneuert";
    served(): "Served to neighbours", "Dienste für Nachbarn im Netz";
    leases(link, first, last, lease):
        "DHCP on {link}: {first} to {last}, leases of {lease}",
        "DHCP an {link}: {first} bis {last}, Lease-Dauer {lease}";
    reserved(link, address, mac): "DHCP on {link}: {address} is reserved for {mac}", "DHCP an {link}: {address} ist für {mac} reserviert";
    advertises(link, prefixes): "router advertisements on {link}: {prefixes}", "Router-Advertisements an {link}: {prefixes}";

    tunnels(): "Tunnels", "Tunnel";
    tunnel(): "Tunnel", "Tunnel";
    tunnel_named(name): "tunnel {name}", "Tunnel {name}";
    peer(): "Peer", "Gegenstelle";
    behind_peer(): "Reached through it", "Darüber erreichbar";
    reached_at(): "Where it is", "Erreichbar unter";
    by_psk(): "by a shared key", "mit einem gemeinsamen Schlüssel";
    by_certificates(): "by certificates", "mit Zertifikaten";
    by_password(user): "as {user}, by password", "als {user}, mit Passwort";
    nothing_beside(networks):
        "Nothing goes to {networks} beside its tunnel: while that is down, such packets are dropped.",
        "Zu {networks} geht nichts neben dem Tunnel: Steht er nicht, werden solche Pakete verworfen.";
    comes_here(): "comes to this machine", "meldet sich bei dieser Maschine";
    tunnels_about():
        "Everything in a tunnel is encrypted. Private keys and passwords are credentials.",
        "Der Verkehr in einem Tunnel ist verschlüsselt. Private Schlüssel und Passwörter sind Credentials.";

    // Ports.
    chapter_ports(): "Ports and firewall", "Ports und Firewall";
    ports_about():
        "Who may reach which port. What is not listed is dropped in silence, over IPv4 and IPv6. Where several rows name a port, the first one that matches decides. “≤ 10/s”: so many new connections from each source, no more.",
        "Wer welchen Port erreichen darf. Was nicht aufgeführt ist, wird über IPv4 und IPv6 stillschweigend verworfen. Nennen mehrere Zeilen denselben Port, entscheidet die erste zutreffende. „≤ 10/s“: höchstens so viele neue Verbindungen je Quelle.";
    port(): "Port", "Port";
    sources(): "Sources", "Quellen";
    networks(): "Networks", "Netze";
    every_other_port(): "Every other port is silent", "Alle anderen Ports antworten nicht";
    at_every_moment(): "At every moment, also during boot", "Jederzeit, auch während des Starts";
    ping(): "Answers ping", "Antwortet auf Ping";
    going_out(): "Outgoing connections", "Ausgehende Verbindungen";
    egress_accept():
        "The machine and its containers may open connections to anywhere.",
        "Die Maschine und ihre Container dürfen Verbindungen zu beliebigen Zielen aufbauen.";
    egress_drop():
        "The machine and its containers may open only the connections listed here. DHCP, neighbour discovery, and for the machine itself DNS and NTP, are always allowed.",
        "Die Maschine und ihre Container dürfen nur die hier aufgeführten Verbindungen aufbauen. DHCP und Neighbour Discovery sind immer erlaubt, der Maschine selbst auch DNS und NTP.";
    nothing_else(): "Nothing else goes out", "Sonst geht nichts hinaus";
    passing(): "Traffic through the machine", "Durchgeleiteter Verkehr";
    incoming_link(): "From", "Von";
    outgoing_link(): "To", "Nach";
    translation(): "Address translation", "Adressumsetzung (NAT)";
    masquerades(from, link, address):
        "{from} leaves by {link} with the source address {address}",
        "{from} geht über {link} mit der Quelladresse {address} hinaus";
    every_ipv4(): "every IPv4 source", "jede IPv4-Quelle";
    links_address(): "of the interface", "der Schnittstelle";
    port_leads(what, link, from, to): "{what} at {link}, from {from}, leads to {to}", "{what} an {link}, von {from}, führt zu {to}";

    // Containers.
    chapter_containers(): "Containers", "Container";
    no_containers(): "This machine runs no containers.", "Auf dieser Maschine laufen keine Container.";
    containers_about():
        "Containers run from the verified root file system. They can write only to their volumes and to directories in memory.",
        "Die Container laufen aus dem verifizierten Root-Dateisystem. Schreiben können sie nur in ihre Volumes und in Verzeichnisse im Arbeitsspeicher.";
    made_from(): "Made from", "Grundlage";
    debian_packages(count): "Debian packages in all, listed below: {count}", "Debian-Pakete insgesamt, unten aufgeführt: {count}";
    versions_unknown(): "versions not known: there is no lock", "Versionen nicht bekannt: Es gibt kein Lock";
    python_wheels(): "Python distributions", "Python-Distributionen";
    wheel_under(name, condition): "{name}, if {condition}", "{name}, falls {condition}";
    image_file(path): "image file {path}", "Image-Datei {path}";
    command(): "Command", "Befehl";
    the_images_own(): "the image's own", "wie im Image angegeben";
    user_numbers(): "User IDs on the machine", "Benutzer-IDs auf der Maschine";
    the_machines_own(): "the machine's own", "die der Maschine";
    numbers_from(first): "65536 IDs of its own, from {first}", "65536 eigene IDs ab {first}";
    published_ports(): "Published ports", "Veröffentlichte Ports";
    volumes(): "Volumes", "Volumes";
    memory_directories(): "Directories in memory", "Verzeichnisse im Arbeitsspeicher";
    credentials(): "Credentials", "Credentials";
    as_file(path): "as file {path}", "als Datei {path}";
    as_variable(name): "as variable {name}", "als Variable {name}";
    capabilities(): "Capabilities", "Capabilities";
    devices(): "Devices", "Geräte";
    variables(): "Environment variables", "Umgebungsvariablen";
    public_files(): "Files declared public", "Als öffentlich deklarierte Dateien";
    limits(): "Limits", "Grenzen";
    limit_memory(size): "{size} of memory", "{size} Arbeitsspeicher";
    limit_processors(count): "{count} processors", "{count} Prozessoren";
    limit_processes(count): "{count} processes", "{count} Prozesse";
    limit_files(count): "{count} open files", "{count} offene Dateien";
    health_check(): "Health check", "Health-Check";
    health_about(time, retries): "every {time}; restarted after {retries} failures", "alle {time}; Neustart nach {retries} Fehlschlägen";
    starts_after(): "Starts after", "Startet nach";
    container_networks(): "Networks between containers", "Netze zwischen Containern";
    network(): "Network", "Netz";
    way_out(): "Way out", "Ausgang";

    // People.
    chapter_people(): "Users and rights", "Benutzer und Rechte";
    people_about():
        "People log in over SSH with a key, and in no other way. No account has a password.",
        "Die Anmeldung ist nur über SSH mit einem Schlüssel möglich. Kein Konto hat ein Passwort.";
    role(): "Role", "Rolle";
    keys(): "Keys", "Schlüssel";
    administrator(): "administrator", "Administrator/in";
    ordinary_user(): "user", "Benutzer/in";
    nobody_named(): "The profile names nobody who may log in.", "Das Profil nennt niemanden, der sich anmelden darf.";
    group(): "Group", "Gruppe";
    members(): "Members", "Mitglieder";
    sudo_everything(): "everything, without a password", "alles, ohne Passwort";
    root_login(): "Root login", "Anmeldung als root";
    root_by_credential(): "with the keys in the credential ", "mit den Schlüsseln aus dem Credential ";
    certificate_authorities(): "Certificate authorities", "Zertifizierungsstellen";
    certificate_for(names): "certificate for {names}", "Zertifikat für {names}";
    second_factor(): "Second factor", "Zweiter Faktor";
    second_factor_u2f(): "keys on FIDO tokens only, with PIN and touch", "nur Schlüssel auf FIDO-Token, mit PIN und Berührung";
    idle_closed(): "Idle connections are closed after", "Untätige Verbindungen werden getrennt nach";
    sessions(): "Sessions per connection", "Sitzungen pro Verbindung";
    banner(): "Text before login", "Text vor der Anmeldung";
    no_passwords(): "No account has a password", "Kein Konto hat ein Passwort";
    only_declared_people(): "Only the people named here", "Nur die hier genannten Personen";
    own_host_keys(): "Each machine has its own host keys", "Jede Maschine hat eigene Hostschlüssel";

    // Services.
    chapter_services(): "Services and hardening", "Dienste und Härtung";
    own_services(): "Services of the profile", "Dienste des Profils";
    what_it_does(): "What it does", "Aufgabe";
    may_use_network(): "may use the network", "darf das Netz verwenden";
    reads_credential(name): "reads the credential {name}", "liest das Credential {name}";
    switched_on(): "Enabled in addition", "Zusätzlich aktiviert";
    switched_off(): "Disabled", "Deaktiviert";
    masked(): "Masked", "Maskiert";
    everything_runs(): "Everything runs, and the journal has no errors", "Alles läuft, und das Journal enthält keine Fehler";
    monitoring(): "Monitoring", "Überwachung";
    on_port(port): "yes, on port {port}/tcp", "ja, auf Port {port}/tcp";
    who_may_ask(): "read from:", "abrufbar von:";
    scraped(): "Scraped from here", "Von hier abgefragt";
    shows_credential(): "Credential shown", "Verwendetes Credential";
    journal_goes_to(): "The journal goes to", "Das Journal geht an";
    signed_by(name): "with a certificate signed by the authority {name}", "mit einem von der Zertifizierungsstelle {name} signierten Zertifikat";
    samples_kept(days, size): "samples are kept for {days} days, at most {size} MiB", "Messwerte werden {days} Tage aufbewahrt, höchstens {size} MiB";
    probes(): "Probes", "Proben";
    what_is_tried(): "What is tried", "Was geprüft wird";
    how_often(): "How often", "Wie oft";
    alerts(): "Alerts", "Alarme";
    holds_for(): "Must hold for", "Muss andauern";
    severity(): "Severity", "Schweregrad";
    warning(): "warning", "Warnung";
    critical(): "critical", "kritisch";
    receivers(): "Who is told", "Wer benachrichtigt wird";
    told_by(): "By", "Weg";
    through(server): "through {server}", "über {server}";
    nobody_is_told():
        "Alerts are shown on Prometheus' page; nobody is told of them.",
        "Alarme stehen auf der Seite von Prometheus; niemand wird benachrichtigt.";
    target_down(): "something cannot be scraped", "etwas lässt sich nicht abfragen";
    probe_failing(): "a probe fails", "eine Probe schlägt fehl";
    certificate_near_end(days):
        "a certificate ends within {days} days", "ein Zertifikat läuft innerhalb von {days} Tagen ab";
    certificate_not_renewed(days):
        "a certificate that a machine keeps has not been renewed, and ends within {days} days",
        "ein Zertifikat einer Maschine wurde nicht erneuert und läuft innerhalb von {days} Tagen ab";
    certificate_never_signed(hours):
        "an authority is asked for a certificate, and has not signed it within {hours} hours",
        "eine Zertifizierungsstelle hat ein angefordertes Zertifikat nach {hours} Stunden noch nicht signiert";
    backup_too_old():
        "a backup is overdue: the last one is older than one and a half times the longest time between two",
        "eine Datensicherung ist überfällig: Die letzte ist älter als das Anderthalbfache der längsten Zeit zwischen zweien";
    backup_older_than(hours):
        "the last backup is older than {hours} hours", "die letzte Datensicherung ist älter als {hours} Stunden";
    container_down(): "a container does not run", "ein Container läuft nicht";
    disk_nearly_full(path, percent): "{path} is more than {percent} % full", "{path} ist zu mehr als {percent} % voll";
    boot_not_blessed(): "the boot is not known to be good", "der Start gilt nicht als erfolgreich";
    clock_off(seconds):
        "a clock is not synchronized, or is off by more than {seconds} s",
        "eine Uhr ist nicht synchronisiert oder weicht um mehr als {seconds} s ab";
    sandboxes(): "Sandboxes", "Sandboxes";
    exposure(): "Exposure", "Exposition";
    exposure_about():
        "As rated by systemd-analyze security on the booted machine: 0 is closed, 10 is open.",
        "Bewertung durch systemd-analyze security auf der laufenden Maschine: 0 ist abgeschottet, 10 ist offen.";
    exposure_unknown():
        "How far each service is sandboxed is not known: it has not been measured.",
        "Wie weit die Dienste abgeschottet sind, ist nicht bekannt: Es wurde nicht gemessen.";
    exposure_of_containers():
        "podman creates namespaces, mounts and networks; the container itself has only declared capabilities and a read-only root",
        "podman legt Namensräume, Mounts und Netze an; der Container selbst hat nur genannte Capabilities und ein nur lesbares Root";
    exposure_of_sessions():
        "sessions inherit its sandbox and must be able to do what administrators do",
        "Sitzungen erben diese Sandbox und müssen tun können, was die Administration tut";
    hardening(): "Hardening", "Härtung";
    level(): "Level", "Stufe";
    kernel_values(): "Kernel parameters set", "Gesetzte Kernel-Parameter";
    blocked_modules(): "Blocked kernel modules", "Gesperrte Kernel-Module";
    setuid_programs(): "Programs that stay setuid", "Programme, die setuid bleiben";
    exception(): "Exception", "Ausnahme";
    concerns(): "For", "Betrifft";

    // Data.
    chapter_data(): "Where data lives", "Ablage der Daten";
    data_about():
        "The root file system cannot be changed. Everything that changes is below /var, on a partition of its own that outlives every update and rollback.",
        "Das Root-Dateisystem ist unveränderlich. Alles Veränderliche liegt unter /var auf einer eigenen Partition, die jedes Update und jedes Rollback übersteht.";
    state_same(): "partition on the system disk", "Partition auf der Systemdisk";
    state_own(): "on a disk of its own", "auf einer eigenen Disk";
    file_system(): "File system", "Dateisystem";
    encryption(): "Encryption", "Verschlüsselung";
    encrypted_tpm(): "LUKS2; the machine's TPM keeps the key", "LUKS2; den Schlüssel verwahrt das TPM der Maschine";
    least_size(): "Minimum size", "Mindestgröße";
    swap_file(): "Swap file", "Swap-Datei";
    swap_memory(): "Compressed swap in memory", "Komprimierter Swap im Arbeitsspeicher";
    kept_directories(): "Directories that are kept", "Dauerhafte Verzeichnisse";
    directory(): "Directory", "Verzeichnis";
    belongs_to(): "Belongs to", "Gehört zu";
    home_of(name): "home directory of {name}", "Home-Verzeichnis von {name}";
    mounts(): "Mounts", "Eingehängte Dateisysteme";
    machine_needs_it(): "the machine does not start without it", "für den Start der Maschine erforderlich";
    disk_with_label(label): "disk with the label {label}", "Disk mit dem Label {label}";
    disk_with_uuid(uuid): "disk with the UUID {uuid}", "Disk mit der UUID {uuid}";
    disk_with_serial(serial): "disk with the serial number {serial}", "Disk mit der Seriennummer {serial}";
    backup(): "Backup", "Datensicherung";
    backup_saves(): "What is saved", "Gesichert wird";
    backup_to(): "Where to (restic, encrypted)", "Wohin (restic, verschlüsselt)";
    backup_when(): "When", "Wann";
    backup_kept(): "How long", "Wie lange";
    backup_keeps(daily, weekly, monthly):
        "the last one of {daily} days, {weekly} weeks and {monthly} months",
        "die letzte von {daily} Tagen, {weekly} Wochen und {monthly} Monaten";
    backup_restore(): "Restoring the last one, and where to", "Die letzte zurückholen, und wohin";
    no_backup():
        "The profile declares no backup. Back up the disk that holds /var, and the disks mounted above, by other means.",
        "Das Profil deklariert keine Datensicherung. Die Disk mit /var und die oben eingehängten Disks müssen auf anderem Weg gesichert werden.";
    system_disk(): "The system disk", "Die Systemdisk";
    partition(): "Partition", "Partition";
    contents_of(): "Contents", "Inhalt";
    esp_about(): "boot loader, and kernel and initrd of each version", "Bootloader sowie Kernel und initrd jeder Version";
    root_slots(): "root A and B", "root A und B";
    root_slots_about(): "the root file system of two versions", "das Root-Dateisystem zweier Versionen";
    hash_slots(): "root A and B, verity", "root A und B, verity";
    hash_slots_about(): "their hash trees", "deren Hash-Bäume";
    twice(size): "2 × {size}", "2 × {size}";
    rest_of_disk(): "the rest of the disk", "der Rest der Disk";
    state_about(): "/var, created at the first boot", "/var, beim ersten Start angelegt";

    // Operation.
    chapter_operation(): "Operation", "Betrieb";
    operation_about():
        "Nothing is changed on the running machine. A change is a change of the profile, and the machine gets a new image as a whole. TARGET is the hypervisor's name in profiles/targets.toml.",
        "Auf der laufenden Maschine wird nichts geändert. Jede Änderung erfolgt im Profil, und die Maschine erhält als Ganzes ein neues Image. TARGET ist der Name des Hypervisors in profiles/targets.toml.";
    change_and_update(): "Change and update", "Ändern und aktualisieren";
    update_1(profile): "Change profiles/{profile}.toml if something is to be different, and raise its version.", "profiles/{profile}.toml anpassen, falls sich etwas ändern soll, und die Version erhöhen.";
    update_2(): "Take the current packages into the lock, and read the difference.", "Die aktuellen Pakete in das Lock übernehmen und die Unterschiede durchsehen.";
    update_3(): "Build and verify the image. Only an image that passed every check is deployed.", "Das Image bauen und verifizieren. Ausgerollt wird nur ein Image, das alle Prüfungen bestanden hat.";
    update_4(): "Look at the plan, deploy, and generate this document again. An image that does not become healthy is rolled back automatically.", "Den Plan ansehen, ausrollen und dieses Dokument neu erzeugen. Ein Image, das nicht fehlerfrei hochkommt, wird automatisch zurückgerollt.";
    same_disk_warning():
        "The commands for a hypervisor need state.disk = \"own\" in the profile; this machine keeps /var on the system disk, which a deployment would replace.",
        "Die Befehle für einen Hypervisor setzen state.disk = \"own\" im Profil voraus. Diese Maschine hält /var auf der Systemdisk, die beim Ausrollen ersetzt würde.";
    roll_back(): "Roll back", "Zurückrollen";
    roll_back_about(count):
        "The hypervisor keeps the last {count} system disks. A rollback needs one restart; /var stays as it is.",
        "Der Hypervisor bewahrt die letzten {count} Systemdisks auf. Ein Rollback braucht einen Neustart; /var bleibt unverändert.";
    when_network_is_gone(): "When the network is gone", "Wenn das Netz ausgefallen ist";
    console_about():
        "The hypervisor's console shows the boot and its errors. Nobody can log in there, because no account has a password.",
        "Die Konsole des Hypervisors zeigt den Start und dessen Fehlermeldungen. Eine Anmeldung ist dort nicht möglich, weil kein Konto ein Passwort hat.";
    by_config_drive():
        "Addresses can be corrected from outside: change them in the profile's instances and deploy again, which attaches a new signed config drive.",
        "Adressen lassen sich von außen korrigieren: in den Instanzen des Profils ändern und erneut ausrollen; dabei wird ein neues signiertes Konfigurationslaufwerk angeschlossen.";
    by_cloud_drive():
        "Addresses and keys can be changed on the hypervisor's cloud-init drive; they take effect at the next start.",
        "Adressen und Schlüssel lassen sich am Cloud-Init-Laufwerk des Hypervisors ändern; sie gelten ab dem nächsten Start.";
    by_root_credential():
        "If no administrator's key is at hand, start the machine with another key in the credential ",
        "Ist kein Schlüssel zur Hand, die Maschine mit einem anderen Schlüssel im folgenden Credential starten: ";
    by_rollback():
        "If it happened after an update, roll back. A new image that cannot start is replaced by the previous one automatically.",
        "Ist der Ausfall nach einem Update aufgetreten, zurückrollen. Ein neues Image, das nicht startet, wird automatisch durch das vorige ersetzt.";
    recovery_key():
        "If the TPM does not release the key of /var, the console asks for the recovery key, where one was created.",
        "Gibt das TPM den Schlüssel für /var nicht frei, fragt die Konsole nach dem Wiederherstellungsschlüssel, sofern einer angelegt wurde.";
    data_stays():
        "As a last resort, deploy the image to a new machine and attach the disk with /var to it: all data is there.",
        "Als letzte Möglichkeit das Image auf einer neuen Maschine ausrollen und die Disk mit /var dort anschließen: Auf ihr liegen alle Daten.";
    look_closer(): "Reproduce a problem", "Ein Problem nachstellen";
    run_about(): "This boots the same image on your own computer, with a root shell:", "So startet dasselbe Image auf dem eigenen Rechner, mit einer Root-Shell:";

    // Credentials.
    chapter_credentials(): "Credentials at boot", "Credentials beim Start";
    credentials_about():
        "Secrets are in no file of the image. The machine receives them from outside when it starts, as systemd credentials. These are their names.",
        "Geheimnisse stehen in keiner Datei des Images. Die Maschine erhält sie beim Start von außen als systemd-Credentials. Hier stehen ihre Namen.";
    no_credentials(): "This machine needs none.", "Diese Maschine braucht keine.";
    credential(): "Credential", "Credential";
    needed_by(): "Needed by", "Benötigt von";
    given_from(): "Where it comes from", "Herkunft";
    by_hypervisor(): "whoever starts the machine", "von der Stelle, die die Maschine startet";
    roots_keys(): "root's SSH keys", "SSH-Schlüssel von root";
    no_table_names_it(): "no table of the profile names it", "von keiner Tabelle des Profils genannt";
    environment_variable(name): "environment variable {name}", "Umgebungsvariable {name}";
    file(path): "file {path}", "Datei {path}";
    program(words): "program {words}", "Programm {words}";
    drive_signers(): "Keys that sign config drives", "Schlüssel, die Konfigurationslaufwerke signieren";
    cloud_drive(): "Accepts an unsigned cloud-init drive", "Akzeptiert ein unsigniertes Cloud-Init-Laufwerk";

    // Packages.
    chapter_packages(): "Packages", "Pakete";
    asked_for(): "Asked for", "Angefordert";
    release(): "Release", "Release";
    release_about(suite, components): "Debian {suite} with its updates and security updates: {components}", "Debian {suite} mit Updates und Sicherheitsupdates: {components}";
    further_archives(): "Further archives and files", "Weitere Archive und Dateien";
    excluded(): "Never installed", "Nie installiert";
    debconf(): "Answers to packages' questions", "Antworten auf Fragen der Pakete";
    with_documentation(): "Manuals unpacked", "Handbücher entpackt";
    packages_unknown(profile):
        "Versions are not known: there is no lock for this state of the profile. Run “diorite lock {profile}”.",
        "Die Versionen sind nicht bekannt: Es gibt kein Lock zu diesem Stand des Profils. Abhilfe: „diorite lock {profile}“.";
    release_files(): "State of the archives", "Stand der Archive";
    suite(): "Suite", "Suite";
    as_of(): "As of", "Stand";
    components(): "Components", "Komponenten";
    packages_of_machine(count): "The machine, packages: {count}", "Die Maschine, Pakete: {count}";
    packages_of_container(name, count): "Container {name}, packages: {count}", "Container {name}, Pakete: {count}";
    wheels_of_container(name, count): "Container {name}, wheels: {count}", "Container {name}, Wheels: {count}";
    of_wheel_index(): "index of wheels", "Wheel-Index";
    package(): "Package", "Paket";
    architecture(): "Architecture", "Architektur";
    origin(): "Origin", "Herkunft";
    beside_the_profile(): "file beside the profile", "Datei neben dem Profil";

    // Checks.
    chapter_checks(): "Evidence", "Nachweise";
    checks_about(profile):
        "The checks follow from the profile and are run on the booted image in a simulated network by “diorite verify {profile}”; report.html has every detail.",
        "Die Prüfungen ergeben sich aus dem Profil und werden von „diorite verify {profile}“ am gestarteten Image in einem simulierten Netz durchgeführt. Alle Einzelheiten stehen in report.html; die Prüfungen selbst sind auf Englisch beschrieben.";
    own_checks(): "Checks of the profile", "Prüfungen des Profils";
    all_checks(): "All checks", "Alle Prüfungen";
    check(): "Check", "Prüfung";
    what_was_seen(): "What was seen", "Beobachtung";
    verdict(): "Verdict", "Ergebnis";

    // Tables.
    chapter_tables(): "Where to change what", "Wo was zu ändern ist";
    tables_about(profile):
        "Everything above is declared in profiles/{profile}.toml and the profile it extends.",
        "Alles Obige ist in profiles/{profile}.toml und dem Profil deklariert, auf dem es aufbaut.";
    table_of_profile(): "Table of the profile", "Tabelle des Profils";
    chapter(): "Chapter", "Kapitel";
}

impl Language {
    /// Why a report does not count, as the end of [`Language::nothing_measured`].
    pub(crate) fn refusal(self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::Schema(_) | Refusal::NoPlan => self.why_schema(),
            Refusal::OtherDisk(_) => self.why_other_disk(),
            Refusal::OtherRecipe => self.why_other_recipe(),
            Refusal::OtherPlan => self.why_other_plan(),
            // These are about the image, and shown.
            Refusal::Ended(_) | Refusal::Partial | Refusal::NotPassed(_) => self.only_some_checks(),
        }
    }

    /// Where a secret's value is.
    pub(crate) fn source_of(self, source: &SecretSource) -> String {
        match source {
            SecretSource::Environment(name) => self.environment_variable(name),
            SecretSource::File(path) => self.file(path.display()),
            SecretSource::Command(words) => self.program(words.join(" ")),
        }
    }
}
