#!/usr/bin/env python3
"""Runs the steps of mailbench.py against one or several servers, interleaved
(round 1: step A on every target, step B on every target ...; then round 2), so that
machine noise hits all targets alike; and prints tables of medians.

  suite.py run --target NAME=ARGS [--target ...] --out FILE.jsonl [--rounds 3]
           [--steps REGEX] [--box-user user40] [--quiet 25 --quiet-wait 20]
  suite.py table FILE.jsonl [FILE...] [--base NAME] [--max-other 40]

ARGS are the options of mailbench.py for that server in one string, e.g.
  --target 'peer=--imap-port 21143 --smtp-port 21025 --pid 12,34'
A target's args may hold "{pid:FILE}", replaced by that file's content at each step.
The mailboxes big1k, big10k, big100k of --box-user must exist (suite.py fill, or
msggen.py --maildir, or the server's own importer).

  suite.py fill --target NAME=ARGS --box-user user40 [--boxes 1k,10k]   (by APPEND)
"""

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.join(HERE, "mailbench.py")
BOXES = {"1k": 1000, "10k": 10000, "100k": 100000}

# name, subcommand and options, timeout s, rounds cap (0: as asked)
STEPS = [
    ("ingest_2k_c1", "smtp-ingest --users 30 --count 100 --concurrency 1", 120, 0),
    ("ingest_2k_c10", "smtp-ingest --users 30 --count 1000 --concurrency 10", 180, 0),
    ("ingest_2k_c50", "smtp-ingest --users 30 --count 1000 --concurrency 50", 180, 0),
    ("ingest_2k_newconn", "smtp-ingest --users 30 --count 300 --concurrency 10 --per-session 1", 180, 0),
    ("ingest_2k_rcpt10", "smtp-ingest --users 30 --count 100 --concurrency 10 --rcpts 10", 180, 0),
    ("ingest_50k_c10", "smtp-ingest --users 30 --count 300 --size 50k --concurrency 10", 180, 0),
    ("ingest_1m_c4", "smtp-ingest --users 30 --count 40 --size 1m --concurrency 4", 180, 0),
    ("ingest_mix_c10", "smtp-ingest --users 30 --count 500 --size mix --concurrency 10", 180, 0),
    ("append_2k_c1", "imap-append --user user31 --count 200 --concurrency 1", 120, 0),
    ("append_2k_c10", "imap-append --users 10 --count 1000 --concurrency 10 --mailbox app", 180, 0),
    ("append_50k_c4", "imap-append --users 4 --count 200 --size 50k --concurrency 4 --mailbox app", 180, 0),
    ("append_1m_c2", "imap-append --users 2 --count 30 --size 1m --concurrency 2 --mailbox app", 180, 0),
    ("login_c10", "imap-login --users 30 --count 1000 --concurrency 10", 120, 0),
    ("login_select_c10", "imap-login --users 30 --count 500 --concurrency 10 --select", 120, 0),
    ("select_1k", "imap-select --mailbox big1k @box --repeat 9", 120, 0),
    ("select_10k", "imap-select --mailbox big10k @box --repeat 9", 120, 0),
    ("select_100k", "imap-select --mailbox big100k @box --repeat 5", 300, 0),
    ("fetch_1k", "imap-fetch --mailbox big1k @box --repeat 7", 120, 0),
    ("fetch_10k", "imap-fetch --mailbox big10k @box --repeat 5", 300, 0),
    ("fetch_100k", "imap-fetch --mailbox big100k @box --repeat 3 --body-limit 20000", 400, 2),
    ("search_1k", "imap-search --mailbox big1k @box --repeat 5", 200, 0),
    ("search_10k", "imap-search --mailbox big10k @box --repeat 3 --slow 3", 300, 0),
    ("search_100k", "imap-search --mailbox big100k @box --repeat 2 --slow 3", 400, 1),
    ("store_1k", "imap-store --mailbox big1k @box --repeat 3", 200, 0),
    ("store_10k", "imap-store --mailbox big10k @box --repeat 3", 300, 0),
    ("idle_100_same", "imap-idle --user user41 --connections 100 --rounds 10", 120, 0),
    ("idle_100_diff", "imap-idle --users 10 --connections 100 --rounds 3", 120, 0),
    ("idle_1000", "imap-idle --users 50 --connections 1000 --rounds 3 --hold 10", 200, 0),
    ("idle_5000", "imap-idle --users 50 --connections 5000 --rounds 2 --hold 20 --concurrency 20", 500, 1),
    ("soak", "soak --users 10 --duration 20 --concurrency 20", 120, 0),
]

