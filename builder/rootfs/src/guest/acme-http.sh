#!/bin/sh
# Puts the answer to an authority's challenge (RFC 8555 §8.3) where port 80 shows it: uacme(1) calls this program.
# acme-http begin|done|failed TYPE NAME TOKEN ANSWER
set -eu
challenges=/run/diorite-acme
[ "$2" = http-01 ] || exit 1
case $4 in '' | *[!A-Za-z0-9_-]*) exit 1 ;; esac
case $1 in
begin)
    printf %s "$5" >"$challenges/$4"
    chmod 0444 "$challenges/$4"
    ;;
done | failed) rm -f "$challenges/$4" ;;
esac
