"""Seeded, deterministic generator of realistic mail (stdlib only).

Message number i of a given (seed, domain) is always the same octets, whatever
was generated before it.  Shapes: text/plain, multipart/alternative (text+html),
multipart/mixed with base64 attachments; 40 % are replies (In-Reply-To and
References to an earlier message), 15 % are Chinese or Japanese or Korean.

Known tokens, to check the result counts of SEARCH:
  header  X-Bench-Seq: <i>
  subject contains "[PRJ-<i % 100>]"
  body    contains "needle<i % 1000>x" once per part
  From    is one of 200 people, person i*7 % 200:  person<k>@corp<k % 20>.test
"""

import base64
import quopri
import random
import time

SIZES = {"2k": 2048, "50k": 50 * 1024, "1m": 1024 * 1024}
MIX = (("2k", 80), ("50k", 18), ("1m", 2))
EPOCH = 1735689600  # 2025-01-01T00:00:00Z
STEP = 97  # seconds between consecutive messages

_SYL = (
    "ba be bi bo bu da de di do du fa fe fi fo fu ga ge gi go gu ka ke ki ko ku la le li lo lu "
    "ma me mi mo mu na ne ni no nu pa pe pi po pu ra re ri ro ru sa se si so su ta te ti to tu "
    "va ve vi vo vu za ze zi zo zu"
).split()
_COMMON = (
    "the of and to in is that for it on with as are at be this have from or had by not but what "
    "all were when we there can an your which their said if do will each about how up out them "
    "then she many some so these would other into has more her two like him see time could no "
    "make than first been its who now people my made over did down only way find use may water "
    "long little very after words called just where most know meeting budget invoice report "
    "contract delivery schedule question attached regards thanks please review update team"
).split()
_CJK = (
    "会议 报告 预算 合同 交付 问题 附件 谢谢 请 更新 团队 项目 客户 价格 明天 下午 上海 北京 数据 系统 "
    "邮件 服务器 测试 計画 会議 資料 送付 確認 お願い します 東京 大阪 ありがとう ございます 見積 納期 "
    "회의 보고서 예산 계약 감사 합니다 서울 내일 확인 부탁"
).split()


def _wordlist():
    r = random.Random(20250101)
    words = list(_COMMON)
    while len(words) < 4000:
        words.append("".join(r.choice(_SYL) for _ in range(r.randint(2, 4))))
    return words


