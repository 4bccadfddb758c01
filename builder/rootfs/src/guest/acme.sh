#!/bin/sh
# Has an authority sign a certificate (RFC 8555) by uacme(1), which calls HOOK for its challenges.
# acme STATE AUTHORITY EMAIL HOOK NAME...
set -eu
state=$1 authority=$2 email=$3 hook=$4
shift 4
# uacme keeps what is signed by the first name, without `*.`.
kept=${1#\*.}
signed=$state/$kept/cert.pem
ask() { uacme --confdir "$state" --acme-url "$authority" --hook "$hook" --yes --type EC "$@"; }
seconds() { date -d "$(openssl x509 -in "$signed" -noout "-$1" | cut -d= -f2)" +%s; }
# Whoever watches the machine sees it by the end of the certificate, and by its being self-signed.
later() {
    echo "<4>certificate of $1: $authority $2; it is asked again" >&2
    exit 0
}

# An account of another authority, or one of which only the key was written, is none.
if [ "$(cat "$state/account" 2>/dev/null)" != "$authority" ]; then
    ask new ${email:+"$email"} || ask update ${email:+"$email"} || later "$1" "gives no account"
    printf '%s' "$authority" >"$state/account"
    # What another authority has signed is asked for again.
    rm -rf "${state:?}/$kept"
fi
# Where the authority does not say when: when a third of the days is left.
days=30
[ ! -s "$signed" ] || days=$((($(seconds enddate) - $(seconds startdate)) / 86400 / 3))
ask --days $((days < 1 ? 1 : days)) issue "$@" || [ $? = 1 ] || later "$1" "signs nothing"
cat "$signed" "$state/private/$kept/key.pem" >"$state/given.new"
if cmp -s "$state/given.new" "$state/given.pem"; then
    rm "$state/given.new"
else
    sync "$state/given.new"
    mv "$state/given.new" "$state/given.pem"
    echo "certificate of $1: signed by $authority"
fi
