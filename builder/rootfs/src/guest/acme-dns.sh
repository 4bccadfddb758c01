#!/bin/sh
# Shows an authority by a record in the DNS (RFC 8555 §8.4) that a name is the machine's: uacme(1) calls this program. The record is
# added and deleted by dynamic updates (RFC 2136) that a key signs (RFC 8945); a list of those that are there is on state.
# acme-dns begin|done|failed TYPE NAME TOKEN ANSWER
# acme-dns clean: deletes what an interrupted run has left
# Environment: ACME_DNS_SERVERS, where updates go, then other servers of the zone; ACME_DNS_ZONE; ACME_DNS_KEY, ALGORITHM:NAME.
set -eu
records=$STATE_DIRECTORY/records server=${ACME_DNS_SERVERS%% *} said=
warn() { echo "<4>$*" >&2; }

# update add|delete NAME TTL ANSWER
update() {
    secret=$(tr -d ' \t\r\n' <"$CREDENTIALS_DIRECTORY/tsig")
    case $secret in '' | *[!A-Za-z0-9+/=]*) warn "the credential with the key ${ACME_DNS_KEY#*:} is not base64" && return 1 ;; esac
    said=$(printf '%s\n' "server $server" "zone $ACME_DNS_ZONE." "key $ACME_DNS_KEY $secret" \
        "update $1 _acme-challenge.$2. $3 TXT \"$4\"" send | knsupdate --tcp --timeout 20 2>&1) && return
    why=$(echo "$said" | sed -n 's/^;; ERROR: //p; s/.* \(status: [A-Z]*\);.*/\1/p' | tr '\n' ' ')
    warn "$server did not $1 _acme-challenge.$2 (zone $ACME_DNS_ZONE, key $ACME_DNS_KEY): ${why:-$said}"
    return 1
}
# delete FILE
delete() { [ ! -e "$1" ] || { read -r name answer <"$1" && update delete "$name" '' "$answer" && rm "$1"; }; }
# Whether every server has it; `behind` is one that has not.
seen() {
    for behind in $ACME_DNS_SERVERS; do
        kdig +short +tcp +norecurse +retry=0 +timeout=5 "@$behind" TXT "_acme-challenge.$1." 2>/dev/null |
            grep -Fqx -e "\"$2\"" || return
    done
}

[ "$1" != clean ] || { for record in "$records"/*; do delete "$record" || break; done; exit; }
[ "$2" = dns-01 ] || exit 1
case $3:$4:$5 in *[!A-Za-z0-9.:_-]*) exit 1 ;; esac
record=$records/$4
[ "$1" = begin ] || { delete "$record" || true; exit; }
mkdir -p "$records"
echo "$3 $5" >"$record"
sync "$record"
# It may be kept by nobody: the next challenge of the same name has another answer.
update add "$3" 0 "$5" || {
    # Only where no answer came, it may be there.
    case $said in *'failed to receive'*) ;; *) rm "$record" ;; esac
    exit 1
}
end=$(($(date +%s) + 120))
until seen "$3" "$5"; do
    [ "$(date +%s)" -lt $end ] || { warn "$behind does not show _acme-challenge.$3" && delete "$record"; exit 1; }
    sleep 1
done
