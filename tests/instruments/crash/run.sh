#!/usr/bin/env bash
# The crash instrument against this tree's server: rounds of SIGKILL under load, then rounds of power loss.
#
#   tests/instruments/crash/run.sh [ROUNDS] [POWER_ROUNDS]    0 leaves that part out
#
# KEEP=1 keeps the working directory. Ends with 1 when anything acknowledged was lost, doubled, damaged or undone.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. tests/instruments/state.sh

rounds=${1:-20}
power_rounds=${2:-10}
work=$(mktemp -d "${TMPDIR:-/tmp}/mailstead-crash.XXXXXX")
trap '[ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT

run() {
    local name=$1 count=$2 state=$work/$1 base
    shift 2
    base=$(free_base)
    prepare "$state" "$base"
    add_account "$state" ann
    "$PY" tests/instruments/crash/kill9.py "exec $PY run.py --state $state serve" \
        127.0.0.1 $((base + 25)) $((base + 143)) "ann@$DOMAIN" "$PASSWORD" "$count" --work "$work/$name.work" "$@" || {
        tail -n 20 "$work/$name.work/server.log" >&2
        return 1
    }
    "$PY" run.py --state "$state" verify
}

[ "$rounds" = 0 ] || run plain "$rounds"
[ "$power_rounds" = 0 ] || run power "$power_rounds" --power-loss "$work/power"
