#!/bin/sh
# Saves directories with restic(1), forgets what is too old, and keeps when that was; or restores a backup.
# backup save DAILY WEEKLY MONTHLY DIRECTORY...
# backup restore SNAPSHOT DIRECTORY
set -eu
what=$1
shift
export RESTIC_PASSWORD_FILE="$CREDENTIALS_DIRECTORY/password" RESTIC_CACHE_DIR="$CACHE_DIRECTORY"
if [ -f "$CREDENTIALS_DIRECTORY/s3" ]; then
    # Read as text, never run: two lines NAME=VALUE.
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        AWS_ACCESS_KEY_ID=* | AWS_SECRET_ACCESS_KEY=*) export "${line%%=*}=${line#*=}" ;;
        esac
    done <"$CREDENTIALS_DIRECTORY/s3"
fi
if [ "$what" = restore ]; then
    exec restic restore --target "$2" -- "$1"
fi
daily=$1 weekly=$2 monthly=$3
shift 3
restic cat config >/dev/null 2>&1 || restic init
restic backup --host diorite --tag diorite -- "$@"
restic forget --host diorite --tag diorite --group-by host,tags --prune \
    --keep-last 1 --keep-daily "$daily" --keep-weekly "$weekly" --keep-monthly "$monthly"
touch "$STATE_DIRECTORY/success"