# table rows: title, step, path into the JSON, "hi" or "lo" is better
ROWS = [
    ("SMTP 2K c1: accepted/s", "ingest_2k_c1", "accepted_per_s", "hi"),
    ("SMTP 2K c1: DATA->250 p50 ms", "ingest_2k_c1", "data_to_250.p50_ms", "lo"),
    ("SMTP 2K c10: accepted/s", "ingest_2k_c10", "accepted_per_s", "hi"),
    ("SMTP 2K c10: delivered+visible/s", "ingest_2k_c10", "e2e_per_s", "hi"),
    ("SMTP 2K c10: DATA->250 p50 ms", "ingest_2k_c10", "data_to_250.p50_ms", "lo"),
    ("SMTP 2K c10: DATA->250 p99 ms", "ingest_2k_c10", "data_to_250.p99_ms", "lo"),
    ("SMTP 2K c10: server CPU ms/msg", "ingest_2k_c10", "server_cpu_ms_per_op", "lo"),
    ("SMTP 2K c50: accepted/s", "ingest_2k_c50", "accepted_per_s", "hi"),
    ("SMTP 2K c50: delivered+visible/s", "ingest_2k_c50", "e2e_per_s", "hi"),
    ("SMTP 2K new conn each: delivered/s", "ingest_2k_newconn", "e2e_per_s", "hi"),
    ("SMTP 2K new conn: server CPU ms/msg", "ingest_2k_newconn", "server_cpu_ms_per_op", "lo"),
    ("SMTP 2K 10 rcpts: deliveries/s", "ingest_2k_rcpt10", "e2e_per_s", "hi"),
    ("SMTP 50K c10: delivered/s", "ingest_50k_c10", "e2e_per_s", "hi"),
    ("SMTP 50K c10: server CPU ms/msg", "ingest_50k_c10", "server_cpu_ms_per_op", "lo"),
    ("SMTP 1M c4: delivered/s", "ingest_1m_c4", "e2e_per_s", "hi"),
    ("SMTP 1M c4: server CPU ms/msg", "ingest_1m_c4", "server_cpu_ms_per_op", "lo"),
    ("SMTP mix c10: delivered/s", "ingest_mix_c10", "e2e_per_s", "hi"),
    ("APPEND 2K c1 /s", "append_2k_c1", "append_per_s", "hi"),
    ("APPEND 2K c1 p50 ms", "append_2k_c1", "latency.p50_ms", "lo"),
    ("APPEND 2K c1 server CPU ms", "append_2k_c1", "server_cpu_ms_per_op", "lo"),
    ("APPEND 2K c10 /s", "append_2k_c10", "append_per_s", "hi"),
    ("APPEND 50K c4 /s", "append_50k_c4", "append_per_s", "hi"),
    ("APPEND 1M c2 MB/s", "append_1m_c2", "mb_per_s", "hi"),
    ("LOGIN+LOGOUT c10 /s", "login_c10", "logins_per_s", "hi"),
    ("LOGIN server CPU ms", "login_c10", "server_cpu_ms_per_op", "lo"),
    ("LOGIN+SELECT c10 /s", "login_select_c10", "logins_per_s", "hi"),
]
for b in ("1k", "10k", "100k"):
    ROWS += [
        ("SELECT %s again, ms" % b, "select_" + b, "reselect.median_ms", "lo"),
        ("SELECT %s fresh connection, ms" % b, "select_" + b, "fresh_connection.median_ms", "lo"),
        ("STATUS %s ms" % b, "select_" + b, "status.median_ms", "lo"),
    ]
