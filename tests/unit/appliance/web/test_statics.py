"""Static files: hashed names, references rewritten, errors at start."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from appliance.web.pages import STATIC
from appliance.web.statics import StaticError, Statics

ROOT = Path(__file__).resolve().parents[4]


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, "utf-8")
    return folder


def test_names_follow_content_and_references(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "a",
        a_css='b { background: url("p.svg") }',
        p_svg="<svg/>" * 50,
        m_js='import { x } from "./n.js";',
        n_js="1",
    )
    first = Statics([folder])
    assert first.url("p.svg") in first.find(first.url("a.css").removeprefix("/static/")).plain.decode()
    assert first.url("n.js") in first.find(first.url("m.js").removeprefix("/static/")).plain.decode()
    (folder / "n.js").write_text("2")
    second = Statics([folder])
    assert second.url("n.js") != first.url("n.js")
    assert second.url("m.js") != first.url("m.js")
    assert second.url("a.css") == first.url("a.css")
    packed = second.find(second.url("p.svg").removeprefix("/static/"))
    assert gzip.decompress(packed.packed) == packed.plain
    assert second.find("p.svg") is None


def test_what_is_not_there_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(StaticError, match=r"gone\.svg"):
        Statics([write(tmp_path / "a", a_css='b { background: url("gone.svg") }')])
    with pytest.raises(StaticError, match="circle"):
        Statics([write(tmp_path / "b", a_js='import "./b.js";', b_js='import "./a.js";')])
    with pytest.raises(StaticError):
        Statics([write(tmp_path / "c", a_css='b { background: url("../../etc/passwd") }')])
    with pytest.raises(StaticError, match="two"):
        Statics([write(tmp_path / "d", x_js="1"), write(tmp_path / "e", x_js="1")])
    with pytest.raises(StaticError):
        Statics([]).url("nothing.css")


def test_ours_are_whole_and_vendored_files_are_as_listed() -> None:
    statics = Statics([STATIC, ROOT / "webmail" / "static", ROOT / "admin" / "static"])
    assert {"tokens.css", "parts.css", "icons.svg", "vendor/htmx.min.js"} <= set(statics.names())
    import hashlib

    for line in (STATIC / "vendor" / "SHA256SUMS").read_text("ascii").splitlines():
        digest, name = line.split()
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest, name
    listed = {line.split()[1] for line in (STATIC / "vendor" / "SHA256SUMS").read_text("ascii").splitlines()}
    found = {p.relative_to(STATIC).as_posix() for kind in ("vendor/*.js", "fonts/*.woff2") for p in STATIC.glob(kind)}
    assert found == listed
