#!/usr/bin/env python3
"""Side-by-side benchmark driver for any SMTP + IMAP server (stdlib only).

Every subcommand prints exactly one JSON line on stdout.  Common options go after
the subcommand:  --host --smtp-port --imap-port --user --password --domain --users
--pid (server root pids, comma separated: adds CPU seconds and PSS of the tree).

  smtp-ingest   N messages over C sessions; DATA->250 latency; time until all are
                visible through IMAP
  imap-append   APPEND rate
  imap-login    connect + LOGIN + LOGOUT per second
  imap-select   SELECT latency
  imap-fetch    FETCH of flags / envelopes / first page / bodies
  imap-search   SEARCH latencies
  imap-store    STORE, COPY, MOVE, EXPUNGE
  imap-idle     K idlers; delivery -> untagged EXISTS latency
  soak          mixed random operations for T seconds, counts errors
  pss           memory of the server tree only

User names: --user is used as is; with --users N the driver uses user1..userN
(--user-format, default "user%d") in round-robin.  --login-domain appends @domain
to the LOGIN name.
"""

import argparse
import asyncio
import json
import os
import random
import re
import resource
import socket
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from msggen import MessageFactory, EPOCH  # noqa: E402

now = time.perf_counter


# ---------------------------------------------------------------- measurement
def pct(values, p):
    if not values:
        return None
    v = sorted(values)
    return v[min(len(v) - 1, int(len(v) * p / 100.0))]


def ms(x):
    return None if x is None else round(x * 1000, 3)


def lat(values):
    return {
        "n": len(values),
        "p50_ms": ms(pct(values, 50)),
        "p90_ms": ms(pct(values, 90)),
        "p99_ms": ms(pct(values, 99)),
        "max_ms": ms(max(values) if values else None),
    }


def series(values):
    return {
        "median_ms": ms(statistics.median(values)),
        "min_ms": ms(min(values)),
        "max_ms": ms(max(values)),
        "first_ms": ms(values[0]),
        "n": len(values),
    }


