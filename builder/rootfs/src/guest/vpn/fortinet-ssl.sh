#!/bin/sh
# Runs openfortivpn(1) for a tunnel: what the image says of it, and its password, in a file that ends with the service.
# fortinet-ssl TUNNEL
set -eu
umask 077
tunnel=$1
password=$CREDENTIALS_DIRECTORY/password
config=$RUNTIME_DIRECTORY/config

refuse() {
    echo "<3>tunnel $tunnel: the credential vpn.password.$tunnel $1" >&2
    exit 78
}

[ -s "$password" ] || refuse "is missing"
value=$(cat "$password")
[ "$(printf '%s\n' "$value" | wc -l)" = 1 ] || refuse "has more than one line"
{
    cat "/etc/openfortivpn/$tunnel.conf"
    printf 'password = %s\n' "$value"
} >"$config"
exec openfortivpn -c "$config"
