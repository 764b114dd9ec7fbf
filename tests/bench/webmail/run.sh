#!/usr/bin/env bash
# Measure this tree's webmail in Chromium, and Debian's Roundcube over Dovecot beside it in the same run; print the table.
#
#   tests/bench/webmail/run.sh [REPEAT] [PARTS]
#
# REPEAT: how often each action is done (7). PARTS: of timing,axe,keyboard,mobile (timing). The mailbox is that of
# gen_mailbox.py, ${COUNT:-10000} messages. Results go to ${BENCH_OUT:-build/bench-webmail}: one JSON, one Markdown and
# pictures for each webmail, and table.md. The browser is driven by the Playwright that the tests use. Without root or the
# packages roundcube-core, roundcube-sqlite3, php-fpm, nginx and dovecot-imapd only this tree is measured (PEER=no too).
set -euo pipefail
cd "$(dirname "$0")/../../.."
. tests/instruments/state.sh

repeat=${1:-7}
parts=${2:-timing}
out=$(realpath -m "${BENCH_OUT:-build/bench-webmail}")
here=tests/bench/webmail
peers=tests/instruments/peers
user=user1
mkdir -p "$out"
work=$(mktemp -d /var/tmp/mailstead-bench.XXXXXX)
chmod 755 "$work"
export PEER_BASE_PORT=${PEER_BASE_PORT:-18000} PEER_USERS=1 PEER_PASS=$PASSWORD PEER_DOMAIN=$DOMAIN
roundcube_port=$((PEER_BASE_PORT + 80))

finish() {
    stop_server
    [ ! -d "$work/roundcube" ] || "$peers/roundcube.sh" stop "$work/roundcube" || true
    [ ! -d "$work/peer" ] || "$peers/dovecot-postfix.sh" stop "$work/peer" || true
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap finish EXIT

peer_can_run() {
    [ "${PEER:-yes}" = yes ] && [ "$(id -u)" = 0 ] || return 1
    [ -d /usr/share/roundcube ] && compgen -G '/usr/sbin/php-fpm*' >/dev/null || return 1
    [ -x /usr/sbin/nginx ] && [ -x /usr/sbin/dovecot ] && [ -x /usr/sbin/postfix ]
}

# The driver and the accessibility rules that the tests have already, where the script looks for its modules.
prepare_browser() {
    local driver
    driver=$("$PY" -c 'import pathlib, playwright; print(pathlib.Path(playwright.__file__).parent / "driver")')
    node=$driver/node
    mkdir -p "$work/browser/node_modules/axe-core"
    ln -s "$driver/package" "$work/browser/node_modules/playwright-core"
    cp tests/web/vendor/axe.min.js "$work/browser/node_modules/axe-core/"
    echo '{"name": "axe-core", "version": "0.0.0"}' >"$work/browser/node_modules/axe-core/package.json"
}

prepare_ours() {
    base=$(free_base)
    prepare "$work/ours" "$base"
    serve "$work/ours"
    add_account "$work/ours" "$user"
    "$PY" run.py --state "$work/ours" import-maildir "$user@$DOMAIN" "$work/maildir"
    for _ in $(seq 900); do
        "$PY" run.py --state "$work/ours" index status >"$work/index"
        awk '$2 == "ready" { done = 1 } END { exit !done }' "$work/index" && return
        sleep 1
    done
    echo "bench: the index did not get done:" >&2
    cat "$work/index" >&2
}

prepare_peer() {
    mkdir -p "$work/peer/mail/$user"
    cp -a "$work/maildir" "$work/peer/mail/$user/Maildir"
    printf '%s\n' Sent Archive Junk Trash Drafts >"$work/peer/mail/$user/Maildir/subscriptions"
    chown -R 5000:5000 "$work/peer/mail"
    "$peers/dovecot-postfix.sh" start "$work/peer"
    "$peers/roundcube.sh" start "$work/roundcube" $((PEER_BASE_PORT + 143)) "$roundcube_port"
}

measure() {
    local config=$1 address=$2
    (cd "$work/browser" && "$node" "$OLDPWD/$here/bench.mjs" --config "$OLDPWD/$here/$config" --out "$out" \
        --base "$address" --user "$user@$DOMAIN" --pass "$PASSWORD" --repeat "$repeat" --only "$parts")
}

"$PY" -B "$here/gen_mailbox.py" --out "$work/maildir" --count "${COUNT:-10000}" --user "$user@$DOMAIN"
prepare_browser
prepare_ours
measure ours.json "http://localhost:$((base + 80))/webmail/"
if peer_can_run; then
    prepare_peer
    measure roundcube.json "http://127.0.0.1:$roundcube_port/"
else
    echo "bench: measuring this webmail alone" >&2
fi
"$PY" -B "$here/table.py" "$out" | tee "$out/table.md"
