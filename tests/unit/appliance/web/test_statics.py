"""Static files: hashed names, references rewritten, errors at start."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import playwright
import pytest

from appliance.web.pages import STATIC
from appliance.web.statics import StaticError, Statics

ROOT = Path(__file__).resolve().parents[4]


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, "utf-8")
    return folder


def text_of(statics: Statics, name: str) -> str:
    return statics.find(statics.url(name).removeprefix("/static/")).plain.decode()


def test_names_follow_content_and_references(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "a",
        a_css='b { background: url("p.svg") }',
        p_svg="<svg/>" * 50,
        m_js='import { x } from "./n.js";',
        o_js='import * as n from "./n.js";',
        n_js="export const x = 1;",
    )
    first = Statics([folder])
    assert first.url("p.svg") in text_of(first, "a.css")
    assert first.url("n.js") in text_of(first, "m.js")
    (folder / "n.js").write_text("export const x = 2;")
    second = Statics([folder])
    assert second.url("n.js") != first.url("n.js")
    assert second.url("m.js") != first.url("m.js")
    assert second.url("a.css") == first.url("a.css")
    packed = second.find(second.url("p.svg").removeprefix("/static/"))
    assert gzip.decompress(packed.packed) == packed.plain
    assert second.find("p.svg") is None


def test_style_sheets_take_others_in(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "a",
        all_css='@import "one.css";\n@import "two.css";\n.all {}\n',
        one_css='.one { background: url("p.svg") }\n',
        two_css=".two {}\n",
        p_svg="<svg/>",
    )
    statics = Statics([folder])
    text = text_of(statics, "all.css")
    assert "@import" not in text
    assert text.index(".one") < text.index(".two") < text.index(".all")
    assert statics.url("p.svg") in text
    (folder / "two.css").write_text(".two { color: red }")
    assert Statics([folder]).url("all.css") != statics.url("all.css")
    (folder / "two.css").write_text('@import "all.css";')
    with pytest.raises(StaticError, match="circle"):
        Statics([folder])


def test_modules_of_one_page_are_one_file(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "a",
        page_js='import { b as other, told } from "./b.js";\nimport "./c.js";\ntold(other());\n',
        b_js='import * as c from "./c.js";\nimport { said } from "./d.js";\nlet n = 0;\n'
        "export const told = (x) => said.push(x);\nexport function b() { n += 1; return c.c + n; }\n",
        c_js='import { said } from "./d.js";\nsaid.push("c");\nexport const c = "b";\nconst n = 7;\n',
        d_js="export const said = [];\n",
        else_js='import { said } from "./d.js";\n',
    )
    statics = Statics([folder])
    with pytest.raises(StaticError, match=r"b\.js is a part of page\.js"):
        statics.url("b.js")
    out = tmp_path / "out"
    (out / "static").mkdir(parents=True)
    for name in ("page.js", "d.js"):
        text = text_of(statics, name).replace("/static/", "./")
        (out / statics.url(name).removeprefix("/static/")).write_text(text)
    page, shared = (statics.url(name).removeprefix("/static/") for name in ("page.js", "d.js"))
    (out / "run.mjs").write_text(f'import "./{page}"; import {{ said }} from "./{shared}"; console.log(said.join());')
    (out / "package.json").write_text('{"type": "module"}')
    node = Path(playwright.__file__).parent / "driver" / "node"
    ran = subprocess.run([str(node), "run.mjs"], cwd=out, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("c,b1", "")


@pytest.mark.parametrize("line", ["export let x = 1;", "export default 1;", 'import x from "./c.js";', "export { y };"])
def test_modules_that_cannot_be_put_together(tmp_path: Path, line: str) -> None:
    with pytest.raises(StaticError, match=r"b\.js: cannot"):
        Statics([write(tmp_path / "a", a_js='import "./b.js";', b_js=line, c_js="")])


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
