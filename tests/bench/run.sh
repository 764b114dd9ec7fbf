#!/usr/bin/env bash
# Measure this tree's server against a private Postfix and Dovecot in the same run, and print the table.
#
#   tests/bench/run.sh [ROUNDS] [STEPS]     STEPS: a regular expression over the steps of suite.py
#
# The records go to ${BENCH_OUT:-build/bench}/records.jsonl and the table to table.md beside them. Needs root and the
# packages of appliance/deploy/test-needs for the peer; without them only this server is measured.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/instruments/state.sh

rounds=${1:-3}
core='^(ingest_2k_c1|ingest_2k_c10|ingest_2k_c50|ingest_50k_c10|ingest_1m_c4|append_2k_c1|append_2k_c10|append_1m_c2|login_c10'
core+='|login_select_c10|select_1k|select_10k|fetch_1k|fetch_10k|search_1k|store_1k|idle_100_same|idle_1000|soak)$'
steps=${2:-$core}
out=${BENCH_OUT:-build/bench}
users=50
peer=tests/instruments/peers/dovecot-postfix.sh
mkdir -p "$out"
# The peer's daemons run as other users, who must be able to walk to their files.
work=$(mktemp -d /var/tmp/mailstead-bench.XXXXXX)
chmod 755 "$work"
export PEER_BASE_PORT=${PEER_BASE_PORT:-18000} PEER_USERS=$users PEER_PASS=$PASSWORD PEER_DOMAIN=$DOMAIN

finish() {
    stop_server
    [ ! -d "$work/peer" ] || "$peer" stop "$work/peer" || true
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap finish EXIT

boxes() {
    local size
    for size in 1k 10k 100k; do
        if grep -qE "(select|fetch|search|store)_$size" <<<"$steps" || [ "$steps" = . ]; then
            echo "$size"
        fi
    done
}

count_of() { echo "${1/k/000}"; }

prepare_ours() {
    local base=$1 number size
    prepare "$work/ours" "$base"
    serve "$work/ours"
    for number in $(seq $users); do
        add_account "$work/ours" "user$number"
    done
    for size in $(boxes); do
        "$PY" -B tests/bench/msggen.py --maildir "$work/big$size" --count "$(count_of "$size")" --to "user40@$DOMAIN"
        "$PY" run.py --state "$work/ours" import-maildir "user40@$DOMAIN" "$work/big$size" --mailbox "big$size"
    done
}

peer_can_run() {
    local program
    [ "$(id -u)" = 0 ] || return 1
    for program in postfix dovecot; do
        [ -x "/usr/sbin/$program" ] || return 1
    done
}

prepare_peer() {
    local size home=$work/peer/mail/user40
    mkdir -p "$home/Maildir"
    for size in $(boxes); do
        cp -a "$work/big$size" "$home/Maildir/.big$size"
    done
    chown -R 5000:5000 "$work/peer/mail"
    "$peer" start "$work/peer"
}

base=$(free_base)
prepare_ours "$base"
targets=()
if peer_can_run; then
    prepare_peer
    targets+=(--target "postfix+dovecot=--smtp-port $((PEER_BASE_PORT + 25)) --imap-port $((PEER_BASE_PORT + 143)) --password $PASSWORD --pid $("$peer" pids "$work/peer")")
else
    echo "bench: the peer needs root, postfix and dovecot; measuring this server alone" >&2
fi
targets+=(--target "mailstead=--smtp-port $((base + 25)) --imap-port $((base + 143)) --password $PASSWORD --login-domain --pid $SERVER_PID")

rm -f "$out/records.jsonl"
"$PY" -B tests/bench/suite.py run --out "$out/records.jsonl" --rounds "$rounds" --steps "$steps" "${targets[@]}"
"$PY" -B tests/bench/suite.py table "$out/records.jsonl" | tee "$out/table.md"
