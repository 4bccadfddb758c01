#!/bin/sh
# Says why encrypted state cannot be made or opened on this machine. The boot ends then: /var is never used unencrypted.
set -u

refuse() {
    echo "<3>state: $*"
    exit 1
}

# What libblkid knows to be on a partition.
kind() {
    udevadm info --query=property --property=ID_FS_TYPE --value "$1"
}

case $1 in
machine)
    udevadm settle --timeout=60 || refuse "devices keep appearing"
    [ -c /dev/tpmrm0 ] ||
        refuse "/var is encrypted to a TPM 2.0 and this machine has none; nothing was written. Give it one and start it again"
    ;;
partition)
    found=$(kind "$2")
    [ "$found" = crypto_LUKS ] ||
        refuse "the partition of /var holds ${found:-nothing known} and is not encrypted, which this image wants; it was left alone"
    ;;
opened)
    # Called when the volume could not be opened, or is closed.
    [ "${SERVICE_RESULT:-}" = success ] || [ "$(kind "$2")" != crypto_LUKS ] ||
        echo "<3>state: this machine cannot open /var: the key is in another TPM, or Secure Boot is not as it was (PCR 7)"
    ;;
esac