def proc_tree(roots):
    parent = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                with open("/proc/%s/stat" % d) as f:
                    parent[int(d)] = int(f.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
    kids = {}
    for p, pp in parent.items():
        kids.setdefault(pp, []).append(p)
    out, todo = [], [r for r in roots if r in parent]
    while todo:
        p = todo.pop()
        out.append(p)
        todo += kids.get(p, [])
    return out


def tree_usage(roots, memory=True):
    """(cpu seconds incl. reaped children, PSS KiB, number of processes) of the trees"""
    hz = os.sysconf("SC_CLK_TCK")
    cpu = pss = 0
    tree = proc_tree(roots)
    for p in tree:
        try:
            with open("/proc/%d/stat" % p) as f:
                s = f.read().rsplit(")", 1)[1].split()
            cpu += sum(map(int, s[11:15]))
            if memory:
                with open("/proc/%d/smaps_rollup" % p) as f:
                    for line in f:
                        if line.startswith("Pss:"):
                            pss += int(line.split()[1])
                            break
        except OSError:
            pass
    return cpu / hz, pss, len(tree)


def busy_cpu():
    """CPU seconds used by the whole machine since boot (idle and iowait excluded)"""
    with open("/proc/stat") as f:
        v = list(map(int, f.readline().split()[1:9]))
    return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


class Meter:
    """Adds wall, client CPU, server CPU, CPU of everything else, and PSS to a result."""

    def __init__(self, args):
        self.pids = args.pids
        self.start()

    def start(self):
        self.srv = tree_usage(self.pids) if self.pids else None
        r = resource.getrusage(resource.RUSAGE_SELF)
        self.cpu = r.ru_utime + r.ru_stime
        self.busy = busy_cpu()
        self.t = now()

    def stop(self, out, ops=None):
        wall = now() - self.t
        r = resource.getrusage(resource.RUSAGE_SELF)
        out["wall_s"] = round(wall, 3)
        out["client_cpu_s"] = round(r.ru_utime + r.ru_stime - self.cpu, 3)
        busy = busy_cpu() - self.busy
        if self.srv:
            cpu, pss, n = tree_usage(self.pids)
            # CPU of other programs, as % of the machine: the noise this run suffered
            rest = busy - out["client_cpu_s"] - (cpu - self.srv[0])
            out["other_cpu_pct"] = round(max(0, rest) * 100 / max(wall, 0.001) / os.cpu_count(), 1)
            out["server_cpu_s"] = round(cpu - self.srv[0], 3)
            out["server_pss_mb_before"] = round(self.srv[1] / 1024, 1)
            out["server_pss_mb_after"] = round(pss / 1024, 1)
            out["server_procs"] = n
            if ops:
                out["server_cpu_ms_per_op"] = round((cpu - self.srv[0]) * 1000 / ops, 4)
        return out


# ---------------------------------------------------------------- IMAP wire
_LIT = re.compile(rb"\{(\d+)\+?\}$")


class ImapError(Exception):
    pass


class ImapFeed:
    """Incremental response splitter, literal aware.

    feed() calls line(first_line, rest) for each complete response; `rest` is a list
    of (literal, following line) pairs, kept only when keep is true.
    """

    def __init__(self, line):
        self.line = line
        self.buf = bytearray()
        self.pos = 0
        self.need = 0  # literal octets still to skip
        self.first = None
        self.rest = []
        self.lit = None
        self.keep = False
        self.bytes = 0

    def feed(self, data):
        self.bytes += len(data)
        if self.need:
            if len(data) <= self.need and not self.buf:
                self.need -= len(data)
                if self.lit is not None:
                    self.lit += data
                return
        buf = self.buf
        buf += data
        pos, n = 0, len(buf)
        while True:
            if self.need:
                k = min(self.need, n - pos)
                if self.lit is not None:
                    self.lit += buf[pos : pos + k]
                pos += k
                self.need -= k
                if self.need:
                    break
            e = buf.find(b"\r\n", pos)
            if e < 0:
                break
            ln = bytes(buf[pos:e])
            pos = e + 2
            if self.first is None:
                self.first = ln
            elif self.keep:
                self.rest.append((bytes(self.lit or b""), ln))
            if ln.endswith(b"}"):
                m = _LIT.search(ln)
                if m:
                    self.need = int(m.group(1))
                    self.lit = bytearray() if self.keep else None
                    continue
            f, r = self.first, self.rest
            self.first, self.rest, self.lit = None, [], None
            self.line(f, r)
        del buf[:pos]


class SyncImap:
    """Blocking client: lowest overhead, for single-connection latency."""

    def __init__(self, host, port, timeout=300):
        self.s = socket.create_connection((host, port), timeout, source())
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.feed = ImapFeed(self._line)
        self.view = memoryview(bytearray(1 << 18))
        self.n = 0
        self.untagged = []
        self.count = 0
        self.collect = True
        self.tag = None
        self.done = None
        self.cont = False
        self.caps = b""
        self.tag = b"*"
        while not self.untagged:
            self._pump()
        m = re.search(rb"CAPABILITY ([^\]]*)", self.untagged[0])
        if m:
            self.caps = m.group(1).upper()
        self.untagged = []

    def _line(self, first, rest):
        if first.startswith(b"* "):
            self.count += 1
            if self.collect:
                self.untagged.append(first if not rest else (first, rest))
        elif first.startswith(b"+"):
            self.cont = True
        elif self.tag and first.startswith(self.tag):
            self.done = first[len(self.tag) + 1 :]
        else:
            raise ImapError("unexpected %r" % first[:200])

    def _pump(self):
        k = self.s.recv_into(self.view)
        if not k:
            raise ImapError("connection closed by server")
        self.feed.feed(self.view[:k])

    def cmd(self, line, collect=True, ok=True):
        """Returns (status, untagged count, seconds, octets)."""
        if isinstance(line, str):
            line = line.encode()
        self.n += 1
        self.tag = b"a%d" % self.n
        self.done = None
        self.untagged = []
        self.count = 0
        self.collect = collect
        self.feed.keep = collect
        b0 = self.feed.bytes
        t = now()
        self.s.sendall(self.tag + b" " + line + b"\r\n")
        while self.done is None:
            self._pump()
        dt = now() - t
        if ok and not self.done.upper().startswith(b"OK"):
            raise ImapError("%r -> %r" % (line[:120], self.done[:200]))
        return self.done, self.count, dt, self.feed.bytes - b0

    def login(self, user, pw):
        self.cmd('LOGIN "%s" "%s"' % (user, pw))
        m = re.search(rb"CAPABILITY ([^\]]*)", self.done)
        if m:
            self.caps = m.group(1).upper()
        else:
            self.cmd("CAPABILITY")
            self.caps = b" ".join(u for u in self.untagged if isinstance(u, bytes)).upper()
        return self

    def append(self, box, msg, flags="", date=None):
        head = 'APPEND "%s" %s{%d' % (box, ("(%s) " % flags) if flags else "", len(msg))
        self.n += 1
        self.tag = b"a%d" % self.n
        self.done, self.cont, self.collect = None, False, False
        t = now()
        if b"LITERAL+" in self.caps or (b"LITERAL-" in self.caps and len(msg) <= 4096):
            self.s.sendall(self.tag + b" " + head.encode() + b"+}\r\n" + msg + b"\r\n")
        else:
            self.s.sendall(self.tag + b" " + head.encode() + b"}\r\n")
            while not self.cont and self.done is None:
                self._pump()
            if self.done is None:
                self.s.sendall(msg + b"\r\n")
        while self.done is None:
            self._pump()
        if not self.done.upper().startswith(b"OK"):
            raise ImapError("APPEND -> %r" % self.done[:200])
        return now() - t

    def select(self, box, readonly=False):
        r = self.cmd('%s "%s"' % ("EXAMINE" if readonly else "SELECT", box))
        self.exists = 0
        for u in self.untagged:
            m = re.match(rb"\* (\d+) EXISTS", u) if isinstance(u, bytes) else None
            if m:
                self.exists = int(m.group(1))
        return r

    def close(self):
        try:
            self.cmd("LOGOUT", ok=False)
        except (ImapError, OSError):
            pass
        self.s.close()


class AsyncImap(asyncio.Protocol):
    """Callback client for many connections at once."""

    def __init__(self):
        self.feed = ImapFeed(self._line)
        self.n = 0
        self.tag = b"*"
        self.caps = b""
        self.untagged = []
        self.keep = True
        self.fut = None
        self.cont = None
        self.on_untagged = None
        self.greet = asyncio.get_running_loop().create_future()
        self.tr = None
        self.lost = None
        self.exists = 0

    def connection_made(self, tr):
        self.tr = tr
        s = tr.get_extra_info("socket")
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        try:
            self.feed.feed(data)
        except Exception as e:  # protocol damage: fail whoever waits
            self._fail(e)
            self.tr.abort()

    def connection_lost(self, exc):
        self.lost = exc or ImapError("connection closed by server")
        self._fail(self.lost)

    def _fail(self, e):
        for f in (self.greet, self.fut, self.cont):
            if f is not None and not f.done():
                f.set_exception(e if isinstance(e, Exception) else ImapError(str(e)))

    def _line(self, first, rest):
        if first.startswith(b"* "):
            if not self.greet.done():
                m = re.search(rb"CAPABILITY ([^\]]*)", first)
                if m:
                    self.caps = m.group(1).upper()
                self.greet.set_result(first)
                return
            if self.on_untagged:
                self.on_untagged(self, first)
            if first.endswith(b" EXISTS"):
                self.exists = int(first.split()[1])
            if self.keep:
                self.untagged.append(first)
        elif first.startswith(b"+"):
            if self.cont and not self.cont.done():
                self.cont.set_result(first)
        elif self.fut and not self.fut.done() and first.startswith(self.tag + b" "):
            self.fut.set_result(first[len(self.tag) + 1 :])
        else:
            raise ImapError("unexpected %r" % first[:200])

    @classmethod
    async def open(cls, host, port, timeout=120):
        loop = asyncio.get_running_loop()
        _, p = await asyncio.wait_for(loop.create_connection(cls, host, port, local_addr=source()), timeout)
        await asyncio.wait_for(p.greet, timeout)
        return p

    async def cmd(self, line, ok=True):
        if isinstance(line, str):
            line = line.encode()
        if self.lost:
            raise self.lost
        self.n += 1
        self.tag = b"a%d" % self.n
        self.untagged = []
        self.fut = asyncio.get_running_loop().create_future()
        self.tr.write(self.tag + b" " + line + b"\r\n")
        done = await self.fut
        if ok and not done.upper().startswith(b"OK"):
            raise ImapError("%r -> %r" % (line[:120], done[:200]))
        return done

    async def login(self, user, pw):
        done = await self.cmd('LOGIN "%s" "%s"' % (user, pw))
        m = re.search(rb"CAPABILITY ([^\]]*)", done)
        if m:
            self.caps = m.group(1).upper()
        return self

    async def capability(self):
        if b"IMAP4REV" not in self.caps or b"LITERAL" not in self.caps:
            await self.cmd("CAPABILITY")
            self.caps = b" ".join(self.untagged).upper()

    async def append(self, box, msg, flags=""):
        loop = asyncio.get_running_loop()
        head = ('APPEND "%s" %s{%d' % (box, ("(%s) " % flags) if flags else "", len(msg))).encode()
        self.n += 1
        self.tag = b"a%d" % self.n
        self.untagged = []
        self.fut = loop.create_future()
        if b"LITERAL+" in self.caps or (b"LITERAL-" in self.caps and len(msg) <= 4096):
            self.tr.write(self.tag + b" " + head + b"+}\r\n" + msg + b"\r\n")
        else:
            self.cont = loop.create_future()
            self.tr.write(self.tag + b" " + head + b"}\r\n")
            await asyncio.wait((self.cont, self.fut), return_when=asyncio.FIRST_COMPLETED)
            if not self.fut.done():
                self.tr.write(msg + b"\r\n")
            self.cont = None
        done = await self.fut
        if not done.upper().startswith(b"OK"):
            raise ImapError("APPEND -> %r" % done[:200])
        return done

    async def idle(self):
        if self.lost:
            raise self.lost
        loop = asyncio.get_running_loop()
        self.n += 1
        self.tag = b"a%d" % self.n
        self.fut = loop.create_future()
        self.cont = loop.create_future()
        self.tr.write(self.tag + b" IDLE\r\n")
        await asyncio.wait((self.cont, self.fut), return_when=asyncio.FIRST_COMPLETED)
        if self.fut.done():
            raise ImapError("IDLE -> %r" % (self.fut.result(),))
        self.cont = None

    async def done_idle(self):
        self.tr.write(b"DONE\r\n")
        return await self.fut

    async def logout(self):
        try:
            await asyncio.wait_for(self.cmd("LOGOUT", ok=False), 30)
        except Exception:
            pass
        self.tr.close()


# ---------------------------------------------------------------- SMTP wire
class SmtpError(Exception):
    pass


class AsyncSmtp(asyncio.Protocol):
    def __init__(self):
        self.buf = b""
        self.cur = []
        self.replies = []
        self.waiter = None
        self.tr = None
        self.lost = None
        self.ext = b""
        self.stamp = 0.0

    def connection_made(self, tr):
        self.tr = tr
        tr.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc):
        self.lost = exc or SmtpError("connection closed by server")
        if self.waiter and not self.waiter.done():
            self.waiter.set_exception(self.lost)

    def data_received(self, data):
        self.stamp = now()
        self.buf += data
        while True:
            e = self.buf.find(b"\n")
            if e < 0:
                return
            ln, self.buf = self.buf[:e].rstrip(b"\r"), self.buf[e + 1 :]
            self.cur.append(ln[4:])
            if ln[3:4] != b"-":
                self.replies.append((int(ln[:3]), b"\n".join(self.cur)))
                self.cur = []
                if self.waiter and not self.waiter.done():
                    self.waiter.set_result(None)

    async def reply(self, want=2):
        while not self.replies:
            if self.lost:
                raise self.lost
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        code, text = self.replies.pop(0)
        if want and code // 100 != want:
            raise SmtpError("%d %s" % (code, text.decode("latin-1")[:200]))
        return code, text

    @classmethod
    async def open(cls, host, port, helo="bench.test"):
        loop = asyncio.get_running_loop()
        _, p = await loop.create_connection(cls, host, port, local_addr=source())
        await p.reply()
        p.tr.write(b"EHLO " + helo.encode() + b"\r\n")
        _, p.ext = await p.reply()
        p.ext = p.ext.upper()
        return p

    async def send(self, mail_from, rcpts, stuffed, pipelining=True):
        """stuffed: dot-stuffed message ending in CRLF. Returns (txn s, 354->250 s)."""
        t0 = now()
        size = b" SIZE=%d" % len(stuffed) if b"SIZE" in self.ext else b""
        lines = [b"MAIL FROM:<" + mail_from + b">" + size] + [b"RCPT TO:<" + r + b">" for r in rcpts] + [b"DATA"]
        if pipelining and b"PIPELINING" in self.ext:
            self.tr.write(b"\r\n".join(lines) + b"\r\n")
            bad = None
            for _ in range(len(lines) - 1):
                code, text = await self.reply(0)
                if code // 100 != 2 and not bad:
                    bad = (code, text)
            code, text = await self.reply(0)
            if code == 354 and bad:
                self.tr.write(b".\r\n")
                await self.reply(0)
            if bad:
                raise SmtpError("%d %s" % (bad[0], bad[1].decode("latin-1")[:200]))
            if code != 354:
                raise SmtpError("%d %s" % (code, text.decode("latin-1")[:200]))
        else:
            for i, ln in enumerate(lines):
                self.tr.write(ln + b"\r\n")
                await self.reply(3 if i == len(lines) - 1 else 2)
        t1 = now()
        self.tr.write(stuffed + b".\r\n")
        await self.reply()
        t2 = self.stamp
        return t2 - t0, t2 - t1

    async def quit(self):
        try:
            self.tr.write(b"QUIT\r\n")
            await asyncio.wait_for(self.reply(0), 10)
        except Exception:
            pass
        self.tr.close()


