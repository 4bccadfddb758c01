#!/bin/sh
# Takes the values that a machine has of its own from its config drive, if it has one. The initrd runs this in the verified
# root. Nothing on the drive is used before its signature is right.
set -u
drive=/run/diorite-config-drive
to=$drive/credentials

refuse() {
    echo "<3>config drive: $*"
    exit 1
}

# The drive has been found, or there is none.
udevadm settle --timeout=60 || refuse "devices keep appearing"
device=$(blkid -t LABEL=DIORITE -o device | head -n 1)
[ -n "$device" ] || exit 0

# What was checked is what is used: it is copied to memory first.
mkdir -m 0700 "$drive" "$drive/disc" || refuse "there is no room for it"
mount -t iso9660 -o ro,nosuid,nodev,noexec "$device" "$drive/disc" || refuse "$device cannot be read"
for file in values values.sig; do
    head -c 1048576 "$drive/disc/$file" > "$drive/$file" || refuse "$device has no file $file"
done
umount "$drive/disc"

ssh-keygen -Y verify -f /usr/lib/diorite/config-drive-signers -I diorite -n diorite-config-drive \
    -s "$drive/values.sig" < "$drive/values" > "$drive/said" 2>&1 ||
    refuse "$device is not signed by anybody whose word this image takes: $(tail -n 1 "$drive/said")"

{
    read -r form
    [ "$form" = "diorite-config-drive 1" ] || refuse "$device has another form, $form: this image is older"
    read -r word machine
    [ "$word $machine" = "machine $(tr A-Z a-z < /sys/class/dmi/id/product_uuid)" ] ||
        refuse "$device is for another machine, $machine"
    mkdir -m 0700 "$to"
    while read -r word name value; do
        [ "$word" = credential ] || refuse "$device says something that this image does not know: $word"
        (umask 277 && printf %s "$value" | base64 -d > "$to/$name") || refuse "the credential $name cannot be kept"
    done
} < "$drive/values"
echo "config drive: $device, values for this machine"
