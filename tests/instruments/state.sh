# Sourced by the instruments: prepare a state directory of ours by the commands the README promises to outside tools.
#
#   free_base             print a base port whose listeners are all free on 127.0.0.1
#   prepare DIR BASE      init with the profile bench
#   add_account DIR NAME  one account NAME@example.test with the password $PASSWORD
#   serve DIR             start the server in the background and wait for `ready`; sets SERVER_PID
#   stop_server           end it, and wait
DOMAIN=example.test
PASSWORD=${PASSWORD:-an-instrument-password}
PY=.venv/bin/python
SERVER_PID=

free_base() {
    $PY - <<'PY'
import socket

OFFSETS = (25, 587, 465, 143, 993, 110, 995, 4190, 80, 443)


def free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return not probe.connect_ex(("127.0.0.1", port)) == 0


print(next(base for base in range(20000, 32000, 100) if all(free(base + offset) for offset in OFFSETS)))
PY
}

prepare() { $PY run.py --state "$1" init --domain "$DOMAIN" --hostname "mail.$DOMAIN" --base-port "$2" --profile bench; }

add_account() { printf '%s\n' "$PASSWORD" | $PY run.py --state "$1" account add "$2@$DOMAIN" --password-stdin >/dev/null; }

serve() {
    local answer=$1.ready
    $PY run.py --state "$1" serve >"$answer" 2>"$1.log" &
    SERVER_PID=$!
    for _ in $(seq 600); do
        grep -qx ready "$answer" && return
        kill -0 "$SERVER_PID" 2>/dev/null || break
        sleep 0.1
    done
    echo "the server did not become ready; its log:" >&2
    tail -n 20 "$1.log" >&2
    return 1
}

stop_server() {
    [ -n "$SERVER_PID" ] || return 0
    kill "$SERVER_PID" 2>/dev/null || true
    wait "$SERVER_PID" 2>/dev/null || true
    SERVER_PID=
}
