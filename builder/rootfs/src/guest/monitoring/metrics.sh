#!/bin/sh
# What the image says of itself, in Prometheus' text format, for node-exporter's textfile collector. Arguments: the
# folder to write to, the longest time between two backups (0: there are none), then the units of the containers. A file is
# replaced whole or not at all.
set -eu
folder=$1 interval=$2
shift 2
backup=/var/lib/diorite/backup
counts=/sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f

# os-release(5): the image's own values, written by Diorite.
. /etc/os-release
hash=$(sed -n 's/.*roothash=\([0-9a-f]*\).*/\1/p' /proc/cmdline)
# The root is a verity device over two partitions: the second and third of the disk are slot a.
slot=unknown
device=$(mountpoint -d / 2>/dev/null || true)
case $(cat "/sys/dev/block/$device/slaves/"*/partition 2>/dev/null | sort -n | tr '\n' ' ') in
    '2 3 ') slot=a ;;
    '4 5 ') slot=b ;;
esac
# An entry that counted its tries when this boot began is good only when it was blessed since.
tries=
[ ! -e $counts ] || tries=$(tr -d '\0' <$counts | sed -n 's/.*+\([0-9]*\).*/\1/p')
blessed=1
[ -z "$tries" ] || systemctl is-active --quiet systemd-bless-boot.service || blessed=0
# While the rules are replaced, nft may find the old ones gone and the new ones not yet there.
until rules=$(nft list counters table inet diorite) && [ -n "$rules" ]; do
    sleep 1
done

{
    metric() { printf '# HELP %s %s\n# TYPE %s %s\n' "$1" "$3" "$1" "$2"; }
    metric diorite_image_info gauge 'The image that runs, and its verity root hash.'
    printf 'diorite_image_info{name="%s",version="%s",root_hash="%s",slot="%s"} 1\n' \
        "$IMAGE_ID" "$IMAGE_VERSION" "$hash" "$slot"
    metric diorite_boot_blessed gauge 'Whether the boot entry is known to be good.'
    echo "diorite_boot_blessed $blessed"
    metric diorite_boot_tries_left gauge 'Tries the boot entry had left when this boot began; none when it counted none.'
    [ -z "$tries" ] || echo "diorite_boot_tries_left $tries"
    for what in packets bytes; do
        metric "diorite_firewall_${what}_total" counter "Of a rule of the packet filter, since it was loaded: $what."
        echo "$rules" | awk -v what="$what" '$1 == "counter" { rule = $2 }
            $1 == "packets" { n = (what == "packets") ? $2 : $4
                              print "diorite_firewall_" what "_total{rule=\"" rule "\"} " n }'
    done
    [ "$interval" = 0 ] || {
        metric diorite_backup_interval_seconds gauge 'The longest time between two backups, as declared.'
        echo "diorite_backup_interval_seconds $interval"
        metric diorite_backup_expected_since_seconds gauge 'When the machine first had a backup to make.'
        echo "diorite_backup_expected_since_seconds $(stat -c %Y $backup/expected)"
        metric diorite_backup_last_success_seconds gauge 'When the last backup succeeded; none when there was none.'
        [ ! -e $backup/success ] || echo "diorite_backup_last_success_seconds $(stat -c %Y $backup/success)"
    }
    [ $# = 0 ] || metric diorite_container_active gauge 'Whether the unit of a container is active.'
    for unit; do
        systemctl is-active --quiet "$unit" && active=1 || active=0
        echo "diorite_container_active{name=\"${unit%.service}\"} $active"
    done
} >"$folder/diorite.prom.new"
mv "$folder/diorite.prom.new" "$folder/diorite.prom"
