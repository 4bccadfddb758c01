#!/bin/sh
# Keeps what a program in a container says; what an earlier run has kept stays until this one has succeeded.
# dump FILE CONTAINER PROGRAM...
set -eu
umask 077
file=$1
shift
mkdir -p "${file%/*}"
podman exec -- "$@" >"$file.new"
[ -s "$file.new" ] || {
    echo "the dump $file is empty: $*" >&2
    exit 1
}
mv "$file.new" "$file"
