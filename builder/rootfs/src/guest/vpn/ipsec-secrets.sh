#!/bin/sh
# Makes of a tunnel's credentials what swanctl(8) loads. A tunnel that lacks one is not loaded, and the others are.
# ipsec-secrets TUNNEL (psk | password | certificate | key)...
set -eu
umask 077
tunnel=$1
shift
config=$RUNTIME_DIRECTORY/$tunnel.conf
rm -f "$config"

refuse() {
    echo "<3>tunnel $tunnel: the credential vpn.$1.$tunnel $2" >&2
    exit 1
}

# A shared secret in Base64, so that no character of it means anything; the line's end is not part of it.
secret() {
    printf '    secret = 0s%s\n' "$(printf %s "$(cat "$CREDENTIALS_DIRECTORY/$1")" | base64 -w 0)"
}

mkdir -p "$RUNTIME_DIRECTORY/private"
{
    echo "include /etc/swanctl/tunnels/$tunnel.conf"
    echo "secrets {"
    for kind; do
        file=$CREDENTIALS_DIRECTORY/$kind
        [ -s "$file" ] || refuse "$kind" "is missing"
        case $kind in
        psk) printf '  ike-%s {\n' "$tunnel" && secret psk && echo "  }" ;;
        password) printf '  eap-%s {\n' "$tunnel" && secret password && echo "  }" ;;
        certificate)
            grep -q -e '^-----BEGIN CERTIFICATE-----' "$file" || refuse certificate "is not a certificate in PEM"
            cp "$file" "$RUNTIME_DIRECTORY/$tunnel.crt"
            ;;
        key)
            grep -q -e '^-----BEGIN .*PRIVATE KEY' "$file" || refuse key "is not a private key in PEM"
            ! grep -q -e 'ENCRYPTED' "$file" || refuse key "needs a passphrase, which nobody could enter"
            cp "$file" "$RUNTIME_DIRECTORY/private/$tunnel.pem"
            ;;
        esac
    done
    echo "}"
} >"$config.new"
mv "$config.new" "$config"
