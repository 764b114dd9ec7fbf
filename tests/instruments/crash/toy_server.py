#!/usr/bin/env python3
"""A small correct mail store, and broken variants of it, to test kill9.py itself.

  toy_server.py DATADIR SMTPPORT IMAPPORT [BUG]

BUG: none early_ack nosync noblobfsync nodirfsync dup late_blob uidreuse
     uidvalidity flaglost movelost phantom nostart
The user is ann, the password secret.  Not a mail server.
"""

import asyncio
import hashlib
import os
import re
import sqlite3
import sys
import threading
import time
import queue

DATA, SP, IP = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BUG = sys.argv[4] if len(sys.argv) > 4 else "none"
BLOBS = os.path.join(DATA, "blobs")
SCHEMA = """
create table if not exists box(id integer primary key, name text unique, uidvalidity int, uidnext int default 1);
create table if not exists msg(box int, uid int, blob text, flags text, primary key(box, uid));
"""


def fsync_dir(d):
    fd = os.open(d, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def put_blob(data, n):
    h = hashlib.sha256(data + str(n).encode()).hexdigest()
    d = os.path.join(BLOBS, h[:2])
    tmp, fin = os.path.join(BLOBS, "tmp", h), os.path.join(d, h)
    with open(tmp, "wb") as f:
        f.write(data)
        f.flush()
        if BUG != "noblobfsync":
            os.fsync(f.fileno())
    os.rename(tmp, fin)
    if BUG != "nodirfsync":
        fsync_dir(d)
    return h


class Store:
    def __init__(self):
        if BUG == "nostart" and os.path.exists(os.path.join(DATA, "db-wal")):
            sys.exit("refusing to start")
        os.makedirs(os.path.join(BLOBS, "tmp"), exist_ok=True)
        for i in range(256):
            os.makedirs(os.path.join(BLOBS, f"{i:02x}"), exist_ok=True)
        fsync_dir(BLOBS)
        fsync_dir(DATA)
        for n in os.listdir(os.path.join(BLOBS, "tmp")):
            os.unlink(os.path.join(BLOBS, "tmp", n))
        self.db = sqlite3.connect(os.path.join(DATA, "db"), isolation_level=None, check_same_thread=False)
        self.db.execute("pragma journal_mode=wal")
        self.db.execute("pragma synchronous=" + ("normal" if BUG == "nosync" else "full"))
        self.db.executescript(SCHEMA)
        if BUG == "uidvalidity":
            self.db.execute("update box set uidvalidity=uidvalidity+1")
        if BUG == "dup":
            r = self.db.execute("select box, uid, blob, flags from msg order by rowid desc limit 1").fetchone()
            if r:
                self.db.execute("insert into msg select ?, uidnext, ?, ? from box where id=?", (r[0], r[2], r[3], r[0]))
                self.db.execute("update box set uidnext=uidnext+1 where id=?", (r[0],))
        if BUG == "uidreuse":
            self.db.execute("delete from msg where rowid in (select rowid from msg order by rowid desc limit 3)")
            self.db.execute("update box set uidnext=max(1,uidnext-3)")
        self.db.execute("insert or ignore into box(name, uidvalidity) values('INBOX', ?)", (int(time.time()),))
        self.rd = sqlite3.connect(os.path.join(DATA, "db"), isolation_level=None, check_same_thread=False)
        self.q = queue.SimpleQueue()
        self.seq, self.dirty = 0, {}
        threading.Thread(target=self.writer, daemon=True).start()
        self.pool = __import__("concurrent.futures").futures.ThreadPoolExecutor(8)

    def writer(self):
        """One transaction for all that waits: group commit."""
        while True:
            batch = [self.q.get()]
            while len(batch) < 200:
                try:
                    batch.append(self.q.get_nowait())
                except queue.Empty:
                    break
            self.db.execute("begin immediate")
            res = [fn(self.db) for fn, _ in batch]
            if BUG == "early_ack":
                for (_, done), r in zip(batch, res):
                    done(r)
                time.sleep(0.02)
            self.db.execute("commit")
            if BUG != "early_ack":
                for (_, done), r in zip(batch, res):
                    done(r)

    async def tx(self, fn):
        loop = asyncio.get_running_loop()
        fut = loop.create_future()
        self.q.put((fn, lambda r: loop.call_soon_threadsafe(fut.set_result, r)))
        return await fut

    async def deliver(self, box, data, flags=""):
        self.seq += 1
        if BUG == "late_blob":
            h = hashlib.sha256(data + str(self.seq).encode()).hexdigest()
        else:
            h = await asyncio.get_running_loop().run_in_executor(self.pool, put_blob, data, self.seq)

        def fn(db):
            b = db.execute(
                "update box set uidnext=uidnext+1 where name=? returning id, uidnext-1, uidvalidity", (box,)
            ).fetchall()[0]
            db.execute("insert into msg values(?,?,?,?)", (b[0], b[1], h, flags))
            return b

        r = await self.tx(fn)
        if BUG == "late_blob":
            asyncio.get_running_loop().call_later(0.02, put_blob, data, self.seq)
        return r


def blob(h):
    try:
        with open(os.path.join(BLOBS, h[:2], h), "rb") as f:
            return f.read()
    except FileNotFoundError:
        return b""


async def smtp(r, w, st):
    async def say(s):
        w.write(s.encode() + b"\r\n")
        await w.drain()

    try:
        await say("220 toy")
        while True:
            line = (await r.readline()).strip()
            if not line:
                break
            c = line.upper()[:4]
            if c == b"DATA":
                await say("354 go")
                data = b""
                while True:
                    ln = await r.readline()
                    if not ln:
                        if BUG == "phantom" and data:
                            await st.deliver("INBOX", data)
                        return
                    if ln == b".\r\n":
                        break
                    data += ln[1:] if ln[:1] == b"." else ln
                await st.deliver("INBOX", b"Received: by toy\r\n" + data)
                await say("250 ok")
            elif c == b"QUIT":
                await say("221 bye")
                break
            else:
                await say("250 ok")
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        w.close()


async def imap(r, w, st):
    def out(b):
        w.write(b if isinstance(b, bytes) else b.encode())

    box = None
    try:
        out("* OK [CAPABILITY IMAP4rev1 UIDPLUS MOVE] toy\r\n")
        while True:
            line = await r.readline()
            if not line:
                break
            lit = re.search(rb"\{(\d+)\}\r\n$", line)
            data = b""
            if lit:
                out("+ go\r\n")
                await w.drain()
                data = await r.readexactly(int(lit[1]))
                await r.readline()
            tag, _, rest = line.decode().strip().partition(" ")
            arg = rest.replace('"', "").split()
            cmd = arg[0].upper()
            if cmd == "UID":
                cmd = "UID " + arg[1].upper()
                arg = arg[1:]
            ans = "OK done"
            if cmd == "CAPABILITY":
                out("* CAPABILITY IMAP4rev1 UIDPLUS MOVE\r\n")
            elif cmd in ("SELECT", "EXAMINE"):
                b = st.rd.execute("select id, uidvalidity, uidnext, name from box where name=?", (arg[1],)).fetchone()
                if b:
                    box = b
                    n = st.rd.execute("select count(*) from msg where box=?", (b[0],)).fetchone()[0]
                    out(
                        f"* FLAGS (\\Seen)\r\n* {n} EXISTS\r\n* OK [UIDVALIDITY {b[1]}] x\r\n* OK [UIDNEXT {b[2]}] x\r\n"
                    )
                    ans = "OK [READ-ONLY] done" if cmd == "EXAMINE" else "OK [READ-WRITE] done"
                else:
                    ans = "NO [NONEXISTENT] none"
            elif cmd == "CREATE":
                await st.tx(
                    lambda db: (
                        db.execute(
                            "insert or ignore into box(name, uidvalidity) values(?,?)", (arg[1], int(time.time()))
                        ).rowcount
                    )
                )
            elif cmd == "APPEND":
                b = await st.deliver(arg[1], data, "\\Seen")
                ans = f"OK [APPENDUID {b[2]} {b[1]}] done"
            elif cmd == "UID FETCH":
                lo, _, hi = arg[1].partition(":")
                if "," in arg[1] or not hi:
                    us = [int(x) for x in arg[1].split(",")]
                    rows = [
                        x
                        for u in us
                        for x in st.rd.execute("select uid, blob, flags from msg where box=? and uid=?", (box[0], u))
                    ]
                else:
                    rows = st.rd.execute(
                        "select uid, blob, flags from msg where box=? order by uid", (box[0],)
                    ).fetchall()
                for i, (u, h, f) in enumerate(rows, 1):
                    raw = blob(h)
                    if "HEADER" in rest:
                        x = re.search(rb"(?im)^x-k9:.*\r\n", raw.partition(b"\r\n\r\n")[0] + b"\r\n")
                        raw = (x[0] if x else b"") + b"\r\n"
                        k = "BODY[HEADER.FIELDS (X-K9)]"
                    else:
                        k = "BODY[]"
                    out(f"* {i} FETCH (UID {u} FLAGS ({f}) {k} {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
            elif cmd == "UID STORE":
                add = re.search(r"\((.*)\)", rest)[1]
                u = int(arg[1])

                def fn(db):
                    db.execute(
                        "update msg set flags=flags||' '||? where box=? and uid=? and instr(flags, ?)=0",
                        (add, box[0], u, add),
                    )

                if BUG == "flaglost" and "Flagged" in add:
                    asyncio.get_running_loop().call_later(0.5, lambda: st.q.put((fn, lambda r: None)))
                else:
                    await st.tx(fn)
            elif cmd == "UID MOVE":
                u = int(arg[1])

                def fn(db):
                    b = db.execute(
                        "update box set uidnext=uidnext+1 where name=? returning id, uidnext-1", (arg[2],)
                    ).fetchall()[0]
                    db.execute("update msg set box=?, uid=? where box=? and uid=?", (b[0], b[1], box[0], u))

                if BUG == "movelost":
                    asyncio.get_running_loop().call_later(0.5, lambda: st.q.put((fn, lambda r: None)))
                else:
                    await st.tx(fn)
            elif cmd == "UID EXPUNGE":
                await st.tx(
                    lambda db: (
                        db.execute(
                            "delete from msg where box=? and uid=? and flags like '%Deleted%'", (box[0], int(arg[1]))
                        ).rowcount
                    )
                )
            elif cmd == "LOGIN" and arg[1:] != ["ann", "secret"]:
                ans = "NO no"
            elif cmd == "LOGOUT":
                out("* BYE\r\n")
            out(f"{tag} {ans}\r\n")
            await w.drain()
            if cmd == "LOGOUT":
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        w.close()


async def main():
    st = Store()
    s = await asyncio.start_server(lambda r, w: smtp(r, w, st), "127.0.0.1", SP, limit=1 << 20)
    i = await asyncio.start_server(lambda r, w: imap(r, w, st), "127.0.0.1", IP, limit=1 << 20)
    await asyncio.gather(s.serve_forever(), i.serve_forever())


asyncio.run(main())
