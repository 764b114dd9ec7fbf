#!/usr/bin/env python3
"""Raw limits of this machine, one JSON line each (stdlib; uvloop when importable).

  physlimits.py DIR [--seconds 3] [--repeat 3] [--only fsync,newfile,sqlite,echo]

fsync    4 KB append + fdatasync on one file, 1 thread and 16 threads (own file each),
         and group commit: 16 appends to one file, then one fdatasync
newfile  create + write 4 KB + fsync + rename + fsync(directory): a Maildir delivery
sqlite   WAL commits/s, synchronous=FULL and NORMAL, one row of 2 KB a commit, and
         FULL with 16 rows a commit
echo     loopback TCP request/response of 64 octets: bare asyncio.Protocol server,
         asyncio streams server, uvloop server; client is a separate process
"""

import argparse
import asyncio
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

now = time.perf_counter


def emit(name, rates, lats=None, **kw):
    out = {
        "limit": name,
        "per_s": round(statistics.median(rates), 1),
        "min": round(min(rates), 1),
        "max": round(max(rates), 1),
        "n": len(rates),
    }
    if lats:
        lats = sorted(lats)
        out["p50_ms"] = round(lats[len(lats) // 2] * 1000, 3)
        out["p99_ms"] = round(lats[int(len(lats) * 0.99)] * 1000, 3)
    out.update(kw)
    print(json.dumps(out, separators=(",", ":")), flush=True)


def fsync_threads(d, threads, secs, group=1):
    stop = now() + secs
    counts, lats = [0] * threads, []
    block = os.urandom(4096)

    def run(k):
        p = os.path.join(d, "f%d" % k)
        fd = os.open(p, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC, 0o600)
        mine = []
        while now() < stop:
            t = now()
            for _ in range(group):
                os.write(fd, block)
            os.fdatasync(fd)
            mine.append(now() - t)
            counts[k] += group
        os.close(fd)
        os.unlink(p)
        lats.extend(mine)

    t0 = now()
    ts = [threading.Thread(target=run, args=(k,)) for k in range(threads)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    return sum(counts) / (now() - t0), lats


def newfile(d, threads, secs, dirsync=True):
    stop = now() + secs
    counts, lats = [0] * threads, []
    block = os.urandom(4096)

    def run(k):
        b = os.path.join(d, "nf%d" % k)
        os.makedirs(b, exist_ok=True)
        dfd = os.open(b, os.O_RDONLY)
        i = 0
        while now() < stop:
            t = now()
            fd = os.open("%s/t%d" % (b, i), os.O_CREAT | os.O_WRONLY, 0o600)
            os.write(fd, block)
            os.fsync(fd)
            os.close(fd)
            os.rename("%s/t%d" % (b, i), "%s/m%d" % (b, i))
            if dirsync:
                os.fsync(dfd)
            lats.append(now() - t)
            i += 1
        counts[k] = i
        for j in range(i):
            os.unlink("%s/m%d" % (b, j))
        os.close(dfd)
        os.rmdir(b)

    t0 = now()
    ts = [threading.Thread(target=run, args=(k,)) for k in range(threads)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    return sum(counts) / (max(secs, min(now() - t0, secs * 1.2))), lats


def sqlite_rate(d, sync, rows, secs):
    p = os.path.join(d, "t.db")
    db = sqlite3.connect(p, isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=%s" % sync)
    db.execute("create table t(id integer primary key, x blob)")
    blob, n, lats = os.urandom(2048), 0, []
    t0 = now()
    while now() - t0 < secs:
        t = now()
        db.execute("begin immediate")
        for _ in range(rows):
            db.execute("insert into t(x) values(?)", (blob,))
        db.execute("commit")
        lats.append(now() - t)
        n += 1
    rate = n / (now() - t0)
    db.close()
    for s in ("", "-wal", "-shm"):
        if os.path.exists(p + s):
            os.unlink(p + s)
    return rate, lats


SERVER = r"""
import asyncio, socket, sys
mode = sys.argv[1]
if mode.startswith("uvloop"):
    import uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
class P(asyncio.Protocol):
    def connection_made(self, t):
        self.t = t
        t.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    def data_received(self, d):
        self.t.write(d)
async def h(r, w):
    try:
        while True:
            d = await r.readline()
            if not d: break
            w.write(d)
            await w.drain()
    except ConnectionError: pass
    w.close()
async def main():
    loop = asyncio.get_running_loop()
    if mode.endswith("streams"):
        s = await asyncio.start_server(h, "127.0.0.1", 0)
    else:
        s = await loop.create_server(P, "127.0.0.1", 0)
    print(s.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def echo(mode, conns, secs):
    p = subprocess.Popen([sys.executable, "-c", SERVER, mode], stdout=subprocess.PIPE, text=True)
    try:
        port = int(p.stdout.readline())
        import select

        socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(conns)]
        for s in socks:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        msg = b"x" * 62 + b"\r\n"
        ep = select.epoll()
        by = {s.fileno(): s for s in socks}
        for s in socks:
            ep.register(s, select.EPOLLIN)
        n, t0 = 0, now()
        for s in socks:
            s.send(msg)
        while now() - t0 < secs:
            for fd, _ in ep.poll(1):
                s = by[fd]
                s.recv(256)
                n += 1
                s.send(msg)
        rate = n / (now() - t0)
        for s in socks:
            s.close()
        return rate
    finally:
        p.kill()
        p.wait()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("dir")
    ap.add_argument("--seconds", type=float, default=3)
    ap.add_argument("--repeat", type=int, default=3)
    ap.add_argument("--only", default="fsync,newfile,sqlite,echo")
    a = ap.parse_args()
    only = a.only.split(",")
    os.makedirs(a.dir, exist_ok=True)

    def series(name, fn, *args):
        rates, lats = [], []
        for _ in range(a.repeat):
            r = fn(*args)
            if isinstance(r, tuple):
                rates.append(r[0])
                lats += r[1]
            else:
                rates.append(r)
        emit(name, rates, lats)

    if "fsync" in only:
        series("append4k+fdatasync_1thread", fsync_threads, a.dir, 1, a.seconds)
        series("append4k+fdatasync_16threads", fsync_threads, a.dir, 16, a.seconds)
        series("16x_append4k+1_fdatasync", fsync_threads, a.dir, 1, a.seconds, 16)
    if "newfile" in only:
        series("newfile4k+fsync+rename+dirsync_1thread", newfile, a.dir, 1, a.seconds)
        series("newfile4k+fsync+rename+dirsync_16threads", newfile, a.dir, 16, a.seconds)
        series("newfile4k+fsync+rename_16threads", newfile, a.dir, 16, a.seconds, False)
    if "sqlite" in only:
        series("sqlite_wal_full_commit", sqlite_rate, a.dir, "full", 1, a.seconds)
        series("sqlite_wal_full_commit_16rows", sqlite_rate, a.dir, "full", 16, a.seconds)
        series("sqlite_wal_normal_commit", sqlite_rate, a.dir, "normal", 1, a.seconds)
    if "echo" in only:
        modes = ["asyncio_protocol", "asyncio_streams"]
        try:
            import uvloop  # noqa: F401

            modes += ["uvloop_protocol", "uvloop_streams"]
        except ImportError:
            pass
        for m in modes:
            for c in (1, 50):
                series("echo_%s_%dconn" % (m, c), echo, m, c, a.seconds)


if __name__ == "__main__":
    main()
