#!/bin/sh
# Saves directories with restic(1), forgets what is too old, and keeps when that was; or restores a backup.
# backup save DAILY WEEKLY MONTHLY DIRECTORY...
# backup restore SNAPSHOT DIRECTORY
# BACKUP_SSH: ssh_config(5) of the server, where that speaks SFTP.
set -eu
what=$1 status=0
shift
export RESTIC_PASSWORD_FILE="$CREDENTIALS_DIRECTORY/password" RESTIC_CACHE_DIR="$CACHE_DIRECTORY"
if [ -f "$CREDENTIALS_DIRECTORY/s3" ]; then
    # Read as text, never run: two lines NAME=VALUE.
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in AWS_ACCESS_KEY_ID=* | AWS_SECRET_ACCESS_KEY=*) export "${line%%=*}=${line#*=}" ;; esac
    done <"$CREDENTIALS_DIRECTORY/s3"
fi
ours() { restic ${BACKUP_SSH:+-o "sftp.args=-F $BACKUP_SSH"} "$@"; }
# refuse WHAT OUTPUT: with what restic(1) calls fatal, else with the last line.
refuse() {
    why=$(echo "$2" | sed -n 's/^Fatal: //p' | head -n 1)
    echo "<3>$RESTIC_REPOSITORY $1: ${why:-$(echo "$2" | tail -n 1 | tr -d '\r')}" >&2
    exit 1
}
# ssh(1) says why; restic does not always pass that on.
[ -z "${BACKUP_SSH-}" ] || said=$(ssh -F "$BACKUP_SSH" backup -s sftp </dev/null 2>&1) || refuse "cannot be reached" "$said"
# A bucket that is not there yet is made; whoever only asks for it waits for a quarter of an hour.
[ "$what" = restore ] || [ -e "$STATE_DIRECTORY/success" ] || { said=$(ours init 2>&1) && echo "$said"; } || true
said=$(ours cat config --no-lock 2>&1) || status=$?
# 10: there is none (restic(1), exit codes).
case $status:$what in
0:*) ;;
10:save) ours init ;;
10:*) refuse "cannot be opened" "it holds no backups" ;;
*) refuse "cannot be opened" "$said" ;;
esac
# A run that was cut off, by a loss of power, has left its lock; those of programs that run stay.
ours unlock
if [ "$what" = restore ]; then
    ours restore --target "$2" -- "$1"
    exit
fi
daily=$1 weekly=$2 monthly=$3
shift 3
status=0
{ said=$(ours backup --host diorite --tag diorite -- "$@" 2>&1 >&3) || status=$?; } 3>&1
[ -z "$said" ] || echo "$said" >&2
[ $status = 0 ] || refuse "has no new backup" "$said"
ours forget --host diorite --tag diorite --group-by host,tags --prune \
    --keep-last 1 --keep-daily "$daily" --keep-weekly "$weekly" --keep-monthly "$monthly"
touch "$STATE_DIRECTORY/success"
