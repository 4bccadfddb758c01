#!/bin/sh
# Keeps a certificate and its key: those of a credential, else self-signed ones, made again when a third of their days is
# left, when the names are others, or when a clock that was ahead has made them too young.
# certificate DIRECTORY UID:GID CREDENTIAL DAYS METRICS NAME SAN...
# CREDENTIAL below /var/lib/diorite/acme is what an authority signs: since when it has not, is kept in `unsigned`.
set -eu
directory=$1 owner=$2 given=$3 days=$4 metrics=$5 name=$6
shift 6
names=$(printf '%s,' "$@")
names=${names%,}
old=$directory/certificate.pem
new=$directory/.new
seconds() { date -d "$(openssl x509 -in "$old" -noout "-$1" | cut -d= -f2)" +%s; }
same() { [ "$(openssl x509 -in "$1" -noout -pubkey)" = "$(openssl pkey -in "$2" -pubout)" ]; }

# Whether what is there can stay.
good() {
    [ -s "$old" ] && same "$old" "$directory/key.pem" || return 1
    [ "$kind" = self-signed ] || { cmp -s "$old" "$new/certificate.pem"; return; }
    [ "$(cat "$directory/names" 2>/dev/null)" = "$names" ] || return 1
    openssl x509 -in "$old" -noout -checkend $((days * 86400 / 3)) >/dev/null || return 1
    [ "$(seconds startdate)" -le "$(date +%s)" ]
}

rm -rf "$new"
mkdir -m 0700 "$new"
kind=self-signed
if [ -s "$given" ]; then
    sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' "$given" >"$new/certificate.pem"
    if openssl pkey -in "$given" -out "$new/key.pem" && same "$new/certificate.pem" "$new/key.pem"; then
        kind=given
    else
        echo "<3>certificate $name: the credential does not hold a certificate and its key in PEM; a self-signed one serves" >&2
    fi
fi
case $kind:$given in
self-signed:/var/lib/diorite/acme/*) [ -e "$directory/unsigned" ] || : >"$directory/unsigned" ;;
*) rm -f "$directory/unsigned" ;;
esac
if ! good; then
    if [ $kind = self-signed ]; then
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days "$days" -config - \
            -keyout "$new/key.pem" -out "$new/certificate.pem" 2>/dev/null <<CONFIG
[req]
prompt = no
distinguished_name = subject
x509_extensions = server
[subject]
commonName = $name
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = $names
CONFIG
        printf '%s' "$names" >"$directory/names"
    else
        rm -f "$directory/names"
    fi
    chmod 0444 "$new/certificate.pem"
    chmod 0400 "$new/key.pem"
    chown "$owner" "$new/certificate.pem" "$new/key.pem"
    sync "$new/certificate.pem" "$new/key.pem"
    # Two that do not belong together, after a power cut in between, are not good, and made again.
    mv "$new/key.pem" "$directory/key.pem"
    mv "$new/certificate.pem" "$old"
    echo "certificate $name: a new one, $kind, until $(date -u -d "@$(seconds enddate)" +%F)"
fi
rm -rf "$new"
[ -z "$metrics" ] || {
    begin=$(seconds startdate)
    end=$(seconds enddate)
    self=$([ $kind = given ] && echo 0 || echo 1)
    printf 'diorite_certificate_%s{name="%s"} %s\n' not_before_seconds "$name" "$begin" \
        not_after_seconds "$name" "$end" self_signed "$name" "$self" >"$metrics/.certificate-$name"
    [ ! -e "$directory/unsigned" ] || printf 'diorite_certificate_unsigned_since_seconds{name="%s"} %s\n' "$name" \
        "$(stat -c %Y "$directory/unsigned")" >>"$metrics/.certificate-$name"
    chmod 0644 "$metrics/.certificate-$name"
    mv "$metrics/.certificate-$name" "$metrics/certificate-$name.prom"
}
