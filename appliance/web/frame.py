"""The document in which a message is read: its headers, its own small style sheet, its bounds.

Promises: the document holds no script and no reference to anything but pictures; its headers forbid everything but
pictures of this server and inline styles, and repeat the sandbox of the frame, so that opened alone it is as harmless.
HTML mail stands on light paper, since its colours were chosen for that; plain text follows the theme. A link that does
not lead where it says shows its host behind it.

May not: take anything but cleaned HTML (`sanitize`) or text made by `plain`.
"""

from __future__ import annotations

from html import escape
from typing import Final, Literal

Theme = Literal["light", "dark", "auto"]
Kind = Literal["html", "plain"]

SANDBOX: Final = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
"""The sandbox attribute of the frame; allow-scripts is never part of it."""
CSP: Final = (
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    f"frame-ancestors 'self'; sandbox {SANDBOX}"
)
HEADERS: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", CSP),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-DNS-Prefetch-Control", "off"),
    ("Cache-Control", "private"),
)

_FONT = 'Inter,system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif'
_BOTH = """
*{box-sizing:border-box}
body{margin:0;padding:16px;overflow-wrap:anywhere}
.mail{position:relative;contain:paint;min-height:24px}
img{max-width:100%}
a[data-warn]{outline:1px dashed #8a5200;outline-offset:2px}
a[data-warn]::after{content:" \\26A0 " attr(data-host);color:#8a5200;background:#fff;font:600 12px/1.4 monospace}
:focus-visible{outline:2px solid #3358d4;outline-offset:2px}
"""
_PAPER = f"""
:root{{color-scheme:light}}
body{{background:#fff;color:#1a1d24;font:14px/1.55 {_FONT}}}
.mail a{{color:#2f51c4}}
.mail pre{{white-space:pre-wrap}}
.mail table{{max-width:100%}}
.mail blockquote{{margin:0 0 0 4px;padding-left:12px;border-left:2px solid #e6e8ec}}
img[src^="data:image/gif;base64,R0lGODlhAQABAIAAAG1zdP"]{{border:1px dashed #c4c9d2;background:#f4f5f7}}
"""
_PLAIN = f"""
:root{{color-scheme:var(--scheme)}}
body{{background:light-dark(#fff,#14171c);color:light-dark(#1a1d24,#e8ebf1);font:14px/1.65 {_FONT}}}
.mail a{{color:light-dark(#2f51c4,#93aeff)}}
.text{{white-space:pre-wrap;unicode-bidi:plaintext;max-width:74ch}}
.quote{{margin:4px 0;padding-left:12px;border-left:2px solid light-dark(#e6e8ec,#242932);color:light-dark(#4b5362,#adb5c3)}}
details>summary{{cursor:pointer;width:fit-content;padding:0 8px;border-radius:6px;color:light-dark(#4b5362,#adb5c3);
background:light-dark(#f4f5f7,#191d23)}}
.signature{{color:light-dark(#646d7c,#8d96a7)}}
"""
_SCHEMES: Final = {"light": "light", "dark": "dark", "auto": "light dark"}


def document(
    body: str,
    *,
    kind: Kind = "html",
    language: str = "en",
    title: str = "",
    theme: Theme = "light",
    blocked: int = 0,
    bound: bool = False,
) -> bytes:
    """The whole document, UTF-8. `body` is cleaned already; `title` and `language` are text.

    `blocked` remote pictures and a `bound` that left the formatting out are noted for the page around the frame.
    """
    notes = (f' data-blocked="{blocked}"' if blocked else "") + (" data-bound" if bound else "")
    own = _PAPER if kind == "html" else _PLAIN.replace("var(--scheme)", _SCHEMES[theme])
    return (
        f'<!doctype html><html lang="{escape(language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_BOTH}{own}</style></head>"
        f'<body><div class="mail"{notes}>{body}</div></body></html>'
    ).encode("utf-8", "replace")