def stuff(msg):
    if msg.startswith(b"."):
        msg = b"." + msg
    if b"\r\n." in msg:
        msg = msg.replace(b"\r\n.", b"\r\n..")
    return msg


# ---------------------------------------------------------------- helpers
SPREAD = 0


def source():
    """local address: with --source-spread each connection comes from another 127.x.y.z"""
    global SPREAD
    if not SPREAD:
        return None
    SPREAD += 1
    return ("127.%d.%d.%d" % (1 + SPREAD % 199, 1 + SPREAD // 199 % 250, 1 + SPREAD // 49750 % 250), 0)


def user_list(a):
    if a.users:
        return [a.user_format % i for i in range(1, a.users + 1)]
    return [a.user]


def login_name(a, u):
    return "%s@%s" % (u, a.domain) if a.login_domain and "@" not in u else u


def mailbox_of(a, u):
    return (u if "@" in u else "%s@%s" % (u, a.domain)).encode()


def sync_login(a, user=None):
    return SyncImap(a.host, a.imap_port).login(login_name(a, user or a.user), a.password)


async def status_messages(c, box="INBOX"):
    await c.cmd('STATUS "%s" (MESSAGES)' % box)
    for u in c.untagged:
        m = re.search(rb"MESSAGES (\d+)", u)
        if m:
            return int(m.group(1))
    raise ImapError("no STATUS reply")


def pool(a, count, users):
    """Generated messages, shared between sends; capped so that memory stays bounded."""
    f = MessageFactory(a.seed, a.domain)
    cap = {"2k": 2000, "50k": 400, "1m": 60, "mix": 600}.get(a.size, 200)
    return [f.make(a.start + i, a.size, users[i % len(users)]) for i in range(min(count, cap))]


# ---------------------------------------------------------------- subcommands
async def smtp_ingest(a):
    users = user_list(a)
    msgs = [(stuff(m)) for m in pool(a, a.count, users)]
    per = a.rcpts
    watchers, base = {}, {}
    if not a.no_visible:
        for u in users:
            c = await AsyncImap.open(a.host, a.imap_port)
            await c.login(login_name(a, u), a.password)
            watchers[u] = c
            base[u] = await status_messages(c)
    expect = dict.fromkeys(users, 0)
    todo = iter(range(a.count))
    txn, data, errs, errtext, octets = [], [], 0, {}, 0
    stop_at = now() + a.time_limit

    async def session():
        nonlocal errs, octets
        c, used = None, 0
        for i in todo:
            if now() > stop_at:
                break
            try:
                if c is None:
                    c = await AsyncSmtp.open(a.host, a.smtp_port)
                    used = 0
                rc = [users[(i * per + k) % len(users)] for k in range(per)]
                m = msgs[i % len(msgs)]
                t, d = await c.send(
                    b"person%d@corp%d.test" % (i % 200, i % 20) if a.mail_from is None else a.mail_from.encode(),
                    [mailbox_of(a, u) for u in rc],
                    m,
                    not a.no_pipelining,
                )
                txn.append(t)
                data.append(d)
                octets += len(m)
                for u in rc:
                    expect[u] += 1
                used += 1
                if a.per_session and used >= a.per_session:
                    await c.quit()
                    c = None
            except (SmtpError, OSError) as e:
                errs += 1
                errtext[str(e)[:80]] = errtext.get(str(e)[:80], 0) + 1
                if c:
                    c.tr.abort()
                c = None
        if c:
            await c.quit()

    meter = Meter(a)
    t0 = now()
    await asyncio.gather(*(session() for _ in range(a.concurrency)))
    acc = now() - t0
    out = {
        "cmd": "smtp-ingest",
        "size": a.size,
        "sessions": a.concurrency,
        "per_session": a.per_session,
        "rcpts": per,
        "accepted": len(data),
        "errors": errs,
        "accept_s": round(acc, 3),
        "accepted_per_s": round(len(data) / acc, 1),
        "mb_per_s": round(octets / acc / 1e6, 2),
        "data_to_250": lat(data),
        "mail_to_250": lat(txn),
    }
    if errtext:
        out["error_text"] = errtext
    if not a.no_visible:
        left = {u for u in users if expect[u]}
        deadline = now() + a.visible_timeout
        while left and now() < deadline:
            for u in sorted(left):
                if await status_messages(watchers[u]) - base[u] >= expect[u]:
                    left.discard(u)
            if left:
                await asyncio.sleep(0.01)
        vis = now() - t0
        out.update(
            {
                "visible_s": round(vis, 3),
                "visible_lag_s": round(vis - acc, 3),
                "e2e_per_s": round(len(data) * per / vis, 1),
                "missing_users": len(left),
            }
        )
        over = 0
        for u in users:
            over += (await status_messages(watchers[u])) - base[u] - expect[u]
        out["count_excess"] = over
    meter.stop(out, len(data) * per or None)
    for c in watchers.values():
        await c.logout()
    return out


async def imap_append(a):
    users = user_list(a)
    msgs = pool(a, a.count, users)
    todo = iter(range(a.count))
    times, errs, octets = [], 0, 0
    conns = []
    for k in range(a.concurrency):
        c = await AsyncImap.open(a.host, a.imap_port)
        await c.login(login_name(a, users[k % len(users)]), a.password)
        await c.capability()
        if a.mailbox.upper() != "INBOX":
            await c.cmd('CREATE "%s"' % a.mailbox, ok=False)
        conns.append(c)

    async def run(c):
        nonlocal errs, octets
        for i in todo:
            m = msgs[i % len(msgs)]
            t = now()
            try:
                await c.append(a.mailbox, m, "\\Seen" if i % 3 else "")
                times.append(now() - t)
                octets += len(m)
            except (ImapError, OSError):
                errs += 1
                if c.lost:
                    return

    meter = Meter(a)
    t0 = now()
    await asyncio.gather(*(run(c) for c in conns))
    dt = now() - t0
    out = {
        "cmd": "imap-append",
        "size": a.size,
        "sessions": a.concurrency,
        "mailbox": a.mailbox,
        "literal_plus": b"LITERAL+" in conns[0].caps,
        "appended": len(times),
        "errors": errs,
        "append_per_s": round(len(times) / dt, 1),
        "mb_per_s": round(octets / dt / 1e6, 2),
        "latency": lat(times),
    }
    meter.stop(out, len(times) or None)
    for c in conns:
        await c.logout()
    return out


async def imap_login(a):
    users = user_list(a)
    todo = iter(range(a.count))
    times, errs, errtext = [], 0, {}

    async def run():
        nonlocal errs
        for i in todo:
            t = now()
            c = None
            try:
                c = await AsyncImap.open(a.host, a.imap_port)
                await c.cmd('LOGIN "%s" "%s"' % (login_name(a, users[i % len(users)]), a.password))
                if a.select:
                    await c.cmd("SELECT INBOX")
                await c.cmd("LOGOUT", ok=False)
                times.append(now() - t)
            except (ImapError, OSError, asyncio.TimeoutError) as e:
                errs += 1
                errtext[str(e)[:80]] = errtext.get(str(e)[:80], 0) + 1
            if c:
                c.tr.close()

    meter = Meter(a)
    t0 = now()
    await asyncio.gather(*(run() for _ in range(a.concurrency)))
    dt = now() - t0
    out = {
        "cmd": "imap-login",
        "sessions": a.concurrency,
        "select": a.select,
        "logins": len(times),
        "errors": errs,
        "logins_per_s": round(len(times) / dt, 1),
        "latency": lat(times),
    }
    if errtext:
        out["error_text"] = errtext
    return meter.stop(out, len(times) or None)


def imap_select(a):
    meter = Meter(a)
    # the first SELECT of this run, as the server finds it (cold if its caches are)
    c = sync_login(a)
    first = c.select(a.mailbox, a.examine)[2]
    n = c.exists
    same, status = [], []
    unselect = "UNSELECT" if b"UNSELECT" in c.caps else "CLOSE" if a.examine else 'EXAMINE "INBOX"'
    for _ in range(a.repeat):
        c.cmd(unselect, ok=False)
        same.append(c.select(a.mailbox, a.examine)[2])
    c.cmd(unselect, ok=False)
    for _ in range(a.repeat):
        status.append(c.cmd('STATUS "%s" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)' % a.mailbox)[2])
    c.close()
    fresh = []
    for _ in range(a.repeat):
        c = sync_login(a)
        fresh.append(c.select(a.mailbox, a.examine)[2])
        c.close()
    out = {
        "cmd": "imap-select",
        "mailbox": a.mailbox,
        "exists": n,
        "first_ms": ms(first),
        "reselect": series(same),
        "fresh_connection": series(fresh),
        "status": series(status),
    }
    return meter.stop(out)


def imap_fetch(a):
    out = {"cmd": "imap-fetch", "mailbox": a.mailbox}
    meter = Meter(a)
    c = sync_login(a)
    c.select(a.mailbox, True)
    n = out["exists"] = c.exists
    page = min(50, n)
    todo = {
        "uid_flags": "UID FETCH 1:* (UID FLAGS)",
        "first_page": "FETCH 1:%d (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)" % page,
        "last_page": "FETCH %d:%d (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)" % (max(1, n - 49), n),
        "page_headers": "FETCH %d:%d (UID FLAGS BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID)])"
        % (max(1, n - 49), n),
        "one_body": "FETCH %d (BODY.PEEK[])" % max(1, n // 2),
        "envelopes": "FETCH 1:%d (ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)" % min(n, a.envelope_limit),
        "bodies": "FETCH 1:%d (BODY.PEEK[])" % min(n, a.body_limit),
    }
    for name, line in todo.items():
        if a.only and name not in a.only.split(","):
            continue
        ts, got, octets = [], 0, 0
        reps = a.repeat if name not in ("envelopes", "bodies") else max(1, min(a.repeat, 3))
        if name in ("first_page", "last_page", "page_headers", "one_body"):
            reps = max(a.repeat, 5)
        for _ in range(reps):
            try:
                _, got, t, octets = c.cmd(line, collect=False)
            except ImapError as e:
                out[name] = {"error": str(e)[:160]}
                break
            ts.append(t)
        else:
            s = series(ts)
            s.update(
                {
                    "lines": got,
                    "octets": octets,
                    "msgs_per_s": round(got / statistics.median(ts), 1),
                    "mb_per_s": round(octets / statistics.median(ts) / 1e6, 2),
                }
            )
            out[name] = s
    c.close()
    return meter.stop(out)


def imap_search(a):
    out = {"cmd": "imap-search", "mailbox": a.mailbox}
    meter = Meter(a)
    c = sync_login(a)
    c.select(a.mailbox, True)
    n = out["exists"] = c.exists
    k = a.seq % 1000
    f = MessageFactory(a.seed, a.domain)
    half = time.strftime("%d-%b-%Y", time.gmtime(EPOCH + 97 * (n // 2)))
    todo = {
        "all": "SEARCH ALL",
        "unseen": "SEARCH UNSEEN",
        "from": 'SEARCH FROM "%s"' % f.sender(a.seq),
        "subject": 'SEARCH SUBJECT "[PRJ-%d]"' % (k % 100),
        "msgid": 'SEARCH HEADER MESSAGE-ID "%s"' % f.msgid(min(a.seq, max(0, n - 1))),
        "since": "SEARCH SINCE %s" % half,
        "sentsince": "SEARCH SENTSINCE %s" % half,
        "body": 'SEARCH BODY "needle%dx"' % k,
        "text": 'SEARCH TEXT "needle%dx"' % k,
        "text_cjk": None,
        "sort_date": "SORT (REVERSE DATE) UTF-8 ALL",
        "thread_refs": "THREAD REFERENCES UTF-8 ALL",
    }
    for name, line in todo.items():
        if a.only and name not in a.only.split(","):
            continue
        if name == "sort_date" and b"SORT" not in c.caps or name == "thread_refs" and b"THREAD=REF" not in c.caps:
            out[name] = {"error": "not offered"}
            continue
        ts, hits = [], 0
        for _ in range(a.repeat):
            try:
                if name == "text_cjk":
                    w = "预算".encode()
                    if b"LITERAL+" not in c.caps and b"LITERAL-" not in c.caps:
                        out[name] = {"error": "no LITERAL+"}
                        break
                    t = c.cmd(b"SEARCH CHARSET UTF-8 BODY {%d+}\r\n" % len(w) + w)[2]
                else:
                    t = c.cmd(line)[2]
            except ImapError as e:
                out[name] = {"error": str(e)[:160]}
                break
            ts.append(t)
            hits = 0
            for u in c.untagged:
                if isinstance(u, tuple):
                    u = u[0]
                if u.startswith((b"* SEARCH", b"* SORT")):
                    hits += len(u.split()) - 2
                elif u.startswith(b"* THREAD"):
                    hits += len(re.findall(rb"\d+", u))
                elif u.startswith(b"* ESEARCH"):
                    m = re.search(rb"ALL ([\d:,]+)", u)
                    for r in m.group(1).split(b",") if m else ():
                        lo, _, hi = r.partition(b":")
                        hits += int(hi or lo) - int(lo) + 1
            if t > a.slow:
                break
        if ts:
            out[name] = dict(series(ts), hits=hits)
    c.close()
    return meter.stop(out)


def imap_store(a):
    out = {"cmd": "imap-store", "mailbox": a.mailbox}
    meter = Meter(a)
    c = sync_login(a)
    tmp1, tmp2 = "bench-copy-%d" % os.getpid(), "bench-move-%d" % os.getpid()
    for t in (tmp1, tmp2):
        c.cmd('CREATE "%s"' % t)
    c.select(a.mailbox)
    n = out["exists"] = c.exists
    k = out["batch"] = min(a.batch, n)
    res = {}

    def add(name, t):
        res.setdefault(name, []).append(t)

    for _ in range(a.repeat):
        add("store_add_all", c.cmd("STORE 1:* +FLAGS (\\Flagged)", collect=False)[2])
        add("store_del_all", c.cmd("STORE 1:* -FLAGS (\\Flagged)", collect=False)[2])
        add("store_silent_all", c.cmd("STORE 1:* +FLAGS.SILENT (\\Answered)", collect=False)[2])
        c.cmd("STORE 1:* -FLAGS.SILENT (\\Answered)", collect=False)
        one = []
        for i in range(1, min(n, 100) + 1):
            one.append(c.cmd("STORE %d +FLAGS (\\Flagged)" % i, collect=False)[2])
        c.cmd("STORE 1:%d -FLAGS.SILENT (\\Flagged)" % min(n, 100), collect=False)
        add("store_one", statistics.median(one))
    for _ in range(a.repeat):
        c.select(a.mailbox)
        add("copy", c.cmd('COPY 1:%d "%s"' % (k, tmp1), collect=False)[2])
        c.select(tmp1)
        if b"MOVE" in c.caps:
            add("move", c.cmd('MOVE 1:* "%s"' % tmp2, collect=False)[2])
            c.select(tmp2)
        got = c.exists
        if got != k:
            out.setdefault("bad_counts", []).append(got)
        c.cmd("STORE 1:* +FLAGS.SILENT (\\Deleted)", collect=False)
        _, cnt, t, _ = c.cmd("EXPUNGE", collect=False)
        add("expunge", t)
        c.cmd('EXAMINE "INBOX"')
    for t in (tmp1, tmp2):
        c.cmd('DELETE "%s"' % t, ok=False)
    for name, ts in res.items():
        out[name] = series(ts)
    for name, cnt in (("store_add_all", n), ("copy", k), ("move", k), ("expunge", k)):
        if name in out:
            out[name]["msgs_per_s"] = round(cnt / (out[name]["median_ms"] / 1000), 1)
    c.close()
    return meter.stop(out)


async def imap_idle(a):
    users = user_list(a)
    k = a.connections
    out = {"cmd": "imap-idle", "connections": k, "users": len(users)}
    base = tree_usage(a.pids) if a.pids else None
    conns, times, errs, errtext = [], [], 0, {}
    todo = iter(range(k))
    arrivals = {}  # round-local: conn index -> stamp

    def untagged(c, line):
        if c.ready and line.endswith(b" EXISTS"):
            arrivals.setdefault(c.idx, now())

    async def opener():
        nonlocal errs
        for i in todo:
            t = now()
            try:
                c = await AsyncImap.open(a.host, a.imap_port)
                c.ready, c.idx, c.user = False, i, users[i % len(users)]
                c.keep = False
                c.on_untagged = untagged
                await asyncio.wait_for(c.cmd('LOGIN "%s" "%s"' % (login_name(a, c.user), a.password)), 120)
                await asyncio.wait_for(c.cmd('SELECT "INBOX"'), 120)
                await asyncio.wait_for(c.idle(), 120)
                c.ready = True
                conns.append(c)
                times.append(now() - t)
            except (ImapError, OSError, asyncio.TimeoutError) as e:
                errs += 1
                s = (str(e) or type(e).__name__)[:80]
                errtext[s] = errtext.get(s, 0) + 1

    meter = Meter(a)
    t0 = now()
    await asyncio.gather(*(opener() for _ in range(a.concurrency)))
    dt = now() - t0
    out.update(
        {
            "idling": len(conns),
            "errors": errs,
            "connect_s": round(dt, 2),
            "idlers_per_s": round(len(conns) / dt, 1),
            "connect_latency": lat(times),
        }
    )
    if errtext:
        out["error_text"] = errtext
    if base:
        await asyncio.sleep(a.settle)
        cpu, pss, n = tree_usage(a.pids)
        out["pss_kb_per_conn"] = round((pss - base[1]) / max(1, len(conns)), 1)
        out["pss_mb_total"] = round(pss / 1024, 1)
        out["procs"] = n
        out["connect_cpu_ms_per_conn"] = round((cpu - base[0]) * 1000 / max(1, len(conns)), 3)
    by_user = {}
    for c in conns:
        by_user.setdefault(c.user, []).append(c)
    f = MessageFactory(a.seed, a.domain)
    smtp = await AsyncSmtp.open(a.host, a.smtp_port) if a.deliver == "smtp" else None
    targets = sorted(by_user)[: a.targets]
    writer = {}
    if not smtp:
        for u in targets:
            w = await AsyncImap.open(a.host, a.imap_port)
            await w.login(login_name(a, u), a.password)
            await w.capability()
            writer[u] = w
    first, every, last, missed, expected = [], [], [], 0, 0
    r0 = now()
    for rnd in range(a.rounds):
        for u in targets:
            arrivals.clear()
            want = {c.idx for c in by_user[u]}
            expected += len(want)
            m = f.make(rnd * 1000 + 7, "2k", u)
            t = now()
            if smtp:
                await smtp.send(
                    b"person1@corp1.test" if a.mail_from is None else a.mail_from.encode(), [mailbox_of(a, u)], stuff(m)
                )
            else:
                await writer[u].append("INBOX", m)
            end = now() + a.idle_timeout
            while now() < end and not want <= arrivals.keys():
                await asyncio.sleep(0.002)
            got = [arrivals[i] - t for i in want if i in arrivals]
            missed += len(want) - len(got)
            every += got
            if got:
                first.append(min(got))
                last.append(max(got))
    out.update(
        {
            "deliver": a.deliver,
            "deliveries": a.rounds * len(targets),
            "notifications": len(every),
            "expected": expected,
            "missed": missed,
            "first_idler": lat(first),
            "each_idler": lat(every),
            "last_idler": lat(last),
            "rounds_s": round(now() - r0, 2),
        }
    )
    meter.stop(out)
    if a.hold:
        c0 = tree_usage(a.pids, False)[0] if a.pids else 0
        await asyncio.sleep(a.hold)
        if a.pids:
            out["quiet_cpu_pct"] = round((tree_usage(a.pids, False)[0] - c0) * 100 / a.hold, 2)
    alive = sum(1 for c in conns if not c.lost)
    out["alive_at_end"] = alive
    if smtp:
        await smtp.quit()
    for w in writer.values():
        await w.logout()
    for c in conns:
        c.tr.write(b"DONE\r\nz LOGOUT\r\n")
    await asyncio.sleep(0.5)
    for c in conns:
        c.tr.abort()
    return out


async def soak(a):
    users = user_list(a)
    f = MessageFactory(a.seed, a.domain)
    msgs = [f.make(i, "mix" if i % 50 == 0 else "2k") for i in range(300)]
    end = now() + a.duration
    ops, errs, texts = {}, {}, {}
    reconn = 0
    box2 = "bench-soak"

    def err(name, e):
        errs[name] = errs.get(name, 0) + 1
        s = "%s: %s" % (name, (str(e) or type(e).__name__)[:100])
        texts[s] = texts.get(s, 0) + 1

    async def worker(w):
        nonlocal reconn
        r = random.Random(a.seed * 1000 + w)
        c = None
        u = users[w % len(users)]
        while now() < end:
            if c is None or c.lost:
                try:
                    c = await AsyncImap.open(a.host, a.imap_port)
                    await c.login(login_name(a, u), a.password)
                    await c.capability()
                    await c.cmd('CREATE "%s"' % box2, ok=False)
                    await c.cmd('SELECT "INBOX"')
                    reconn += 1
                except Exception as e:
                    err("connect", e)
                    await asyncio.sleep(0.2)
                    c = None
                    continue
            op = r.choices(
                [
                    "append",
                    "page",
                    "body",
                    "search",
                    "flag",
                    "copy",
                    "move",
                    "expunge",
                    "noop",
                    "status",
                    "list",
                    "smtp",
                    "idle",
                    "reselect",
                    "relogin",
                ],
                weights=[8, 20, 15, 4, 12, 3, 3, 3, 10, 6, 4, 8, 4, 4, 2],
            )[0]
            t = now()
            n = max(1, c.exists)
            i = r.randint(1, n)
            try:

                async def do():
                    nonlocal c
                    if op == "append":
                        await c.append("INBOX", r.choice(msgs))
                    elif op == "page" and c.exists:
                        await c.cmd("FETCH %d:%d (UID FLAGS ENVELOPE RFC822.SIZE)" % (max(1, n - 49), n))
                    elif op == "body" and c.exists:
                        await c.cmd("FETCH %d (BODY.PEEK[])" % i)
                    elif op == "search":
                        await c.cmd('SEARCH SUBJECT "[PRJ-%d]"' % r.randrange(100))
                    elif op == "flag" and c.exists:
                        await c.cmd("STORE %d %sFLAGS (\\Seen)" % (i, r.choice("+-")))
                    elif op == "copy" and c.exists:
                        await c.cmd('COPY %d:%d "%s"' % (max(1, i - 4), i, box2))
                    elif op == "move" and c.exists and b"MOVE" in c.caps:
                        await c.cmd('MOVE %d "%s"' % (i, box2))
                        await c.cmd("NOOP")
                    elif op == "expunge" and c.exists:
                        await c.cmd("STORE %d +FLAGS.SILENT (\\Deleted)" % i)
                        await c.cmd("EXPUNGE")
                    elif op == "noop":
                        await c.cmd("NOOP")
                    elif op == "status":
                        await status_messages(c, box2)
                    elif op == "list":
                        await c.cmd('LIST "" "*"')
                    elif op == "smtp" and a.deliver == "smtp":
                        s = await AsyncSmtp.open(a.host, a.smtp_port)
                        await s.send(
                            b"p@corp1.test" if a.mail_from is None else a.mail_from.encode(),
                            [mailbox_of(a, u)],
                            stuff(r.choice(msgs)),
                        )
                        await s.quit()
                    elif op == "idle":
                        await c.idle()
                        await asyncio.sleep(0.02)
                        await c.done_idle()
                    elif op == "reselect":
                        if c.exists > a.soak_cap:
                            await c.cmd("STORE 1:%d +FLAGS.SILENT (\\Deleted)" % (c.exists // 2))
                            await c.cmd("EXPUNGE")
                        await c.cmd('SELECT "INBOX"')
                    elif op == "relogin":
                        await c.logout()
                        c = None

                await asyncio.wait_for(do(), 30)
                ops.setdefault(op, []).append(now() - t)
            except Exception as e:
                # a message expunged by another session may answer NO: that is legal
                if c is not None and not c.lost and isinstance(e, ImapError) and re.search(r"-> b.NO", str(e)):
                    ops.setdefault(op + "_no", []).append(now() - t)
                else:
                    err(op, e)
                if isinstance(e, asyncio.TimeoutError) and c:
                    c.tr.abort()
                    c = None
        if c:
            await c.logout()

    # count expunges so that c.exists stays right
    orig = AsyncImap._line

    def tracking(self, first, rest):
        if first.endswith(b" EXPUNGE") and first.startswith(b"* "):
            self.exists -= 1
        orig(self, first, rest)

    AsyncImap._line = tracking
    meter = Meter(a)
    await asyncio.gather(*(worker(w) for w in range(a.concurrency)))
    AsyncImap._line = orig
    total = sum(len(v) for k, v in ops.items())
    out = {
        "cmd": "soak",
        "duration": a.duration,
        "sessions": a.concurrency,
        "ops": total,
        "ops_per_s": round(total / a.duration, 1),
        "errors": sum(errs.values()),
        "connects": reconn,
        "error_text": texts,
        "by_op": {k: lat(v) for k, v in sorted(ops.items())},
    }
    return meter.stop(out, total or None)


def pss_only(a):
    cpu, pss, n = tree_usage(a.pids)
    return {"cmd": "pss", "server_cpu_total_s": round(cpu, 2), "pss_mb": round(pss / 1024, 1), "procs": n}


def main():
    common = argparse.ArgumentParser(add_help=False)
    g = common.add_argument
    g("--host", default="127.0.0.1")
    g("--smtp-port", type=int, default=25)
    g("--imap-port", type=int, default=143)
    g("--user", default="user1")
    g("--users", type=int, default=0, help="use user1..userN round-robin instead of --user")
    g("--user-format", default="user%d")
    g("--password", default="pw")
    g("--domain", default="example.test")
    g("--login-domain", action="store_true", help="LOGIN with user@domain")
    g("--pid", default="", help="server root pids, comma separated")
    g("--seed", type=int, default=1)
    g("--start", type=int, default=0, help="number of the first generated message")
    g("--size", default="2k", help="2k, 50k, 1m, mix or octets")
    g("--count", type=int, default=1000)
    g("--concurrency", type=int, default=10)
    g("--mailbox", default="INBOX")
    g("--repeat", type=int, default=5)
    g("--deliver", choices=("smtp", "append"), default="smtp", help="imap-idle, soak: append for servers without SMTP")
    g("--mail-from", default=None, help="envelope sender (default: one of 200 people)")
    g("--source-spread", action="store_true", help="each connection from another 127.x.y.z (per-IP limits)")
    g("--label", default="", help="copied into the result")
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="cmd", required=True)
    p = sub.add_parser("smtp-ingest", parents=[common])
    p.add_argument("--rcpts", type=int, default=1, help="recipients a message")
    p.add_argument("--per-session", type=int, default=0, help="messages a connection (0: no limit)")
    p.add_argument("--no-pipelining", action="store_true")
    p.add_argument("--no-visible", action="store_true", help="do not wait for IMAP visibility")
    p.add_argument("--visible-timeout", type=float, default=120)
    p.add_argument("--time-limit", type=float, default=300)
    sub.add_parser("imap-append", parents=[common])
    p = sub.add_parser("imap-login", parents=[common])
    p.add_argument("--select", action="store_true")
    p = sub.add_parser("imap-select", parents=[common])
    p.add_argument("--examine", action="store_true")
    p = sub.add_parser("imap-fetch", parents=[common])
    p.add_argument("--only", default="")
    p.add_argument("--envelope-limit", type=int, default=1 << 31)
    p.add_argument("--body-limit", type=int, default=1 << 31)
    p = sub.add_parser("imap-search", parents=[common])
    p.add_argument("--only", default="")
    p.add_argument("--seq", type=int, default=123, help="message whose tokens are searched")
    p.add_argument("--slow", type=float, default=10, help="no repeats after one that took this many seconds")
    p = sub.add_parser("imap-store", parents=[common])
    p.add_argument("--batch", type=int, default=1000)
    p = sub.add_parser("imap-idle", parents=[common])
    p.add_argument("--connections", type=int, default=100)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--targets", type=int, default=5, help="at most this many users get a message a round")
    p.add_argument("--idle-timeout", type=float, default=30)
    p.add_argument("--settle", type=float, default=1.0, help="seconds before memory is measured")
    p.add_argument("--hold", type=float, default=0, help="stay quiet this long and report server CPU %%")
    p = sub.add_parser("soak", parents=[common])
    p.add_argument("--duration", type=float, default=30)
    p.add_argument("--soak-cap", type=int, default=2000, help="expunge half of an INBOX above this")
    sub.add_parser("pss", parents=[common])
    a = ap.parse_args()
    a.pids = [int(x) for x in a.pid.split(",") if x]
    global SPREAD
    SPREAD = 1 if a.source_spread else 0
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        pass
    fn = {
        "smtp-ingest": smtp_ingest,
        "imap-append": imap_append,
        "imap-login": imap_login,
        "imap-select": imap_select,
        "imap-fetch": imap_fetch,
        "imap-search": imap_search,
        "imap-store": imap_store,
        "imap-idle": imap_idle,
        "soak": soak,
        "pss": pss_only,
    }[a.cmd]
    out = asyncio.run(fn(a)) if asyncio.iscoroutinefunction(fn) else fn(a)
    if a.label:
        out = dict({"label": a.label}, **out)
    print(json.dumps(out, separators=(",", ":")))


if __name__ == "__main__":
    main()