for b in ("1k", "10k", "100k"):
    ROWS += [
        ("UID FETCH 1:* FLAGS %s ms" % b, "fetch_" + b, "uid_flags.median_ms", "lo"),
        ("FETCH first 50 ENVELOPE %s ms" % b, "fetch_" + b, "first_page.median_ms", "lo"),
        ("FETCH last 50 header fields %s ms" % b, "fetch_" + b, "page_headers.median_ms", "lo"),
        ("FETCH one BODY.PEEK[] %s ms" % b, "fetch_" + b, "one_body.median_ms", "lo"),
        ("FETCH 1:* ENV BODYSTRUCTURE %s ms" % b, "fetch_" + b, "envelopes.median_ms", "lo"),
        ("FETCH BODY.PEEK[] %s msgs/s" % b, "fetch_" + b, "bodies.msgs_per_s", "hi"),
        ("FETCH BODY.PEEK[] %s MB/s" % b, "fetch_" + b, "bodies.mb_per_s", "hi"),
    ]
for b in ("1k", "10k", "100k"):
    for k in ("unseen", "from", "subject", "since", "body", "text", "sort_date", "thread_refs"):
        ROWS.append(("SEARCH %s %s ms" % (k, b), "search_" + b, k + ".median_ms", "lo"))
for b in ("1k", "10k"):
    ROWS += [
        ("STORE 1:* +FLAGS %s ms" % b, "store_" + b, "store_add_all.median_ms", "lo"),
        ("STORE one flag %s ms" % b, "store_" + b, "store_one.median_ms", "lo"),
        ("COPY 1000 %s ms" % b, "store_" + b, "copy.median_ms", "lo"),
        ("MOVE 1000 %s ms" % b, "store_" + b, "move.median_ms", "lo"),
        ("EXPUNGE 1000 %s ms" % b, "store_" + b, "expunge.median_ms", "lo"),
    ]
for s in ("idle_100_same", "idle_100_diff", "idle_1000", "idle_5000"):
    ROWS += [
        ("%s: idlers/s" % s, s, "idlers_per_s", "hi"),
        ("%s: delivery->EXISTS p50 ms" % s, s, "each_idler.p50_ms", "lo"),
        ("%s: last idler p50 ms" % s, s, "last_idler.p50_ms", "lo"),
        ("%s: PSS KB/conn" % s, s, "pss_kb_per_conn", "lo"),
        ("%s: missed" % s, s, "missed", "lo"),
        ("%s: quiet CPU %%" % s, s, "quiet_cpu_pct", "lo"),
    ]
ROWS += [
    ("soak ops/s", "soak", "ops_per_s", "hi"),
    ("soak errors", "soak", "errors", "lo"),
    ("soak server CPU ms/op", "soak", "server_cpu_ms_per_op", "lo"),
]


def targets_of(a):
    out = []
    for t in a.target:
        name, _, rest = t.partition("=")
        out.append((name, rest))
    return out


def expand(args):
    def sub(m):
        with open(m.group(1)) as f:
            return f.read().strip()

    return shlex.split(re.sub(r"\{pid:([^}]*)\}", sub, args))


def machine_busy(secs=1.0):
    def read():
        with open("/proc/stat") as f:
            v = list(map(int, f.readline().split()[1:9]))
        return sum(v) - v[3] - v[4], sum(v)

    b0, t0 = read()
    time.sleep(secs)
    b1, t1 = read()
    return 100.0 * (b1 - b0) / max(1, t1 - t0)


def run(a):
    tg = targets_of(a)
    rx = re.compile(a.steps)
    with open(a.out, "a") as out:
        for rnd in range(a.rounds):
            for step, cmd, limit, cap in STEPS:
                if not rx.search(step) or (cap and rnd >= cap):
                    continue
                for name, args in tg:
                    if "!%s" % step in a.skip or "!%s:%s" % (name, step) in a.skip:
                        continue
                    if a.quiet:
                        end = time.time() + a.quiet_wait
                        while machine_busy() > a.quiet and time.time() < end:
                            pass
                    argv = (
                        [sys.executable, "-B", BENCH]
                        + shlex.split(cmd.replace("@box", "--user " + a.box_user))
                        + expand(args)
                    )
                    t = time.time()
                    try:
                        p = subprocess.run(argv, capture_output=True, text=True, timeout=limit)
                        try:
                            rec = json.loads(p.stdout)
                        except ValueError:
                            rec = {"failed": (p.stderr.strip().splitlines() or ["rc %d" % p.returncode])[-1][:300]}
                    except subprocess.TimeoutExpired:
                        rec = {"failed": "timeout %d s" % limit}
                    rec = dict({"target": name, "step": step, "round": rnd}, **rec)
                    out.write(json.dumps(rec, separators=(",", ":")) + "\n")
                    out.flush()
                    print(
                        "%s %-18s %-8s %6.1fs other %s%% %s"
                        % (
                            time.strftime("%H:%M:%S"),
                            step,
                            name,
                            time.time() - t,
                            rec.get("other_cpu_pct", "?"),
                            rec.get("failed", ""),
                        ),
                        flush=True,
                    )


