#!/usr/bin/env python3
"""Deterministic generator of a realistic business mailbox (Maildir++), stdlib only.

usage: gen_mailbox.py --out DIR [--count 10000] [--seed 7] [--user anna@example.test]

Creates DIR/{cur,new,tmp} (INBOX) and DIR/.Sent DIR/.Archive DIR/.Junk DIR/.Trash DIR/.Drafts.
English + Simplified Chinese, plain / alternative / html-only / attachments / inline images,
reply chains (References), newsletters with remote images, flagged / unread mix.
Needle words for search benches (each placed in a known number of messages):
  subject needle "Zephyrine"  -> 12 messages      body needle "quillwort" -> 25 messages
  Chinese subject needle "验收报告" -> 8 messages     body needle "增值税发票" -> 15 messages
"""

import argparse, base64, os, random, struct, time, zlib
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from datetime import datetime, timedelta, timezone

PEOPLE = [
    ("Maria Lindqvist", "maria.lindqvist@nordwind.test"),
    ("James Okafor", "james@okafor-legal.test"),
    ("Priya Raman", "priya.raman@brightforge.test"),
    ("Tom Becker", "tom.becker@example.test"),
    ("李静", "li.jing@example.test"),
    ("王建国", "wang.jianguo@huaxin.test"),
    ("Sofia Marino", "sofia@studio-marino.test"),
    ("Daniel Kowalski", "d.kowalski@fastfreight.test"),
    ("陈晓明", "chen.xiaoming@lantian.test"),
    ("Hannah Weiss", "hannah.weiss@example.test"),
    ("Luc Moreau", "luc.moreau@atelier-moreau.test"),
    ("Grace Njeri", "grace@savannahcoffee.test"),
    ("张伟", "zhang.wei@example.test"),
    ("Oliver Grant", "oliver.grant@grant-accounting.test"),
    ("Emily Carter", "emily.carter@example.test"),
    ("Kenji Sato", "k.sato@satoprint.test"),
    ("刘洋", "liu.yang@hengtong.test"),
    ("Isabel Costa", "isabel@costa-tiles.test"),
    ("Peter van Dijk", "peter@vandijk-it.test"),
    ("Ngozi Ade", "ngozi.ade@example.test"),
]
ROBOTS = [
    ("Stripe", "receipts@stripe.test"),
    ("GitLab", "noreply@gitlab.test"),
    ("DHL Express", "tracking@dhl.test"),
    ("LinkedIn", "messages@linkedin.test"),
    ("Xero", "no-reply@xero.test"),
    ("Backup Monitor", "backup@example.test"),
    ("The Morning Brief", "newsletter@morningbrief.test"),
    ("钉钉通知", "notice@dingtalk.test"),
    ("Booking", "noreply@booking.test"),
]
SUBJ = [
    "Invoice {n} for October",
    "Re-quote for the Lisbon project",
    "Meeting notes: weekly sync {n}",
    "Contract draft v{v}",
    "Delivery window for order #{n}",
    "Question about the lease",
    "Photos from the site visit",
    "Q{q} budget, second pass",
    "Holiday calendar {y}",
    "New laptop for {who}",
    "Printer on floor 2 again",
    "Payment reminder {n}",
    "Updated price list {y}",
    "Interview schedule for Thursday",
    "Website copy, final round",
    "Warehouse inventory mismatch",
    "Insurance renewal",
    "Welcome to the team!",
    "Customer complaint, ticket {n}",
    "Draft agenda for the board meeting",
]
SUBJ_ZH = [
    "{y}年第{q}季度预算初稿",
    "关于订单{n}的交货时间",
    "会议纪要：项目周会",
    "合同修订稿 v{v}",
    "请确认付款信息",
    "下周出差安排",
    "新员工入职手续",
    "发票{n}已开具",
    "产品报价单更新",
    "周报：研发部",
]
RSUBJ = [
    "Your receipt #{n}",
    "Pipeline failed for main ({n})",
    "Your shipment {n} is on its way",
    "3 people viewed your profile",
    "Backup report: OK ({n})",
    "This week: what moved the markets",
    "审批通知：报销单 {n}",
    "Reservation confirmed #{n}",
    "Invoice {n} is due in 7 days",
]
SENT = [
    "Thanks for the quick turnaround on this.",
    "I have attached the updated version with the changes we discussed on the phone.",
    "Could you check the figures on page four before Friday?",
    "The supplier moved the delivery to next Tuesday, so we need to tell the customer today.",
    "Our bank details have not changed; please ignore the earlier message.",
    "Let me know if two o'clock works, otherwise I can do Thursday morning.",
    "The total including VAT comes to {n}.00 EUR, payable within thirty days.",
    "I spoke with the landlord and he agrees to the new terms in principle.",
    "We still need a signature from both directors.",
    "Please keep this between us until the announcement.",
    "The photos are large, I can send a link if your mailbox is full.",
    "Nothing urgent, but it would be good to close this before the holidays.",
    "As agreed I am copying Hannah, who takes over from next month.",
    "The third option looks best to me, although it is slightly more expensive.",
    "I will be travelling on Monday and can be reached by phone.",
]
SENT_ZH = [
    "您好，附件是最新版本，请查收。",
    "麻烦您在周五之前确认一下第四页的数字。",
    "供应商把交货时间推迟到下周二，我们今天需要通知客户。",
    "合计金额含税为{n}元，请在三十天内付款。",
    "如果没有其他意见，我们就按这个方案执行。",
    "会议改到下午两点，地点在三楼会议室。",
    "关于合同条款，法务部还有两处修改意见。",
    "收到，谢谢！",
    "下个月起由李静负责对接。",
]


