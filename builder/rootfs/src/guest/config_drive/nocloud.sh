#!/bin/sh
# Takes a machine's name, addresses and SSH keys from a cloud-init drive (NoCloud, as Proxmox VE makes it), if it has one
# and no signed drive was taken. The initrd runs this in the verified root. Nobody has signed such a drive.
set -u
drive=/run/diorite-config-drive
LC_ALL=C
export LC_ALL

refuse() {
    echo "<3>config drive: $*; put the cloud-init drive right, or detach it"
    exit 1
}

# The drive has been found, or there is none.
udevadm settle --timeout=60 || refuse "devices keep appearing"
# One word for each device.
set -- $(blkid -t LABEL=cidata -o device; blkid -t LABEL=CIDATA -o device)
[ $# -gt 0 ] || exit 0
if [ -e "$drive/credentials" ]; then
    echo "<5>config drive: $* left alone: the signed drive says what this machine is"
    exit 0
fi
[ $# -eq 1 ] || refuse "which of these is meant? $*; one cloud-init drive is enough"

# What was checked is what is used: it is copied to memory first. No link on it leads anywhere.
mkdir -m 0700 "$drive" "$drive/disc" || refuse "there is no room for $1"
mount -t iso9660 -o ro,nosuid,nodev,noexec,nosymfollow "$1" "$drive/disc" || refuse "$1 cannot be read"
for file in meta-data user-data network-config vendor-data; do
    [ -f "$drive/disc/$file" ] || [ "$file" = vendor-data ] || refuse "$1 has no file $file"
    [ -f "$drive/disc/$file" ] || continue
    head -c 65537 "$drive/disc/$file" > "$drive/$file" || refuse "$1: $file cannot be read"
    [ "$(wc -c < "$drive/$file")" -le 65536 ] || refuse "$1: $file is longer than 65536 bytes"
    [ "$(tr -d '\n\040-\176\200-\377' < "$drive/$file" | wc -c)" -eq 0 ] || refuse "$1: $file holds control characters"
done
umount "$drive/disc"

cd "$drive" && mkdir -m 0700 made || refuse "there is no room for $1"
[ -e vendor-data ] || : > vendor-data
said=$(umask 277 && awk -v "device=$1" -f /usr/lib/diorite/nocloud.awk \
    /usr/lib/diorite/nocloud-image meta-data user-data network-config vendor-data) || { printf "%s\n" "$said"; exit 1; }
for keys in made/ssh.authorized_keys.*; do
    [ -e "$keys" ] || continue
    ssh-keygen -l -f "$keys" > fingerprints && [ "$(wc -l < fingerprints)" -eq "$(wc -l < "$keys")" ] ||
        refuse "$1: user-data has an SSH key that is none, or is cut off"
done
# Whole or not at all.
mv made credentials || refuse "there is no room for $1"
printf "%s\n" "$said"