def fill(a):
    for name, args in targets_of(a):
        for b in a.boxes.split(","):
            subprocess.run(
                [
                    sys.executable,
                    "-B",
                    BENCH,
                    "imap-append",
                    "--count",
                    str(BOXES[b]),
                    "--mailbox",
                    "big" + b,
                    "--concurrency",
                    "1",
                ]
                + expand(args)
                + ["--user", a.box_user],
                check=True,
            )


def dig(d, path):
    for k in path.split("."):
        if not isinstance(d, dict) or k not in d:
            return None
        d = d[k]
    return d if isinstance(d, (int, float)) else None


def table(a):
    recs = []
    for f in a.files:
        with open(f) as fh:
            # rounds of different files stay apart, so that only runs made together are paired
            for line in fh:
                if line.strip():
                    r = json.loads(line)
                    r["round"] = "%s:%s" % (f, r["round"])
                    if "failed" in r or r.get("other_cpu_pct", 0) <= a.max_other:
                        recs.append(r)
    names = []
    for r in recs:
        if r["target"] not in names:
            names.append(r["target"])
    base = a.base or names[0]
    others = [n for n in names if n != base]
    print("| metric | " + " | ".join([base] + ["%s | %s vs %s" % (n, n, base) for n in others]) + " |")
    print("|---" * (2 + 2 * len(others)) + "|")
    for title, step, path, better in ROWS:
        vals = {}
        for r in recs:
            if r["step"] == step:
                v = dig(r, path)
                if v is not None:
                    vals.setdefault(r["target"], {}).setdefault(r["round"], []).append(v)
        if not vals:
            continue

        def cell(n):
            if n not in vals:
                fails = [r["failed"] for r in recs if r["step"] == step and r["target"] == n and "failed" in r]
                return "failed" if fails else "-"
            v = [x for xs in vals[n].values() for x in xs]
            m = statistics.median(v)
            g = lambda x: "%.4g" % x if abs(x) < 10000 else "%.0f" % x
            return g(m) if len(v) < 2 else "%s (%s..%s)" % (g(m), g(min(v)), g(max(v)))

        row = [title, cell(base)]
        for n in others:
            row.append(cell(n))
            ratios = []
            for rnd, xs in vals.get(n, {}).items():
                b = vals.get(base, {}).get(rnd)
                if b and statistics.median(b) and statistics.median(xs):
                    q = statistics.median(xs) / statistics.median(b)
                    ratios.append(q if better == "hi" else 1 / q)
            row.append("%.2fx" % statistics.median(ratios) if ratios else "-")
        print("| " + " | ".join(row) + " |")
    print(
        "\n(median (min..max) over rounds; 'X vs %s' = median of the paired ratios, above 1 means X is better)" % base
    )


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="what", required=True)
    p = sub.add_parser("run")
    p.add_argument("--target", action="append", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", default=".")
    p.add_argument("--skip", action="append", default=[], help="!STEP or !TARGET:STEP")
    p.add_argument("--box-user", default="user40")
    p.add_argument("--quiet", type=float, default=0, help="wait until the machine is below this %% busy")
    p.add_argument("--quiet-wait", type=float, default=20)
    p = sub.add_parser("fill")
    p.add_argument("--target", action="append", required=True)
    p.add_argument("--box-user", default="user40")
    p.add_argument("--boxes", default="1k,10k")
    p = sub.add_parser("table")
    p.add_argument("files", nargs="+")
    p.add_argument("--base", default="")
    p.add_argument(
        "--max-other",
        type=float,
        default=1000,
        help="ignore records with more than this %% of the machine used by other programs",
    )
    a = ap.parse_args()
    {"run": run, "fill": fill, "table": table}[a.what](a)


if __name__ == "__main__":
    main()
