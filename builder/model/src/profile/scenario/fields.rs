//! The declaration of the scenario language: every key, what it holds, its default and its meaning.

use crate::profile::{field::*, values};
use crate::tables::{firewall::parts::protocol, verify::read as verify};

/// The whole file.
pub const SCENARIO: &[Field] = &[
    text("about", &values::PROSE, "what it proves, in a sentence").needed(),
    integer("seed", 0, 4_294_967_295, "seed of all randomness in the lab").or_number(0),
    named(
        "segments",
        &values::NAME,
        SEGMENT,
        "networks; on each the lab has a host that is router, DHCP, DNS and NTP server",
    ),
    named("machines", &values::NAME, MACHINE, "machines, each with a firmware UUID and hardware addresses of its own"),
    named("peers", &values::NAME, PEER, "servers on the lab's hosts"),
    tables("step", STEP, "the timeline: done one after the other, each of one kind; the first that fails ends it"),
];

const SEGMENT: &[Field] = &[
    integer("vlan", 1, 4094, "its number on a trunk"),
    text("ipv4", &values::ADDRESS, "the lab's host, with the prefix length")
        .or_said("10.77.N.1/24, N the place of its name among all, from 1"),
    text("ipv6", &values::ADDRESS, "the lab's host in the announced /64").or_said("2001:db8:77:N::1/64"),
    text("lease", &values::SPAN, "how long a lease lasts").or_text("1h"),
    text("gateway", &values::IPV4, "default gateway announced in leases").or_said("the lab's host"),
    texts("routed", &values::NAME, "segments to which the lab's router forwards, both ways"),
];

const MACHINE: &[Field] = &[
    text("profile", &values::BUILT_PROFILE, "its disk is what `diorite build` left of this profile"),
    text("disk", &values::RELATIVE_PATH, "or a raw disk"),
    text("recipe", &values::RELATIVE_PATH, "with the profile or recipe.json it was made from"),
    words(
        "segments",
        &values::NAME,
        "where its cards are plugged in, in their order: a segment's name, or `trunk` for every segment with a VLAN",
    )
    .needed(),
    integer("memory", 192, 65_536, "MiB").or_number(1024),
    integer("cpus", 1, 16, "processors").or_number(2),
    boolean("tpm", "it has a TPM, also where its image asks for none").or(false),
    integer("count", 1, 100, "how many there are, for the step `clones`").or_number(1),
];

const PEER: &[Field] = &[
    text("segment", &values::NAME, "on whose host it listens").needed(),
    port("port", "where it listens").needed(),
    text("http", &values::PROSE, "it answers every path with this text"),
    text(
        "certificate",
        &values::RELATIVE_PATH,
        "it does so through TLS: its certificate and what leads to its authority, in PEM",
    ),
    text("key", &values::RELATIVE_PATH, "and the certificate's private key, in PEM"),
    boolean("syslog", "it takes syslog messages, over UDP and TCP"),
    boolean("smtp", "it takes mail (RFC 5321), without encryption"),
    table(
        "fortinet",
        FORTINET,
        "it lets machines into another segment as the SSL VPN of a FortiGate does; needs `certificate` and `key`",
    ),
];

const FORTINET: &[Field] = &[
    text("inside", &values::NAME, "the segment behind it, of which each machine that is let in gets an address")
        .needed(),
    text("user", &values::MAIL_USER, "the account that may come in").needed(),
    text(
        "credential",
        &values::CREDENTIAL,
        "its password: what the image's credential of this name holds in a scenario",
    )
    .needed(),
];