class MessageFactory:
    def __init__(self, seed=1, domain="example.test"):
        self.seed = seed
        self.domain = domain
        self.words = _wordlist()
        # Zipf-like weights, cumulated once
        acc, cum = 0.0, []
        for rank in range(1, len(self.words) + 1):
            acc += 1.0 / rank
            cum.append(acc)
        self.cum = cum
        r = random.Random(seed ^ 0x5EED)
        self.people = []
        for k in range(200):
            if k % 10 == 3:
                name = "".join(r.choice(_CJK) for _ in range(2))
                disp = "=?utf-8?b?%s?=" % base64.b64encode(name.encode()).decode()
            else:
                disp = '"%s %s"' % (r.choice(self.words[100:]).title(), r.choice(self.words[100:]).title())
            self.people.append((disp, "person%d@corp%d.test" % (k, k % 20)))
        self.blob = random.Random(seed ^ 0xB10B).randbytes(1 << 20)

    def msgid(self, i):
        return "<m%d.%d@%s>" % (i, self.seed, self.domain)

    def date(self, i):
        return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(EPOCH + i * STEP))

    def sender(self, i):
        return self.people[i * 7 % 200][1]

    def size_of(self, i, kind):
        if kind != "mix":
            return SIZES[kind] if kind in SIZES else int(kind)
        x = random.Random(self.seed * 1000003 + i).randrange(100)
        for name, weight in MIX:
            x -= weight
            if x < 0:
                return SIZES[name]
        return SIZES["2k"]

    def _text(self, r, size, cjk):
        out, line, n = [], [], 0
        if cjk:
            pick = lambda: r.choices(_CJK, k=12)
            joiner = ""
        else:
            pick = lambda: r.choices(self.words, cum_weights=self.cum, k=12)
            joiner = " "
        while n < size:
            line = joiner.join(pick())
            if r.random() < 0.15:
                line += ".\n"
            out.append(line)
            n += len(line.encode()) + 1
        return "\n".join(out)

    def make(self, i, size="2k", to="user1"):
        """Return the octets of message i (CRLF line ends, no dot-stuffing)."""
        target = self.size_of(i, size)
        r = random.Random(self.seed * 7919 + i)
        cjk = r.random() < 0.15
        disp, addr = self.people[i * 7 % 200]
        rcpt = to if "@" in to else "%s@%s" % (to, self.domain)
        subj = "[PRJ-%d] " % (i % 100)
        if cjk:
            w = " ".join(r.choices(_CJK, k=4))
            subj += "=?utf-8?b?%s?=" % base64.b64encode(w.encode()).decode()
        else:
            subj += " ".join(r.choices(self.words, cum_weights=self.cum, k=r.randint(3, 8)))
        parent = None
        if i > 0 and r.random() < 0.4:
            parent = max(0, i - r.randint(1, 30))
            subj = "Re: " + subj
        h = [
            "Received: from mail.corp%d.test (mail.corp%d.test [192.0.2.%d])" % (i * 7 % 20, i * 7 % 20, 1 + i % 250),
            "\tby mx.%s with ESMTP id q%x" % (self.domain, i + 4096),
            "\tfor <%s>; %s" % (rcpt, self.date(i)),
            "Date: " + self.date(i),
            "From: %s <%s>" % (disp, addr),
            "To: <%s>" % rcpt,
        ]
        if i % 5 == 0:
            h.append("Cc: " + ", ".join("<%s>" % self.people[(i + k) % 200][1] for k in range(1, 4)))
        h += ["Subject: " + subj, "Message-ID: " + self.msgid(i)]
        if parent is not None:
            h.append("In-Reply-To: " + self.msgid(parent))
            refs = [p for p in (parent - 7, parent - 3, parent) if p >= 0]
            h.append("References: " + "\r\n ".join(self.msgid(p) for p in refs))
        h += ["X-Bench-Seq: %d" % i, "X-Mailer: msggen 1", "MIME-Version: 1.0"]
        if i % 12 == 0:
            h.append("List-Id: <dev.corp%d.test>" % (i % 20))
        needle = "needle%dx" % (i % 1000)
        if target <= 1024 or r.random() < 0.2:
            kind = "plain"
        elif target >= 8192 or r.random() < 0.1:
            kind = "mixed"
        else:
            kind = "alt"
        overhead = sum(len(x) + 2 for x in h) + {"plain": 120, "alt": 520, "mixed": 800}[kind]
        room = max(200, target - overhead)
        if kind == "plain":
            txtlen = room if not cjk else room // 3 * 2
        elif kind == "alt":
            txtlen = room * 2 // 5 if not cjk else room // 6
        else:
            txtlen = min(3000, room // 4)
        if kind == "plain" and target > 65536:
            txtlen = 40000
        text = self._text(r, txtlen, cjk)
        head, sep, tail = text.partition("\n")
        text = head + "\n" + needle + "\n" + tail
        if i % 4 == 1 and parent is not None:
            text = "> " + text.replace("\n", "\n> ", 3)
        tp = self._part_text(text, "plain", cjk)
        if kind == "plain":
            msg = "\r\n".join(h).encode() + b"\r\n" + tp
            if target > 65536:
                msg += b"\r\n" + (b"x" * 70 + b"\r\n") * max(0, (target - len(msg)) // 72)
            return msg
        html = (
            "<html><head><style>p{margin:0 0 1em}</style></head><body><p>"
            + text.replace("\n", "<br>\n")
            + "</p></body></html>"
        )
        alt_b = "alt-%d-%d" % (self.seed, i)
        alt = (
            ("--%s\r\n" % alt_b).encode()
            + tp
            + ("\r\n--%s\r\n" % alt_b).encode()
            + self._part_text(html, "html", cjk)
            + ("\r\n--%s--\r\n" % alt_b).encode()
        )
        alt_ct = 'Content-Type: multipart/alternative; boundary="%s"' % alt_b
        if kind == "alt":
            return ("\r\n".join(h) + "\r\n" + alt_ct + "\r\n\r\n").encode() + alt
        mix_b = "mix-%d-%d" % (self.seed, i)
        out = [
            (
                "\r\n".join(h)
                + '\r\nContent-Type: multipart/mixed; boundary="%s"\r\n\r\n' % mix_b
                + "This is a multi-part message in MIME format.\r\n--%s\r\n" % mix_b
                + alt_ct
                + "\r\n\r\n"
            ).encode(),
            alt,
        ]
        used = sum(map(len, out))
        rest = max(300, (target - used - 350) * 57 // 78)
        natt = 1 if rest < 20000 else 1 + i % 2
        for a in range(natt):
            ext, ct = (
                ("pdf", "application/pdf"),
                ("png", "image/png"),
                ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
                ("csv", "text/csv"),
            )[(i + a) % 4]
            name = "file-%d-%d.%s" % (i, a, ext)
            if cjk:
                disp_name = "filename*=utf-8''%E9%99%84%E4%BB%B6-" + str(i) + "." + ext
            else:
                disp_name = 'filename="%s"' % name
            n = rest // natt
            off = (i * 4099 + a * 65537) % (1 << 19)
            data = (self.blob[off:] + self.blob)[:n] if off + n > len(self.blob) else self.blob[off : off + n]
            b64 = base64.encodebytes(data).replace(b"\n", b"\r\n")
            out.append(
                (
                    '\r\n--%s\r\nContent-Type: %s; name="%s"\r\nContent-Disposition: attachment; %s\r\n'
                    "Content-Transfer-Encoding: base64\r\n\r\n" % (mix_b, ct, name, disp_name)
                ).encode()
            )
            out.append(b64)
        out.append(("\r\n--%s--\r\n" % mix_b).encode())
        return b"".join(out)

    @staticmethod
    def _part_text(text, sub, cjk):
        raw = text.encode("utf-8")
        if cjk:
            return (
                "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" % sub
            ).encode() + base64.encodebytes(raw).replace(b"\n", b"\r\n")
        if sub == "html":
            return (
                b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                + quopri.encodestring(raw).replace(b"\n", b"\r\n")
                + b"\r\n"
            )
        return (
            b"Content-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
            + raw.replace(b"\n", b"\r\n")
            + b"\r\n"
        )


if __name__ == "__main__":
    import argparse
    import os
    import sys

    ap = argparse.ArgumentParser(description="write generated messages to a Maildir, or one to stdout")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--domain", default="example.test")
    ap.add_argument("--size", default="2k", help="2k, 50k, 1m, mix, or a number of octets")
    ap.add_argument("--count", type=int, default=1)
    ap.add_argument("--start", type=int, default=0)
    ap.add_argument("--to", default="user1")
    ap.add_argument("--maildir", help="folder that gets cur/ new/ tmp/; without it message --start goes to stdout")
    ap.add_argument("--uid", type=int, default=-1, help="chown to this numeric uid and gid")
    a = ap.parse_args()
    f = MessageFactory(a.seed, a.domain)
    if not a.maildir:
        sys.stdout.buffer.write(f.make(a.start, a.size, a.to))
    else:
        for sub in ("", "cur", "new", "tmp"):
            p = os.path.join(a.maildir, sub)
            os.makedirs(p, exist_ok=True)
            if a.uid >= 0:
                os.chown(p, a.uid, a.uid)
        cur = os.path.join(a.maildir, "cur")
        for i in range(a.start, a.start + a.count):
            m = f.make(i, a.size, a.to).replace(b"\r\n", b"\n")
            p = os.path.join(
                cur,
                "%d.M%dP1.bench,S=%d,W=%d:2,%s"
                % (EPOCH + i * STEP, i, len(m), len(m) + m.count(b"\n"), "S" if i % 3 else ""),
            )
            with open(p, "wb") as fh:
                fh.write(m)
            os.utime(p, (EPOCH + i * STEP,) * 2)
            if a.uid >= 0:
                os.chown(p, a.uid, a.uid)
