# The files of a cloud-init drive, in exactly the form that Proxmox VE gives them (qemu-server, Cloudinit.pm), as
# credentials in the folder `made`: one file each. Every value has a form of its own; what is in no form ends it.
# Before those files comes what the image says: people, and settings of its links (nocloud.rs).

function refuse(what) {
    print "<3>config drive: " device ": " what "; put the cloud-init drive right, or detach it"
    refused = 1
    exit 1
}
function wrong(what) { refuse(FILENAME ", line " FNR ": " what) }
# Quotes around a value; what forms allow needs no escapes inside of them.
function plain(value) { return value ~ /^'[^']*'$/ || value ~ /^"[^"]*"$/ ? substr(value, 2, length(value) - 2) : value }
function behind(text, mark) { return plain(substr(text, index(text, mark) + length(mark))) }
function once(key) { if (seen[FILENAME, key]++) wrong(key " is said twice") }
function unused(what) { if (!listed[what]++) leftover = leftover (leftover == "" ? "" : ", ") what }
function keep(name, text) { printf "%s", text > ("made/" name); close("made/" name) }

function domain(text,    part, n, i) {
    n = split(text, part, ".")
    for (i = 1; i <= n; i++)
        if (part[i] !~ /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/ || length(part[i]) > 63) return 0
    return n > 0 && length(text) <= 253
}
function ipv4(text,    part, n, i) {
    n = split(text, part, ".")
    for (i = 1; i <= n; i++)
        if (part[i] !~ /^(0|[1-9][0-9]?[0-9]?)$/ || part[i] + 0 > 255) return 0
    return n == 4
}
# Groups of an IPv6 address, or of a part of one; more than there can be if one of them is none.
function groups(text,    part, n, i) {
    n = split(text, part, ":")
    for (i = 1; i <= n; i++)
        if (part[i] !~ /^[0-9a-f][0-9a-f]?[0-9a-f]?[0-9a-f]?$/) return 9
    return n
}
function ipv6(text,    half, n) {
    n = split(text, half, "::")
    if (n == 1) return groups(text) == 8
    return n == 2 && groups(half[1]) + groups(half[2]) < 8
}
# What a card may have: not unspecified, no loopback, no multicast.
function single4(text,    first) { first = text + 0; return ipv4(text) && first > 0 && first != 127 && first < 224 }
function single6(text) { return ipv6(text) && text !~ /^[0:]*1?$/ && text !~ /^ff/ }
# Bits of a netmask; 0 if it is none.
function prefix(mask,    part, i, bits, rest) {
    if (!ipv4(mask)) return 0
    split(mask, part, ".")
    for (i = 1; i <= 4; i++) {
        if (rest && part[i] > 0) return 0
        if (!(part[i] in ones)) return 0
        bits += ones[part[i]]
        rest = rest || part[i] < 255
    }
    return bits
}

BEGIN {
    split("0 128 192 224 240 248 252 254 255", byte, " ")
    for (bits = 1; bits <= 9; bits++) ones[byte[bits]] = bits - 1
    split("ssh-ed25519 sk-ssh-ed25519@openssh.com ecdsa-sha2-nistp256 ecdsa-sha2-nistp384 ecdsa-sha2-nistp521 " \
        "sk-ecdsa-sha2-nistp256@openssh.com ssh-rsa", all, " ")
    for (i in all) types[all[i]]
}

# What the image says.
FILENAME ~ /^\// {
    rest = substr($0, length($1) + 2)
    if ($1 == "person") { people[rest]; names = names " " rest }
    else if ($1 == "default") usual = rest
    else if ($1 == "link") { link = rest; links[link] }
    else setting[link, $1] = setting[link, $1] rest "\n"
    next
}

{ files[FILENAME] }

FILENAME == "meta-data" {
    if ($0 !~ /^instance-id: /) unused("meta-data beside instance-id")
    next
}

FILENAME == "vendor-data" { unused("vendor-data"); next }

