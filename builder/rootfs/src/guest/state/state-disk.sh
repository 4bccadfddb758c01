#!/bin/sh
# Finds the disk for /var and makes the partition on it. A disk that may hold something is left as it is: then the boot
# ends here. udev has marked in /dev/diorite/state this image's partitions, in /dev/diorite/blank disks without a signature.
set -u

refuse() {
    echo "<3>state: $*"
    exit 1
}

# The marks in a folder: how many, their names, the first one.
marks() {
    count=0 names='' first=''
    for mark in "$1"/*; do
        [ -b "$mark" ] || continue
        count=$((count + 1)) names="$names ${mark##*/}"
        [ "$count" -gt 1 ] || first=${mark##*/}
    done
}

partition() {
    systemd-repart --dry-run=no --definitions=/usr/lib/diorite/state-disk.d "--empty=$1" "$2"
}

# So many bytes of a disk, from some place on.
empty() {
    cmp --silent "--bytes=$2" "--ignore-initial=$3:0" "$1" /dev/zero
}

udevadm settle --timeout=60 || refuse "devices keep appearing"

marks /dev/diorite/state
[ "$count" -le 1 ] || refuse "several partitions are this image's state:$names; detach all disks but one"
if [ "$count" -eq 1 ]; then
    for folder in /sys/block/*/"$first"; do
        disk=${folder%/*}
        others=0
        for other in "$disk"/*/partition; do others=$((others + 1)); done
        # It follows its disk when that was made larger, unless the disk has more on it. Without growing it is still good.
        [ "$others" -gt 1 ] || partition refuse "/dev/${disk##*/}" || echo "<4>state: /dev/$first could not be grown"
    done
    echo "<6>state: found on /dev/$first"
    exit 0
fi

marks /dev/diorite/blank
[ "$count" -gt 0 ] || refuse "no disk holds this image's state, and none is empty; disks that hold anything are left alone"
[ "$count" -le 1 ] || refuse "which of these empty disks is meant?$names; attach one only"
disk=/dev/$first
read -r sectors <"/sys/block/$first/size" || refuse "$disk has no size"
# libblkid does not know everything that can be on a disk: its ends must be zeros.
[ "$sectors" -ge 40960 ] || refuse "$disk is too small"
empty "$disk" 16777216 0 && empty "$disk" 1048576 "$((sectors * 512 - 1048576))" ||
    refuse "$disk has no file system, yet is not empty, and is left alone; if it may go, fill its first 16 and last 1 MiB with zeros"
partition require "$disk" || refuse "no partition could be made on $disk"
echo "<6>state: made on $disk"
