#!/bin/sh
# Push users' activity to the operator's intake: push.sh record USER | push.sh send (see README.md).
# An event is in a file before `record` returns, and is removed only when the intake has answered.
set -eu
folder=${INTAKE_FOLDER:-/var/lib/push}
source=${INTAKE_SOURCE:-/app}
url=${INTAKE_URL:-http://licenseusage-intake.licenseusage-system/v1/activity}
token_file=${INTAKE_TOKEN_FILE:-/var/run/secrets/licenseusage/token}
batch=500
mkdir -p "$folder"
cd "$folder"

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
number() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

record() {
    case $1 in
        *[\"\\]* | '') echo "push.sh: an id without quotes and backslashes is needed" >&2; exit 2 ;;
    esac
    exec 8>new.lock
    flock 8
    printf '{"specversion":"1.0","id":"%s","source":"%s","type":"dev.licenseusage.activity","time":"%s","data":{"user":"%s"}}\n' \
        "$(number)" "$source" "$(now)" "$1" >>new.jsonl
    sync new.jsonl
}

# Move what was recorded behind what was left of the last time.
take() {
    exec 8>new.lock
    flock 8
    touch new.jsonl taken.jsonl
    cat taken.jsonl new.jsonl >taken.part
    sync taken.part
    mv taken.part taken.jsonl
    rm new.jsonl
    flock -u 8
}

# Send the lines of standard input as one batch.
post() {
    awk 'BEGIN { printf "[" } NR > 1 { printf "," } { printf "%s", $0 } END { printf "]" }' >body.json
    receipt=$(cat receipt 2>/dev/null || true)
    # The token goes by a file, since a command line is no secret.
    printf 'header = "Authorization: Bearer %s"\n' "$(cat "$token_file")" >curl.conf
    chmod 600 curl.conf
    [ -z "$receipt" ] || printf 'header = "LicenseUsage-Receipt: %s"\n' "$receipt" >>curl.conf
    status=$(curl --silent --show-error --max-time 60 --config curl.conf --output answer.json --write-out '%{http_code}' \
        --header 'Content-Type: application/cloudevents-batch+json' --data-binary @body.json "$url") || status=000
    rm -f curl.conf
    if [ "$status" != 200 ]; then
        grep -q '"error":"PushReceiptUnknown"' answer.json 2>/dev/null && rm -f receipt
        echo "push.sh: not taken, kept: $status $(cat answer.json 2>/dev/null)" >&2
        exit 1
    fi
    sed -n 's/.*"receipt":"\([0-9a-f]*\)".*/\1/p' answer.json >receipt.part
    if [ -s receipt.part ]; then
        sync receipt.part
        mv receipt.part receipt
    fi
}

send() {
    exec 9>send.lock
    flock 9
    # Whatever was active before this second is in the files once they are taken.
    through=$(now)
    take
    printf '{"specversion":"1.0","id":"%s","source":"%s","type":"dev.licenseusage.heartbeat","data":{"completeThrough":"%s"}}\n' \
        "$(number)" "$source" "$through" >heartbeat.json
    rm -f part.*
    cat taken.jsonl heartbeat.json | split -l $batch -a 6 - part.
    for part in part.*; do
        post <"$part"
    done
    rm -f part.* taken.jsonl heartbeat.json
}

case ${1-} in
    record) record "${2-}" ;;
    send) send ;;
    *) echo "usage: push.sh record USER | push.sh send" >&2; exit 2 ;;
esac