/// One step.
pub const STEP: &[Field] = &[
    text("name", &values::PROSE, "for people").or_said("its kind and what it is about"),
    text("on", &values::NAME, "the machine it is about"),
    text("at", &values::NAME, "the segment it is about"),
    text("from", &values::NAME, "the segment or machine it is asked from").or_said(
        "the first segment of the machine for `port`, `http`, `metric`, `ping`, `scan` and `flood`, else the machine itself",
    ),
    text("retry", &values::SPAN, "how long the check is retried until it passes; on a slow host longer, in proportion").or_text("5s"),
    boolean("wait", "instead, retry as long as there is activity in the machine or on the network").or(false),
    boolean("not", "of what is asked: it must not be so, nor become so while it is asked again").or(false),
    table("boot", BOOT, "machines are switched on"),
    table("restart", RESTART, "a machine starts anew"),
    table("power_off", POWER_OFF, "machines are switched off by their power button"),
    table("replace", REPLACE, "a machine that is off gets a new system disk, as an update by a hypervisor does, and keeps its other disks"),
    table("port", verify::PORT, "a port's answer"),
    table("http", verify::HTTP, "a page over HTTP"),
    table("dns", verify::DNS, "a name's addresses, as the machine finds them"),
    table("unit", verify::UNIT, "a unit of systemd"),
    table("file", verify::FILE, "a file or directory"),
    table("command", verify::COMMAND, "a command, run without a shell"),
    table("metric", verify::METRIC, "a sample in Prometheus' text format"),
    table("container", verify::CONTAINER, "a container of the profile"),
    table("process", verify::PROCESS, "a process"),
    table("sysctl", verify::SYSCTL, "a value of the kernel"),
    table("user", verify::USER, "an account"),
    table("package", verify::PACKAGE, "a Debian package"),
    table("ping", PING, "an echo request"),
    table("lease", LEASE, "the machine has a lease of the lab's DHCP server"),
    table("link", LINK, "the cable gets these faults, both ways, and no others; with nothing said it is whole again"),
    table("carrier", CARRIER, "the cable is pulled out or plugged in, and the card sees it"),
    table("serve_dhcp", DHCP, "how the DHCP server behaves from now on"),
    table("serve_dns", NAME_SERVER, "how the name server behaves from now on"),
    table("serve_ntp", TIME_SERVER, "how the time server behaves from now on"),
    table("serve_peer", PEER_SERVER, "whether a peer is there from now on"),
    table("fill", FILL, "a file system is filled until nothing more fits"),
    table("flood", FLOOD, "the lab floods the machine with frames"),
    table("scan", SCAN, "every port is asked; those that are not named must not be open, nor closed where the filter drops"),
    table("identity", IDENTITY, "machines are compared, with each other or with themselves earlier"),
    table("clones", CLONES, "all `count` machines are booted, as many at a time as there is memory for, and compared"),
    table("heard", HEARD, "a peer has heard from the machine"),
    table("sent", SENT, "what the machine has sent since the beginning: `busiest` or `to`"),
];

const UNTIL: &[(&str, &str)] = &[
    ("running", "systemd says `running`: every job is done, no unit has failed"),
    ("shell", "the shell that the lab brings in answers"),
    ("started", "not at all"),
];
const BOOT: &[Field] = &[
    texts("machines", &values::NAME, "which").or_said("`on`, else all that have a part in other steps"),
    choice("until", UNTIL, "how far they are waited for").or_text("running"),
    integer("restarts", 0, 10, "how often each restarts by itself before, as one whose new image is not healthy does")
        .or_number(0),
];
const RESTART: &[Field] = &[
    choice(
        "how",
        &[
            ("reboot", "`systemctl reboot`"),
            ("reset", "the reset button: nothing is written any more"),
            ("power-cycle", "the power button, and on again"),
        ],
        "how",
    )
    .or_text("reboot"),
    integer("times", 1, 100, "how often, one after the other").or_number(1),
    choice("until", UNTIL, "how far it is waited for").or_text("running"),
];
const POWER_OFF: &[Field] = &[texts("machines", &values::NAME, "which").or_said("`on`")];
const REPLACE: &[Field] = &[
    text("image", &values::NAME, "the machine whose image is on it").or_said("its own, as it was built"),
    choice("state", STATE, "its state disk").or_text("kept"),
];
const STATE: &[(&str, &str)] = &[("kept", "the one it had"), ("empty", "a new one with nothing on it")];
const FAMILY: Field = choice("family", verify::FAMILIES, "in which family").or_text("ipv4");
const PING: &[Field] = &[FAMILY, boolean("answered", "it is answered").or(true)];
const LEASE: &[Field] =
    &[integer("renewals", 0, 1000, "it is acknowledged so many times more than when the step begins").or_number(0)];
