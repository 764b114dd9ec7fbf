#!/usr/bin/env python3
"""kill9: black-box crash-consistency test for a mail server.

The server is started by a shell command, loaded over SMTP (or LMTP) and IMAP,
killed with SIGKILL at random moments, and started again.  After every restart
IMAP is asked for the truth:

  loss       a message answered with 250 (or APPEND answered OK) is missing
  duplicate  an acknowledged message is there more than once
  phantom    a message is there although its final dot was never sent
  damaged    a stored body differs from what was sent (truncation, mixing)
  op-lost    an IMAP STORE / MOVE / EXPUNGE answered OK is undone
  uid        a UID names another message than before, UIDNEXT went back,
             UIDVALIDITY changed, or APPENDUID did not name the message
  no-start   the server did not come back within --start-timeout

Any of these makes the exit status 1.  An operation whose answer never arrived
may have happened or not, but never twice and never by halves.

SIGKILL keeps the page cache, so a missing fsync goes unseen.  --power-loss DIR
closes that hole: the server runs under a small preload library (shadow.c, built
with cc on first use) that records which file contents and directory entries
were made durable by fsync/fdatasync, and after each kill DIR is rolled back to
exactly that: everything written but not synced is gone.

Only processes descended from this script are ever signalled.

Examples
  kill9.py "mailserver --config c.toml" 127.0.0.1 2525 1143 ann secret 20
  kill9.py --power-loss ./data "..." 127.0.0.1 2525 1143 ann secret 20
  kill9.py --signal TERM --rounds-json out.json "..." 127.0.0.1 ...
"""

import argparse
import base64
import ctypes
import hashlib
import imaplib
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

imaplib._MAXLINE = 50_000_000
HERE = os.path.dirname(os.path.abspath(__file__))


