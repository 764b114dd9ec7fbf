"""Sample letters: a newsletter with tables, a style sheet, pictures from elsewhere and one that counts its readers."""

from __future__ import annotations

from typing import Final

from appliance.ops.samples.letter import NEW, Letter, Lies

_ARCHIVE: Final = Lies(mailbox="Archive")
_LETTER_HTML: Final = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>The Bench Letter</title>
<style>
body { background: #f3efe7; }
h1 { font: bold 26px Georgia, serif; color: #2f4a3c; }
.lead { font-size: 16px; color: #4a4438; }
.button { background: #2f4a3c; color: #ffffff; padding: 10px 18px; text-decoration: none; }
</style></head>
<body style="margin:0; background:#f3efe7">
<table role="presentation" width="100%%" cellpadding="0" cellspacing="0" bgcolor="#f3efe7"><tr><td align="center">
<table role="presentation" width="600" cellpadding="0" cellspacing="0" bgcolor="#ffffff">
<tr><td style="padding:24px 32px 8px"><h1>The Bench Letter</h1>
<p class="lead">%(lead)s</p></td></tr>
<tr><td><img src="https://pictures.bench.example.net/%(picture)s.jpg" width="600" height="240" alt="%(alt)s"></td></tr>
<tr><td style="padding:16px 32px">
<table role="presentation" width="100%%" cellpadding="0" cellspacing="0"><tr>
<td width="50%%" valign="top" style="padding-right:12px"><h2 style="font-size:17px; color:#2f4a3c">%(left)s</h2>
<p style="font-size:14px; line-height:1.5">%(left_text)s</p></td>
<td width="50%%" valign="top" style="padding-left:12px"><h2 style="font-size:17px; color:#2f4a3c">%(right)s</h2>
<p style="font-size:14px; line-height:1.5">%(right_text)s</p></td></tr></table>
<p style="padding:12px 0"><a class="button" href="https://bench.example.net/read">Read it all</a></p>
</td></tr>
<tr><td style="padding:16px 32px; font-size:12px; color:#6b6558; border-top:1px solid #e4ddd0">You get this because you
asked for it. <a href="https://bench.example.net/leave">Leave the list</a>
<img src="https://count.bench.example.net/open?who=ann" width="1" height="1" alt=""></td></tr>
</table></td></tr></table></body></html>
"""


def _news(key: str, days: int, to: str, lies: Lies, subject: str, **values: str) -> Letter:
    text = "\n\n".join(
        ("THE BENCH LETTER", values["lead"], *(f"{values[n]}\n{values[n + '_text']}" for n in ("left", "right")))
    )
    return Letter(
        key=key,
        sender="journal",
        to=(to,),
        subject=subject,
        days=days,
        at="5:00",
        text=text + "\n\nhttps://bench.example.net/read\n",
        html=_LETTER_HTML % values,
        lies={to: lies},
    )


def letters() -> tuple[Letter, ...]:
    """Three issues."""
    return (
        _news(
            "news.1",
            41,
            "ann",
            _ARCHIVE,
            "Seven joints every bench should know",
            lead="Autumn is the time for joints: the wood is dry, and so is the shop.",
            picture="joints",
            alt="Seven joints of beech on a bench",
            left="The patient dovetail",
            left_text="Cut the tails first, then the pins, and never sand what you can plane.",
            right="Sharp in five minutes",
            right_text="A flat stone, a drop of oil and a leather strap are all it takes.",
        ),
        _news(
            "news.2",
            13,
            "bob",
            NEW,
            "Oil or wax? We asked forty workshops",
            lead="Forty workshops, one question. The answers surprised even us.",
            picture="oil",
            alt="A hand oiling a table",
            left="What lasts",
            left_text="Hard oil in three thin coats wins on worktops; wax stays where no glass stands.",
            right="What burns",
            right_text="Cloths soaked in linseed oil catch fire by themselves. Keep them in a closed tin.",
        ),
        _news(
            "news.3",
            1,
            "ann",
            NEW,
            "A chair in one weekend",
            lead="Four legs, two days, no screws: the plan of the month comes with a list for the timber yard.",
            picture="chair",
            alt="A plain chair of ash before a window",
            left="Saturday",
            left_text="Turn the legs, bore the seat, glue up before supper. Ash splits straight: use that.",
            right="Sunday",
            right_text="Level the feet, break every edge, one coat of soap. Sit down. You made that.",
        ),
    )