const CARD: Field = integer("card", 1, 16, "which card").or_number(1);
const LINK: &[Field] = &[
    CARD,
    integer("loss", 0, 100, "percent of frames that are lost").or_number(0),
    integer("duplicate", 0, 100, "percent that arrive twice").or_number(0),
    integer("corrupt", 0, 100, "percent in which a bit is turned").or_number(0),
    integer("delay_ms", 0, 60_000, "each is so late").or_number(0),
    integer("jitter_ms", 0, 60_000, "and so much more at most, by chance").or_number(0),
    boolean("reorder", "one may overtake another that is later by jitter").or(false),
    boolean("cut", "nothing arrives; the card still has its carrier").or(false),
    integer("mtu", 68, 9000, "longer packets are lost"),
];
const CARRIER: &[Field] = &[CARD, boolean("up", "plugged in").needed()];
const MODES: &[(&str, &str)] =
    &[("good", "as its specification says"), ("silent", "it never answers"), ("malformed", "its answers are damaged")];
const DHCP: &[Field] = &[
    choice(
        "mode",
        &[
            ("good", "as its specification says"),
            ("silent", "it never answers"),
            ("malformed", "its answers are damaged"),
            ("refusing", "it refuses every request"),
        ],
        "how it behaves",
    )
    .or_text("good"),
    text("lease", &values::SPAN, "how long a lease lasts from now on"),
];
const NAME_SERVER: &[Field] = &[
    choice("mode", MODES, "how it behaves").or_text("good"),
    integer("delay_ms", 0, 60_000, "every answer comes so late").or_number(0),
    boolean("truncate", "over UDP it only says that the answer is too long").or(false),
    named("names", &values::DOMAIN, SAYS, "what it says of names; by itself it knows `router.lab.test` alone"),
];
const SAYS: &[Field] = &[
    texts("addresses", &values::IP, "its addresses"),
    choice(
        "says",
        &[
            ("addresses", "these addresses"),
            ("missing", "that it does not exist"),
            ("failure", "that the server fails"),
            ("silence", "nothing"),
            ("other-query", "these addresses, in an answer to another query"),
            ("other-name", "these addresses, in an answer about another name"),
        ],
        "what is said",
    )
    .or_text("addresses"),
];
const TIME_SERVER: &[Field] = &[
    choice("mode", MODES, "how it behaves").or_text("good"),
    integer("ahead", -3_000_000_000, 3_000_000_000, "seconds by which its clock is ahead").or_number(0),
    boolean("synchronised", "it says that it may be believed").or(true),
];
const PEER_SERVER: &[Field] = &[
    text("peer", &values::NAME, "which peer").needed(),
    choice(
        "mode",
        &[("good", "it takes connections"), ("away", "its connections are broken off, and further ones refused")],
        "how it behaves",
    )
    .or_text("good"),
];
const FILL: &[Field] = &[
    text("path", &values::FILE_PATH, "a directory on it").or_text("/var/tmp"),
    boolean("free", "take away again what filled it").or(false),
];
const FLOOD: &[Field] = &[
    choice(
        "wave",
        &[
            ("syn", "SYNs to a port, from addresses that nobody has"),
            ("udp", "datagrams to a port"),
            ("malformed", "frames that contradict themselves"),
        ],
        "with what",
    )
    .or_text("syn"),
    port("port", "to which port").or_number(22),
    integer("frames", 1, 1_000_000, "how many frames").or_number(20_000),
    integer("rate", 1, 100_000, "how many in a second").or_number(4000),
];
const SCAN: &[Field] = &[
    FAMILY,
    protocol("protocol"),
    ports("open", "ports that must be open"),
    ports("maybe", "ports that may answer as they like"),
    words("meanwhile", &values::CHURN, "what happens in the machine over and over meanwhile"),
];
const IDENTITY: &[Field] = &[
    texts("machines", &values::NAME, "which").or_said("`on`"),
    texts("differ", &values::TRAIT, "what no two share"),
    texts("same", &values::TRAIT, "what all share"),
    boolean("earlier", "each is compared with itself at its last such step").or(false),
];
const CLONES: &[Field] =
    &[texts("differ", &values::TRAIT, "what no two share"), texts("same", &values::TRAIT, "what all share")];
const HEARD: &[Field] = &[
    text("peer", &values::NAME, "which peer").needed(),
    text("contains", &values::NEEDLE, "a text in what it said").needed(),
];
const SENT: &[Field] = &[
    integer("busiest", 1, 1_000_000, "frames in its busiest second, at least"),
    text("to", &values::NETWORK, "instead: anything to this network, on one of its cables, since the scenario began"),
];