# ----------------------------------------------------------------- processes
def become_subreaper():
    """Daemons that fork twice are handed to us, so we can still find them."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)
    except Exception:
        pass


def descendants():
    parent = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                with open(f"/proc/{d}/stat", "rb") as f:
                    s = f.read()
                rest = s[s.rindex(b")") + 2 :].split()
                if rest[0] != b"Z":
                    parent[int(d)] = int(rest[1])
            except (OSError, ValueError, IndexError):
                pass
    me, out, grew = os.getpid(), set(), True
    while grew:
        grew = False
        for p, pp in parent.items():
            if p not in out and (pp == me or pp in out):
                out.add(p)
                grew = True
    return out


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


class Server:
    def __init__(self, cmd, log, env):
        self.cmd, self.log, self.env, self.proc = cmd, log, env, None

    def start(self):
        self.proc = subprocess.Popen(
            self.cmd,
            shell=True,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=self.env,
        )
        self.t0 = time.monotonic()

    def kill(self):
        """SIGKILL to the group at once, then whatever escaped the group."""
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        for _ in range(100):
            left = descendants()
            for p in left:
                try:
                    os.kill(p, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.proc.poll()
            reap()
            if not descendants():
                return
            time.sleep(0.01)

    def terminate(self, grace):
        t = time.monotonic()
        try:
            os.killpg(self.proc.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        while time.monotonic() - t < grace:
            self.proc.poll()
            reap()
            if not descendants():
                return time.monotonic() - t
            time.sleep(0.02)
        self.kill()
        return None


# ---------------------------------------------------------------- power loss
class PowerLoss:
    """Rolls the data directory back to its fsynced state after each kill."""

    def __init__(self, data, work):
        self.data = os.path.abspath(data)
        self.shadow = os.path.join(os.path.abspath(work), "shadow")
        self.lib = os.path.join(os.path.abspath(work), "shadow.so")
        os.makedirs(self.data, exist_ok=True)
        shutil.rmtree(self.shadow, ignore_errors=True)
        os.makedirs(os.path.join(self.shadow, "ino"))
        os.makedirs(os.path.join(self.shadow, "dir"))
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-o", self.lib, os.path.join(HERE, "shadow.c"), "-ldl", "-lpthread"],
            check=True,
        )
        self.seed()

    def env(self, env):
        env = dict(env)
        env["LD_PRELOAD"] = self.lib
        env["SHADOW_DATA"] = self.data
        env["SHADOW_DIR"] = self.shadow
        return env

    _libc = ctypes.CDLL(None, use_errno=True)

    @classmethod
    def key(cls, path):
        """inode and birth time (statx), as shadow.c writes them"""
        b = ctypes.create_string_buffer(256)
        if cls._libc.statx(-100, os.fsencode(path), 0x100, 0x900, b):
            raise OSError(ctypes.get_errno(), "statx", path)
        (ino,) = struct.unpack_from("<Q", b, 32)
        sec, nsec = struct.unpack_from("<qI", b, 80)
        return f"{ino}.{sec}.{nsec}"

    def seed(self):
        """What is on disk now counts as durable."""
        for sub in ("ino", "dir"):
            shutil.rmtree(os.path.join(self.shadow, sub), ignore_errors=True)
            os.makedirs(os.path.join(self.shadow, sub))
            os.chmod(os.path.join(self.shadow, sub), 0o777)  # the server may drop its rights
        os.chmod(self.shadow, 0o777)
        for top, dirs, files in os.walk(self.data):
            with open(os.path.join(self.shadow, "dir", self.key(top)), "w") as f:
                for n in dirs:
                    f.write(f"d {self.key(os.path.join(top, n))} {n}\n")
                for n in files:
                    p = os.path.join(top, n)
                    if os.path.isfile(p) and not os.path.islink(p):
                        f.write(f"f {self.key(p)} {n}\n")
                        shutil.copyfile(p, os.path.join(self.shadow, "ino", self.key(p)))

    def crash(self):
        """Replace the data directory by its durable image."""
        new = self.data + ".durable"
        shutil.rmtree(new, ignore_errors=True)
        lost = {"files": 0, "bytes": 0}
        before = sum(
            os.path.getsize(os.path.join(t, n))
            for t, _, fs in os.walk(self.data)
            for n in fs
            if os.path.isfile(os.path.join(t, n))
        )

        def build(dirkey, to):
            os.makedirs(to)
            lst = os.path.join(self.shadow, "dir", dirkey)
            if not os.path.exists(lst):
                return
            with open(lst) as f:
                for line in f:
                    kind, key, name = line.rstrip("\n").split(" ", 2)
                    if kind == "d":
                        build(key, os.path.join(to, name))
                    else:
                        src, dst = os.path.join(self.shadow, "ino", key), os.path.join(to, name)
                        if os.path.exists(src):
                            shutil.copyfile(src, dst)
                        else:
                            open(dst, "w").close()
                            lost["files"] += 1

        build(self.key(self.data), new)
        own = os.stat(self.data)
        for t, ds, fs in os.walk(new):
            for n in [t] + [os.path.join(t, x) for x in fs]:
                if os.getuid() == 0:
                    os.chown(n, own.st_uid, own.st_gid)
                os.chmod(n, 0o700 if os.path.isdir(n) else 0o600)
        shutil.rmtree(self.data)
        os.rename(new, self.data)
        after = sum(os.path.getsize(os.path.join(t, n)) for t, _, fs in os.walk(self.data) for n in fs)
        self.seed()
        return {"empty_files": lost["files"], "bytes_rolled_back": before - after}


# -------------------------------------------------------------------- ledger
class Ledger:
    """What the clients were told."""

    def __init__(self):
        self.lock = threading.Lock()
        self.m = {}
        self.acks = 0
        self.kill_after = None  # fire when this many acks were seen
        self.fire = threading.Event()

    def add(self, token, **kw):
        with self.lock:
            self.m[token] = kw

    def set(self, token, ack=False, **kw):
        with self.lock:
            self.m[token].update(kw)
            if ack:
                self.acks += 1
                if self.kill_after is not None and self.acks >= self.kill_after:
                    self.fire.set()


def make_message(token, rng, sizes, rcpt):
    n = rng.choice(sizes)
    body = base64.encodebytes(rng.randbytes(int(n * 0.74))).replace(b"\n", b"\r\n")
    body = b"." + token.encode() + b"\r\n" + body  # needs dot-stuffing
    h = hashlib.sha256(body.rstrip(b"\r\n")).hexdigest()
    head = (
        f"From: Crash Test <crash@example.net>\r\nTo: <{rcpt}>\r\nSubject: {token}\r\n"
        f"Date: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <{token}@k9.example.net>\r\n"
        f"X-K9: {token} {h}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
    )
    return head.encode() + body


# ------------------------------------------------------------------- clients
class Line:
    def __init__(self, host, port, timeout, tls=False):
        self.s = socket.create_connection((host, port), timeout)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.wrap(host)
        self.buf = b""

    def wrap(self, host):
        ctx = ssl._create_unverified_context()
        self.s = ctx.wrap_socket(self.s, server_hostname=host)

    def reply(self):
        out = []
        while True:
            while b"\n" not in self.buf:
                d = self.s.recv(65536)
                if not d:
                    raise ConnectionError("closed")
                self.buf += d
            line, self.buf = self.buf.split(b"\n", 1)
            out.append(line.rstrip(b"\r"))
            if line[3:4] != b"-":
                return int(line[:3]), out

    def cmd(self, b):
        self.s.sendall(b + b"\r\n")
        return self.reply()

    def close(self):
        try:
            self.s.close()
        except OSError:
            pass


def smtp_login(a):
    c = Line(a.host, a.smtp_port, a.timeout, a.smtp_tls == "tls")
    code, _ = c.reply()
    if code != 220:
        raise ConnectionError(f"greeting {code}")
    hello = b"LHLO k9.example.net" if a.lmtp else b"EHLO k9.example.net"
    c.cmd(hello)
    if a.smtp_tls == "starttls":
        if c.cmd(b"STARTTLS")[0] != 220:
            raise ConnectionError("STARTTLS refused")
        c.wrap(a.host)
        c.cmd(hello)
    if a.smtp_auth:
        tok = base64.b64encode(f"\0{a.user}\0{a.password}".encode())
        if c.cmd(b"AUTH PLAIN " + tok)[0] != 235:
            raise ConnectionError("AUTH refused")
    return c


def smtp_worker(a, led, stop, ident, rng, stats):
    n = 0
    while not stop.is_set():
        c = None
        try:
            c = smtp_login(a)
            for _ in range(rng.choice((1, 3, 20))):
                if stop.is_set():
                    break
                n += 1
                token = f"k9-{ident}-{n}"
                msg = make_message(token, rng, a.sizes, a.rcpt)
                led.add(token, kind="smtp", state="unsent")
                code, r = c.cmd(f"MAIL FROM:<{a.sender}>".encode())
                if code == 250:
                    code, r = c.cmd(f"RCPT TO:<{a.rcpt}>".encode())
                if code // 100 == 2:
                    code, r = c.cmd(b"DATA")
                if code != 354:
                    led.set(token, state="refused", why=f"{code} {r[-1][:80]!r}")
                    stats["refused"] += 1
                    c.cmd(b"RSET")
                    stop.wait(0.05)
                    continue
                data = re.sub(rb"(?m)^\.", b"..", msg)
                if not data.endswith(b"\r\n"):
                    data += b"\r\n"
                if rng.random() < 0.04:  # hang up in mid-message: must leave nothing
                    c.s.sendall(data[: max(1, int(len(data) * rng.random()))])
                    break
                c.s.sendall(data)
                # from here on the server may store it, whatever we hear
                led.set(token, state="maybe")
                code, r = c.cmd(b".")
                if code == 250:
                    led.set(token, ack=True, state="acked", t=time.monotonic())
                else:
                    led.set(token, state="refused", why=f"{code}")
                    stats["refused"] += 1
            else:
                c.cmd(b"QUIT")
        except (OSError, ConnectionError, ValueError) as e:
            if not stop.is_set():
                stats["errors"] += 1
                stats["last"] = repr(e)
                stop.wait(0.05)
        finally:
            if c:
                c.close()


def imap_login(a, timeout=None):
    t = timeout or a.timeout
    if a.imap_tls == "tls":
        m = imaplib.IMAP4_SSL(a.host, a.imap_port, timeout=t, ssl_context=ssl._create_unverified_context())
    else:
        m = imaplib.IMAP4(a.host, a.imap_port, timeout=t)
        if a.imap_tls == "starttls":
            m.starttls(ssl._create_unverified_context())
    m.login(a.user, a.password)
    return m


def ok(r):
    if r[0] != "OK":
        raise imaplib.IMAP4.error(f"{r}")
    return r


def imap_worker(a, led, stop, ident, rng, stats, box, arch):
    """APPEND, then now and then STORE, MOVE or EXPUNGE; all acked ops count."""
    n = 0
    while not stop.is_set():
        m = None
        try:
            m = imap_login(a)
            for b in (box, arch):
                if m.select(b)[0] != "OK":
                    ok(m.create(b))
            ok(m.select(box))
            while not stop.is_set():
                n += 1
                token = f"k9-{ident}-{n}"
                msg = make_message(token, rng, a.sizes, a.rcpt)
                led.add(token, kind="imap", state="maybe", places=[box], flag=None)
                ok(m.append(box, r"(\Seen)", None, msg))
                uid = None
                raw = m.untagged_responses.get("APPENDUID") or [None]
                if raw[-1]:
                    uid = int(raw[-1].split()[1])
                m.untagged_responses.clear()
                led.set(token, ack=True, state="acked", appenduid=uid)
                act = rng.random()
                if act < 0.55:
                    continue
                ok(m.noop())
                if uid is None:
                    r = ok(m.uid("SEARCH", "HEADER", "X-K9", token))
                    uid = int(r[1][0].split()[0])
                u = str(uid)
                if act < 0.75:
                    led.set(token, flag="any")
                    ok(m.uid("STORE", u, "+FLAGS", r"(\Flagged)"))
                    led.set(token, ack=True, flag=True)
                elif act < 0.88 and "MOVE" in m.capabilities:
                    led.set(token, places=[box, arch])
                    ok(m.uid("MOVE", u, arch))
                    led.set(token, ack=True, places=[arch])
                elif "UIDPLUS" in m.capabilities:
                    led.set(token, places=[box, None])
                    ok(m.uid("STORE", u, "+FLAGS.SILENT", r"(\Deleted)"))
                    ok(m.uid("EXPUNGE", u))
                    led.set(token, ack=True, places=[None])
                m.untagged_responses.clear()
        except (OSError, imaplib.IMAP4.error, imaplib.IMAP4.abort, ValueError, IndexError) as e:
            if not stop.is_set():
                stats["errors"] += 1
                stats["last"] = repr(e)[:200]
                stop.wait(0.05)
        finally:
            if m:
                try:
                    m.shutdown()
                except Exception:
                    pass


# -------------------------------------------------------------------- verify
class Verifier:
    def __init__(self, a, led, boxes):
        self.a, self.led, self.boxes = a, led, boxes
        self.hashed = {}  # (box, uidvalidity, uid) -> token, body verified
        self.seen = {}  # (box, uidvalidity) -> {uid: token}
        self.validity, self.uidnext = {}, {}

    def scan(self, full=False):
        """-> {token: [(box, uid, flags)]}, problems found while reading"""
        bad, where = [], {}
        m = imap_login(self.a, 120)
        try:
            for box in self.boxes:
                if m.select(box, readonly=True)[0] != "OK":
                    continue
                val = int((m.response("UIDVALIDITY")[1] or [b"0"])[0] or 0)
                nxt = int((m.response("UIDNEXT")[1] or [b"0"])[0] or 0)
                if box in self.validity and self.validity[box] != val:
                    bad.append(("uid", f"{box}: UIDVALIDITY {self.validity[box]} -> {val}"))
                elif nxt and nxt < self.uidnext.get(box, 0):
                    bad.append(("uid", f"{box}: UIDNEXT {self.uidnext[box]} -> {nxt}"))
                self.validity[box], self.uidnext[box] = val, max(nxt, self.uidnext.get(box, 0))
                typ, data = m.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (X-K9)])")
                if typ != "OK":
                    bad.append(("damaged", f"{box}: FETCH {typ} {data!r}"[:200]))
                    continue
                now, todo = {}, []
                for i, part in enumerate(data):
                    if not isinstance(part, tuple):
                        continue
                    tail = data[i + 1] if i + 1 < len(data) and isinstance(data[i + 1], bytes) else b""
                    meta = part[0] + b" " + tail
                    u = re.search(rb"UID (\d+)", meta)
                    x = re.search(rb"(?i)x-k9:\s*(\S+)\s+(\S+)", part[1])
                    f = re.search(rb"FLAGS \(([^)]*)\)", meta)
                    if not u or not x:
                        continue
                    uid, token = int(u[1]), x[1].decode()
                    now[uid] = token
                    where.setdefault(token, []).append((box, uid, f[1].decode() if f else ""))
                    if full or self.hashed.get((box, val, uid)) != token:
                        todo.append(uid)
                for uid, token in now.items():
                    was = self.seen.setdefault((box, val), {}).get(uid)
                    if was and was != token:
                        bad.append(("uid", f"{box}: UID {uid} was {was}, is {token}"))
                    self.seen[(box, val)][uid] = token
                for i in range(0, len(todo), 100):
                    got = 0
                    chunk = ",".join(map(str, todo[i : i + 100]))
                    typ, data = m.uid("FETCH", chunk, "(UID BODY.PEEK[])")
                    for j, part in enumerate(data or []):
                        if not isinstance(part, tuple):
                            continue
                        tail = data[j + 1] if j + 1 < len(data) and isinstance(data[j + 1], bytes) else b""
                        u = re.search(rb"UID (\d+)", part[0] + b" " + tail)
                        raw = part[1].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                        head, _, body = raw.partition(b"\r\n\r\n")
                        x = re.search(rb"(?i)x-k9:\s*(\S+)\s+(\S+)", head)
                        if not u or not x:
                            bad.append(("damaged", f"{box}: unreadable message {part[0][:60]!r}"))
                            continue
                        got += 1
                        if hashlib.sha256(body.rstrip(b"\r\n")).hexdigest() != x[2].decode():
                            bad.append(
                                (
                                    "damaged",
                                    f"{box} UID {int(u[1])} {x[1].decode()}: "
                                    f"body of {len(body)} bytes has another hash",
                                )
                            )
                        else:
                            self.hashed[(box, val, int(u[1]))] = x[1].decode()
                    if got < len(todo[i : i + 100]):
                        bad.append(
                            ("damaged", f"{box}: {len(todo[i : i + 100]) - got} message(s) listed but not readable")
                        )
            m.logout()
        finally:
            try:
                m.shutdown()
            except Exception:
                pass
        return where, bad

    def judge(self, where):
        bad, missing = [], 0
        inbound = set(self.a.mailboxes)
        for token, r in list(self.led.m.items()):
            at = where.get(token, [])
            if r["kind"] == "smtp":
                at = [w for w in at if w[0] in inbound]
                if r["state"] == "acked" and not at:
                    bad.append(("loss", token))
                    missing += 1
                elif r["state"] in ("unsent", "refused") and at:
                    bad.append(("phantom", f"{token} ({r['state']})"))
                if len(at) > 1:
                    bad.append(("duplicate", f"{token} {[(b, u) for b, u, _ in at]}"))
                continue
            boxes = [b for b, _, _ in at]
            if len(boxes) > 1:
                bad.append(("duplicate", f"{token} in {boxes}"))
            if r["state"] == "acked":
                place = boxes[0] if boxes else None
                if place not in r["places"]:
                    if place is None:
                        bad.append(("loss", f"{token} (IMAP), expected in {r['places']}"))
                        missing += 1
                    else:
                        bad.append(("op-lost", f"{token} in {place}, expected {r['places']}"))
                elif r["flag"] is True and at and "\\Flagged" not in at[0][2]:
                    bad.append(("op-lost", f"{token}: \\Flagged gone"))
                au = r.get("appenduid")
                if au and at and not at[0][0].endswith("-arch") and at[0][1] != au:
                    bad.append(("uid", f"{token}: APPENDUID said {au}, found at {at[0][1]}"))
        return bad, missing


def wait_up(a, srv):
    t0 = srv.t0
    smtp = None
    while time.monotonic() - t0 < a.start_timeout:
        try:
            if smtp is None:
                smtp_login(a).close()
                smtp = time.monotonic() - t0
            m = imap_login(a)
            m.logout()
            return smtp, time.monotonic() - t0
        except (OSError, ConnectionError, ValueError, imaplib.IMAP4.error, imaplib.IMAP4.abort):
            time.sleep(0.02)
    return None


# ---------------------------------------------------------------------- main
def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cmd", help="shell command that starts the server (foreground or daemon)")
    p.add_argument("host")
    p.add_argument("smtp_port", type=int)
    p.add_argument("imap_port", type=int)
    p.add_argument("user", help="IMAP user; also the recipient unless --rcpt is given")
    p.add_argument("password")
    p.add_argument("rounds", type=int)
    p.add_argument("--rcpt", help="envelope recipient (default: user, or user@localhost)")
    p.add_argument("--sender", default="crash@example.net")
    p.add_argument("--smtp-auth", action="store_true", help="AUTH PLAIN before sending")
    p.add_argument("--smtp-tls", choices=("none", "starttls", "tls"), default="none")
    p.add_argument("--imap-tls", choices=("none", "starttls", "tls"), default="none")
    p.add_argument("--lmtp", action="store_true", help="speak LMTP on the SMTP port")
    p.add_argument("--mailboxes", default="INBOX", help="where inbound mail may land, comma separated")
    p.add_argument("--clients", type=int, default=8, help="SMTP clients at once")
    p.add_argument("--imap-clients", type=int, default=2)
    p.add_argument("--sizes", default="800,4000,30000,300000")
    p.add_argument("--min", type=float, default=0.2, dest="tmin", help="least seconds of load before the kill")
    p.add_argument("--max", type=float, default=2.5, dest="tmax")
    p.add_argument("--signal", choices=("KILL", "TERM"), default="KILL")
    p.add_argument("--grace", type=float, default=15, help="seconds allowed for TERM")
    p.add_argument("--double", type=float, default=0.25, help="share of rounds that also kill during start-up")
    p.add_argument("--settle", type=float, default=30, help="seconds acked mail may take to show up after restart")
    p.add_argument("--start-timeout", type=float, default=60)
    p.add_argument("--timeout", type=float, default=20)
    p.add_argument(
        "--power-loss", metavar="DIR", help="roll this data directory back to its fsynced state at each kill"
    )
    p.add_argument("--work", default="kill9.work", help="directory for log, ledger, preload library")
    p.add_argument("--seed", type=int)
    p.add_argument("--json", metavar="FILE", help="write the summary there as well")
    a = p.parse_args()
    a.rcpt = a.rcpt or (a.user if "@" in a.user else a.user + "@localhost")
    a.mailboxes = a.mailboxes.split(",")
    a.sizes = [int(x) for x in a.sizes.split(",")]
    seed = a.seed if a.seed is not None else int.from_bytes(os.urandom(4), "big")
    rng = random.Random(seed)
    run = f"{seed:x}"
    os.makedirs(a.work, exist_ok=True)
    become_subreaper()
    log = open(os.path.join(a.work, "server.log"), "ab")
    env = dict(os.environ)
    pl = PowerLoss(a.power_loss, a.work) if a.power_loss else None
    if pl:
        env = pl.env(env)
    srv = Server(a.cmd, log, env)
    led = Ledger()
    boxes_imap = [f"K9-{run}-{i}" for i in range(a.imap_clients)]
    arch = f"K9-{run}-arch"
    ver = Verifier(a, led, a.mailboxes + boxes_imap + [arch])
    bad_all, recov, visible, acks_round, stops, rolled = [], [], [], [], [], []
    t_run = time.monotonic()
    print(
        f"kill9: seed {seed}, {a.rounds} rounds, {a.clients} SMTP + {a.imap_clients} IMAP clients"
        f"{', power loss on ' + a.power_loss if pl else ''}",
        flush=True,
    )
    errors = refused = 0
    try:
        srv.start()
        if wait_up(a, srv) is None:
            print("FAIL no-start at first start")
            return 2
        for rnd in range(1, a.rounds + 1):
            stop, stats = threading.Event(), {"errors": 0, "refused": 0, "last": ""}
            led.fire.clear()
            before = led.acks
            by_ack = rng.random() < 0.5
            led.kill_after = before + rng.randint(1, 60) if by_ack else None
            th = [
                threading.Thread(
                    target=smtp_worker,
                    daemon=True,
                    args=(a, led, stop, f"{run}-{rnd}-s{i}", random.Random(rng.random()), stats),
                )
                for i in range(a.clients)
            ]
            th += [
                threading.Thread(
                    target=imap_worker,
                    daemon=True,
                    args=(a, led, stop, f"{run}-{rnd}-i{i}", random.Random(rng.random()), stats, boxes_imap[i], arch),
                )
                for i in range(a.imap_clients)
            ]
            for t in th:
                t.start()
            if by_ack:
                led.fire.wait(a.tmax * 4)  # kill in the instant after an ack
            else:
                time.sleep(rng.uniform(a.tmin, a.tmax))
            if a.signal == "KILL":
                srv.kill()
                stop.set()
            else:
                took = srv.terminate(a.grace)
                stop.set()
                stops.append(took)
                if took is None:
                    bad_all.append(("no-stop", f"round {rnd}: still there {a.grace} s after SIGTERM"))
            for t in th:
                t.join(a.timeout + 5)
            errors += stats["errors"]
            refused += stats["refused"]
            note = ""
            if pl:
                rb = pl.crash()
                rolled.append(rb["bytes_rolled_back"])
                note += f" rolled back {rb['bytes_rolled_back']} B"
            if a.signal == "KILL" and rng.random() < a.double:
                srv.start()
                time.sleep(rng.uniform(0.0, 1.2))
                srv.kill()
                if pl:
                    pl.crash()
                note += " +killed during start"
            srv.start()
            up = wait_up(a, srv)
            if up is None:
                bad_all.append(("no-start", f"round {rnd}"))
                print(f"round {rnd}: FAIL no-start (see {a.work}/server.log)", flush=True)
                break
            recov.append(up[1])
            t0, uidbad = time.monotonic(), []
            while True:
                try:
                    where, rb = ver.scan()
                    uidbad += [x for x in rb if x[0] == "uid"]  # seen by one scan only
                    rb = [x for x in rb if x[0] != "uid"]
                    bad, missing = ver.judge(where)
                except (OSError, imaplib.IMAP4.error, imaplib.IMAP4.abort) as e:
                    where, rb, bad, missing = {}, [("damaged", f"scan failed: {e!r}"[:200])], [], 1
                if (not missing and not rb) or time.monotonic() - t0 > a.settle:
                    break
                time.sleep(0.2)
            visible.append(time.monotonic() - t0)
            got = led.acks - before
            acks_round.append(got)
            probs = sorted(set(bad + rb + uidbad) - set(bad_all))
            bad_all += probs
            print(
                f"round {rnd}: {'by-ack' if by_ack else 'by-time'} {got} acks, up {up[1]:.2f} s, "
                f"{len(probs)} new problem(s){note}",
                flush=True,
            )
            for k, v in probs[:5]:
                print(f"    {k}: {v}", flush=True)
        if srv.proc and not any(k == "no-start" for k, _ in bad_all):
            where, rb = ver.scan(full=True)  # every body read again
            bad, _ = ver.judge(where)
            bad_all += sorted(set(bad + rb) - set(bad_all))
    finally:
        srv.kill()
        log.close()
    kinds = {}
    for k, _ in bad_all:
        kinds[k] = kinds.get(k, 0) + 1
    st = {}
    for r in led.m.values():
        st[r["kind"] + "/" + r["state"]] = st.get(r["kind"] + "/" + r["state"], 0) + 1
    recov.sort()
    out = {
        "seed": seed,
        "rounds": len(acks_round),
        "acked_operations": led.acks,
        "messages": st,
        "problems": kinds,
        "recovery_s": {
            "median": round(recov[len(recov) // 2], 3) if recov else None,
            "max": round(max(recov), 3) if recov else None,
        },
        "all_visible_s_max": round(max(visible), 3) if visible else None,
        "client_errors_incl_kill": errors,
        "refused": refused,
        "rounds_with_acks": sum(1 for x in acks_round if x),
        "bytes_rolled_back": sum(rolled) if pl else None,
        "stop_s_max": max([s for s in stops if s], default=None),
        "wall_s": round(time.monotonic() - t_run, 1),
    }
    with open(os.path.join(a.work, "ledger.json"), "w") as f:
        json.dump({"summary": out, "problems": bad_all, "ledger": led.m}, f)
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"summary": out, "problems": bad_all}, f, indent=1)
    print(json.dumps(out))
    if not led.acks:
        print("FAIL nothing was ever acknowledged: the test proved nothing")
        return 2
    print("PASS" if not bad_all else "FAIL")
    return 1 if bad_all else 0


if __name__ == "__main__":
    sys.exit(main())
