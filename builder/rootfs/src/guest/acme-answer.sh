#!/bin/sh
# One question over HTTP (RFC 9112) on standard input. The answer to an authority's challenge (RFC 8555 §8.3); of everything
# else, that it is at the same address over TLS.
# acme-answer CHALLENGES
set -eu
carriage_return=$(printf '\r')
head() { printf 'HTTP/1.1 %s\r\nContent-Length: %s\r\nConnection: close\r\n' "$1" "$2"; }
IFS=' ' read -r method target _ || exit 0
host=
while IFS= read -r line; do
    line=${line%"$carriage_return"}
    case $line in
    '') break ;;
    [Hh][Oo][Ss][Tt]:*)
        host=${line#*:}
        host=${host# }
        host=${host%:80}
        ;;
    esac
done
token=${target#/.well-known/acme-challenge/}
case $token in "$target" | '' | *[!A-Za-z0-9_-]*) token= ;; esac
if [ -n "$token" ] && [ -f "$1/$token" ]; then
    answer=$(cat "$1/$token")
    head '200 OK' ${#answer}
    printf 'Content-Type: application/octet-stream\r\n\r\n%s' "$answer"
    exit
fi
# What would not stay in its line, and a challenge that is none of this machine's, are not sent anywhere.
case $target in /.well-known/acme-challenge/*) host= ;; esac
case $host$target in *[!]A-Za-z0-9._~:/?#@!$\&\'\(\)*+,\;=%[-]*) host= ;; esac
if [ -z "$host" ]; then
    head '404 Not Found' 0
    printf '\r\n'
else
    head '308 Permanent Redirect' 0
    printf 'Location: https://%s%s\r\n\r\n' "$host" "$target"
fi