# user-data: keys at the start of a line; what is indented, or an entry of a list, belongs to the key above.
FILENAME == "user-data" && FNR == 1 {
    if ($0 != "#cloud-config") wrong("it does not begin with #cloud-config")
    next
}
FILENAME == "user-data" && (/^ *$/ || /^ *#/) { next }
FILENAME == "user-data" && /^[A-Za-z_][A-Za-z0-9_-]*:( |$)/ {
    key = substr($0, 1, index($0, ":") - 1)
    value = $0 ~ /: / ? behind($0, ": ") : ""
    once(key)
    if (key == "hostname" || key == "fqdn") {
        value = tolower(value)
        if (!domain(value) || length(value) > 64 || value !~ /[a-z]/) wrong(key " is no host name: " substr(value, 1, 64))
        said[key] = value
    } else if (key == "user") {
        if (value !~ /^[a-z_][a-z0-9_-]*$/ || length(value) > 32) wrong("user is no login name: " substr(value, 1, 32))
        user = value
    } else if (key == "ssh_authorized_keys") {
        if (value != "") wrong("ssh_authorized_keys is no list with an entry on each line")
    } else unused(key)
    next
}
FILENAME == "user-data" && key == "ssh_authorized_keys" && /^ *- / {
    entry = $0
    sub(/^ *- +/, "", entry)
    n = split(plain(entry), word, " ")
    if (!(word[1] in types)) wrong("this is no SSH key of a type that is taken, without options in front of it")
    if (word[2] !~ /^AAAA[A-Za-z0-9+\/]+=?=?$/ || length(word[2]) > 8192) wrong("this SSH key is none")
    # Without its comment, which may be anything.
    keys = keys word[1] " " word[2] "\n"
    keycount++
    next
}
FILENAME == "user-data" && /^[ -]/ && key != "" && $0 !~ /^---/ && !(key in said) && key != "user" && \
    key != "ssh_authorized_keys" { next }
FILENAME == "user-data" { wrong("this image does not know what this line means") }

# network-config, version 1: by indentation, as it is written by Proxmox VE.
FNR == 1 && $0 != "version: 1" { wrong("only network configuration of version 1 is known, as Proxmox VE writes it") }
FNR == 2 && $0 != "config:" { wrong("this image does not know what this line means") }
FNR <= 2 { next }
/^    - type: physical$/ { place = "card"; cards++; next }
/^    - type: nameserver$/ { once("nameserver"); place = "servers"; list = ""; next }
/^    - type: / { wrong("this image knows no link of this type: " substr(behind($0, "type: "), 1, 32)) }
place == "card" && /^      name: / {
    once("name of card " cards)
    name[cards] = behind($0, "name: ")
    if (name[cards] !~ /^eth[0-9][0-9]?$/) wrong("this is no name that Proxmox VE gives a card")
    once("card " name[cards])
    next
}
place == "card" && /^      mac_address: / {
    once("mac_address of card " cards)
    mac[cards] = tolower(behind($0, "mac_address: "))
    if (mac[cards] !~ /^[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]$/)
        wrong("this is no hardware address")
    once("card " mac[cards])
    next
}
place == "card" && /^      subnets:$/ { place = "subnets"; kind = ""; next }
place == "subnets" && /^      - type: / {
    kind = behind($0, "type: ")
    if (kind !~ /^(dhcp4|static|dhcp6|ipv6_slaac|static6)$/) wrong("this image knows no addresses of this type: " substr(kind, 1, 32))
    family = kind == "dhcp4" || kind == "static" ? 4 : 6
    once("IPv" family " of card " cards)
    how[cards, family] = kind
    next
}
place == "subnets" && kind ~ /^static/ && /^        (address|netmask|gateway): / {
    what = $1
    sub(/:$/, "", what)
    value = tolower(behind($0, ": "))
    once(what " of IPv" family " of card " cards)
    if (what == "netmask") {
        if (kind != "static" || !prefix(value)) wrong("this is no netmask: " substr(value, 1, 64))
        bits4[cards] = prefix(value)
        next
    }
    bare = value
    if (what == "address" && family == 6) {
        bits = bare
        sub(/^[^\/]*\//, "", bits)
        if (bare !~ /\// || bits !~ /^[1-9][0-9]?[0-9]?$/ || bits + 0 > 128) wrong("this is no address with a prefix length")
        sub(/\/.*/, "", bare)
    }
    if (!(family == 4 ? single4(bare) : single6(bare))) wrong("this is no IPv" family " " what " of a card: " substr(value, 1, 64))
    if (what == "address") address[cards, family] = value
    else gateway[cards, family] = value
    next
}
place == "servers" && /^      (address|search):$/ {
    list = $1
    once(list)
    next
}
place == "servers" && list == "address:" && /^      - / {
    value = tolower(behind($0, "- "))
    if (!ipv4(value) && !ipv6(value)) wrong("this is no address of a name server: " substr(value, 1, 64))
    servers = servers "DNS=" value "\n"
    next
}
place == "servers" && list == "search:" && /^      - / {
    value = tolower(behind($0, "- "))
    if (!domain(value)) wrong("this is no domain: " substr(value, 1, 64))
    domains = domains "Domains=" value "\n"
    next
}
{ wrong("this image does not know what this line means") }

# The .network file of a card: what the drive says, and what the image says of the link that takes it.
function network(card,    link, text, four, six) {
    link = mac[card] in links ? mac[card] : "*"
    if (!(link in links)) refuse("the image has no link that takes card " name[card] " " mac[card])
    four = how[card, 4]
    six = how[card, 6]
    text = "[Match]\nMACAddress=" mac[card] "\nKind=!*\n\n[Network]\nDHCP="
    text = text (four == "dhcp4" ? (six == "dhcp6" ? "yes" : "ipv4") : (six == "dhcp6" ? "ipv6" : "no"))
    text = text "\nIPv6AcceptRA=" (six == "dhcp6" || six == "ipv6_slaac" ? "yes" : "no") "\n"
    if (four == "static") text = text "Address=" address[card, 4] "/" bits4[card] "\n"
    if (six == "static6") text = text "Address=" address[card, 6] "\n"
    if (six == "dhcp6") text = text "[DHCPv6]\nWithoutRA=solicit\n"
    if (six == "ipv6_slaac") text = text "[IPv6AcceptRA]\nDHCPv6Client=no\n"
    for (family = 4; family <= 6; family += 2)
        if ((card, family) in gateway) text = text setting[link, "gateway"] "Gateway=" gateway[card, family] "\n"
    if (servers != "")
        text = text "[Network]\n" servers "[DHCPv4]\nUseDNS=no\n[DHCPv6]\nUseDNS=no\n[IPv6AcceptRA]\nUseDNS=no\n"
    else text = text setting[link, "servers"]
    text = text (domains != "" ? "[Network]\n" domains : setting[link, "search"])
    return text setting[link, "always"]
}

END {
    if (refused) exit 1
    for (i = 1; i <= split("meta-data user-data network-config", needed, " "); i++)
        if (!(needed[i] in files)) refuse(needed[i] " is empty")
    if (!("hostname" in said)) refuse("user-data says no hostname: this machine would have the image's own")
    if ("fqdn" in said && index(said["fqdn"] ".", said["hostname"] ".") != 1) refuse("fqdn does not begin with hostname")
    for (card = 1; card <= cards; card++) {
        what = "network-config, card " card
        if (!(card in name) || !(card in mac)) refuse(what " has no name or no mac_address")
        if (!((card, 4) in how) && !((card, 6) in how)) refuse(what " says nothing about addresses")
        if (how[card, 4] == "static" && (!((card, 4) in address) || !(card in bits4))) refuse(what " has no IPv4 address or netmask")
        if (how[card, 6] == "static6" && !((card, 6) in address)) refuse(what " has no IPv6 address")
        keep("network.network.000-" name[card], network(card))
    }
    if (!cards && (servers != "" || domains != "")) unused("nameserver, as no card is named")
    keep("system.hostname", said["hostname"])
    whose = user == "" ? usual : user
    text = ""
    if (keys == "") { if (user != "") unused("user, as there is no key") }
    else if (whose in people) {
        keep("ssh.authorized_keys." whose, keys)
        text = "; SSH keys for " whose ": " keycount
    } else print "<3>config drive: " device ": nobody gets its SSH keys: " (whose == "" ? "it names no user" : whose " may not log in to this image") \
        "; set the user to one of those who may:" (names == "" ? " there is nobody" : names)
    print "<5>config drive: " device ", which nobody has signed, says what this machine is: " said["hostname"] "; cards: " cards + 0 text
    if (leftover != "") print "<6>config drive: " device ": not used: " leftover
}