def png(w, h, rgb):
    raw = b"".join(b"\0" + bytes(rgb) * w for _ in range(h))

    def ch(t, d):
        return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d) & 0xFFFFFFFF)

    return (
        b"\x89PNG\r\n\x1a\n"
        + ch(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))
        + ch(b"IDAT", zlib.compress(raw, 9))
        + ch(b"IEND", b"")
    )


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", required=True)
    a.add_argument("--count", type=int, default=10000)
    a.add_argument("--seed", type=int, default=7)
    a.add_argument("--user", default="anna@example.test")
    a.add_argument("--name", default="Anna Novak")
    o = a.parse_args()
    R = random.Random(o.seed)
    me = (o.name, o.user)
    n = o.count
    folders = [("", int(n * 0.8)), (".Sent", int(n * 0.1)), (".Archive", int(n * 0.07)), (".Junk", int(n * 0.02))]
    folders.append((".Trash", n - sum(c for _, c in folders)))
    folders.append((".Drafts", 0))
    for f, _ in folders:
        for d in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(o.out, f, d), exist_ok=True)
        if f:
            open(os.path.join(o.out, f, "maildirfolder"), "w").close()
    now = datetime(2026, 11, 20, 9, 0, tzinfo=timezone.utc)
    inbox = folders[0][1]
    pick = lambda k: set(R.sample(range(inbox), min(k, inbox)))
    nz, nq, cz, cq = pick(12), pick(25), pick(8), pick(15)
    pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    hist = []
    total = 0
    t0 = time.time()
    for f, c in folders:
        for i in range(c):
            age = timedelta(
                minutes=int((c - i) * 26 * (0.4 + R.random() * 0.1)) if f == "" else R.randrange(60, 400000)
            )
            dt = now - age
            m = EmailMessage()
            num = R.randrange(1000, 99999)
            fmt = dict(n=num, v=R.randrange(1, 9), q=R.randrange(1, 5), y=dt.year, who=R.choice(PEOPLE)[0])
            robot = f in ("", ".Junk") and R.random() < 0.3
            zh = (not robot) and R.random() < 0.22
            ppl = R.choice(ROBOTS if robot else PEOPLE)
            subj = R.choice(RSUBJ if robot else SUBJ_ZH if zh else SUBJ).format(**fmt)
            reply = None
            if f in ("", ".Sent") and hist and not robot and R.random() < 0.38:
                reply = R.choice(hist[-300:])
            if reply:
                subj = reply[1] if reply[1].startswith("Re: ") else "Re: " + reply[1]
            if f == "" and i in nz:
                subj += " (Zephyrine)"
            if f == "" and i in cz:
                subj += " 验收报告"
            mid = "<%s.%d@gen.example.test>" % ("%08x" % R.getrandbits(32), i)
            m["Message-ID"] = mid
            m["Date"] = format_datetime(dt)
            fr, to = (me, ppl) if f == ".Sent" else (ppl, me)
            m["From"] = formataddr(fr)
            m["To"] = formataddr(to)
            if R.random() < 0.25:
                m["Cc"] = ", ".join(formataddr(p) for p in R.sample(PEOPLE, R.randrange(1, 4)))
            m["Subject"] = subj
            if reply:
                m["In-Reply-To"] = reply[0]
                m["References"] = " ".join(reply[2][-6:] + [reply[0]])
            body = [R.choice(SENT_ZH if zh else SENT).format(**fmt) for _ in range(R.randrange(2, 11))]
            if f == "" and i in nq:
                body.append("The code word for the audit is quillwort.")
            if f == "" and i in cq:
                body.append("请尽快把增值税发票寄给财务部。")
            sig = "\n\n-- \n%s\n%s" % (fr[0], fr[1].split("@")[1])
            txt = (
                ("你好，\n\n" if zh else "Hi,\n\n")
                + "\n\n".join(" ".join(body[k : k + 3]) for k in range(0, len(body), 3))
                + sig
            )
            if reply:
                txt += "\n\nOn an earlier date %s wrote:\n> %s\n> %s" % (
                    to[0],
                    R.choice(SENT).format(**fmt),
                    R.choice(SENT).format(**fmt),
                )
            kind = R.random()
            m.set_content(txt, charset="utf-8", cte="quoted-printable" if not zh else "base64")
            if robot:
                rows = "".join(
                    '<tr><td style="padding:12px;border-bottom:1px solid #ddd;font-family:Arial"><b>%s</b><br>%s</td><td><img src="https://img.tracker.test/%d.png" width="120" height="80" alt=""></td></tr>'
                    % (R.choice(SUBJ).format(**fmt), R.choice(SENT).format(**fmt), k)
                    for k in range(R.randrange(3, 14))
                )
                m.add_alternative(
                    '<html><head><style>.h{color:#fff}</style></head><body style="background:#f4f4f4"><table width="600" align="center" style="background:#fff"><tr><td colspan="2" style="background:#1f4ed8;padding:24px" class="h"><h1 style="color:#fff;font-family:Arial">%s</h1></td></tr>%s<tr><td colspan="2"><a href="https://%s/unsubscribe?u=%d">Unsubscribe</a><img src="https://t.tracker.test/o.gif?u=%d" width="1" height="1"></td></tr></table></body></html>'
                    % (subj, rows, ppl[1].split("@")[1], num, num),
                    subtype="html",
                )
                m["List-Unsubscribe"] = "<https://%s/unsubscribe?u=%d>" % (ppl[1].split("@")[1], num)
            elif kind < 0.55:
                m.add_alternative(
                    "<html><body>"
                    + "".join("<p>%s</p>" % p for p in txt.replace("&", "&amp;").replace("<", "&lt;").split("\n\n"))
                    + ('<p><img src="cid:logo%d" width="160" height="40" alt="logo"></p>' % i if kind < 0.1 else "")
                    + "</body></html>",
                    subtype="html",
                )
                if kind < 0.1:
                    m.get_payload()[1].add_related(
                        png(160, 40, (31, 78, R.randrange(120, 255))), "image", "png", cid="<logo%d>" % i
                    )
            if kind > 0.84 and not robot:
                m.add_attachment(
                    pdf + bytes(R.randrange(2000, 60000)),
                    maintype="application",
                    subtype="pdf",
                    filename=("合同-%d.pdf" if zh else "offer-%d.pdf") % num,
                )
                if kind > 0.95:
                    m.add_attachment(
                        png(400, 300, (R.randrange(255), 120, 90)),
                        maintype="image",
                        subtype="png",
                        filename="site-photo-%d.png" % num,
                    )
            raw = m.as_bytes()
            total += len(raw)
            seen = f != "" or (c - i > 40 and R.random() < 0.93)
            fl = (
                ("F" if R.random() < 0.03 else "")
                + ("R" if f == "" and seen and R.random() < 0.2 else "")
                + ("S" if seen else "")
            )
            p = os.path.join(o.out, f, "cur", "%d.M%dP%d.gen,S=%d:2,%s" % (int(dt.timestamp()), i, i, len(raw), fl))
            with open(p, "wb") as fh:
                fh.write(raw)
            os.utime(p, (dt.timestamp(), dt.timestamp()))
            if not robot:
                hist.append((mid, subj, (reply[2][-6:] + [reply[0]]) if reply else []))
    print("messages=%d bytes=%d seconds=%.1f" % (n, total, time.time() - t0))


if __name__ == "__main__":
    main()
