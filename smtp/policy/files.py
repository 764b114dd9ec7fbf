"""Attached files that are dangerous, told by their names and by their first octets.

Programs and scripts, also inside archives; macros in OLE and OOXML; HTML that builds a file (smuggling); names that hide
what they are (double extensions, RTL override); archives inside archives; archives nobody can look into.
Promises: looks at no more than LOOK_MOST octets of a file, unpacks nothing, work linear. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from smtp.policy.verdict import Action, Weighed

LOOK_MOST = 2 << 20
"""Octets of one file that are looked at, decoded."""
MEMBERS_MOST = 2000

PROGRAMS = frozenset(
    {
        "ade", "adp", "apk", "app", "appinstaller", "appx", "bat", "cab", "chm", "cmd", "com", "cpl", "diagcab", "dll",
        "dmg", "ex", "exe", "hlp", "hta", "img", "inf", "ins", "iso", "isp", "jar", "jnlp", "js", "jse", "lib", "library-ms",
        "lnk", "mde", "msc", "msi", "msix", "msp", "mst", "one", "pif", "pkg", "ps1", "ps1xml", "psc1", "psd1", "psm1",
        "reg", "scf", "scr", "sct", "settingcontent-ms", "shb", "sys", "url", "vb", "vbe", "vbs", "vhd", "vhdx", "vxd", "wim",
        "wsc", "wsf", "wsh", "xbap", "xll",
    }
)  # fmt: skip
"""Extensions that run, or mount something that does, when they are opened."""
_MACROS = frozenset({"docm", "dotm", "xlsm", "xltm", "xlam", "pptm", "potm", "ppam", "ppsm", "sldm", "xlsb"})
_ARCHIVES = frozenset({"zip", "rar", "7z", "gz", "tgz", "bz2", "xz", "tar", "ace", "arj", "lzh", "lha", "z", "zst"})
_HARMLESS = frozenset(
    {
        "pdf",
        "doc",
        "docx",
        "xls",
        "xlsx",
        "ppt",
        "pptx",
        "jpg",
        "jpeg",
        "png",
        "gif",
        "txt",
        "csv",
        "htm",
        "html",
        "mp3",
        "mp4",
    }
)
_HTML = frozenset({"htm", "html", "shtml", "xht", "xhtml", "svg", "mht"})
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"MZ", "windows"),
    (b"\x7fELF", "linux"),
    (b"\xcf\xfa\xed\xfe", "macos"),
    (b"\xce\xfa\xed\xfe", "macos"),
    (b"\xca\xfe\xba\xbe", "java"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "shortcut"),
    (b"#!", "script"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "onenote"),
)
_BOXES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"Rar!\x1a\x07", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b\x08", "gz"),
    (b"MSCF", "cab"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_MACRO = tuple("".join(word).encode("utf-16-le") for word in ("_VBA_PROJECT", "VBA", "Macros"))
_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
_WIDE = re.compile(r"[ \u00a0\u2000-\u200a\u3000]{8,}")
_SMUGGLING = re.compile(
    rb"\bcreateObjectURL\s*\(|\bmsSave(?:OrOpen)?Blob\s*\(|\bnew\s+Blob\s*\(|\batob\s*\(|\bunescape\s*\(|fromCharCode\s*\("
    rb"|<a[^>]{0,300}\bdownload\s*=[^>]{0,300}\bhref\s*=\s*[\"']?data:|\.download\s*=",
    re.I,
)
_SCRIPT = re.compile(rb"<script|\bon(?:load|error|click)\s*=|javascript:", re.I)
_PASSWORD_FIELD = re.compile(rb"<input[^>]{0,300}type\s*=\s*[\"']?password", re.I)


@dataclass(frozen=True, slots=True)
class File:
    """An attached file: its name as the sender wrote it (decoded), its media type, and its first octets, decoded."""

    name: str
    type: str
    data: bytes
    whole: bool = True

    @property
    def extension(self) -> str:
        """The last extension, lower-case."""
        return extension(self.name)


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside an archive."""

    name: str
    encrypted: bool


def extension(name: str) -> str:
    """What stands behind the last dot, lower-case; empty where there is nothing."""
    tail = name.replace("\\", "/").rpartition("/")[2].rstrip(" .\u00a0").rpartition(".")
    return _OVERRIDES.sub("", tail[2]).strip().lower() if tail[1] else ""


def weigh(files: Iterable[File], *, password_told: bool = False) -> list[Weighed]:
    """What is wrong with the files, each kind once. `password_told`: the text gives a password."""
    found: dict[str, Weighed] = {}
    for file in files:
        for one in _weigh(file, password_told=password_told):
            found.setdefault(one.code, one)
    return list(found.values())


def _weigh(file: File, *, password_told: bool) -> list[Weighed]:
    name = {"name": file.name}
    kind = next((kind for magic, kind in _MAGIC if file.data.startswith(magic)), "")
    if kind == "windows" and not _is_windows_program(file.data):
        kind = ""
    out = _named(file.name)
    if kind and kind != "script":
        out.append(Weighed("file.program", 150, {**name, "kind": kind}, Action.QUARANTINE))
        if file.extension not in PROGRAMS:
            out.append(Weighed("file.disguised", 80, {**name, "kind": kind}, Action.QUARANTINE))
    elif kind and file.extension in _HARMLESS - {"txt"}:
        out.append(Weighed("file.disguised", 60, {**name, "kind": kind}, Action.QUARANTINE))
    out += _macros(file)
    out += _page(file)
    return out + _inside(file, password_told=password_told)


def _named(name: str) -> list[Weighed]:
    out: list[Weighed] = []
    if extension(name) in PROGRAMS:
        out.append(Weighed("file.program", 150, {"name": name, "kind": extension(name)}, Action.QUARANTINE))
        before = extension(name.rstrip(" .").rpartition(".")[0])
        if before in _HARMLESS | _ARCHIVES:
            out.append(Weighed("file.double", 60, {"name": name}, Action.QUARANTINE))
    if _OVERRIDES.search(name):
        out.append(Weighed("file.override", 120, {"name": _OVERRIDES.sub("", name)}, Action.QUARANTINE))
    if _WIDE.search(name):
        out.append(Weighed("file.wide", 60, {"name": " ".join(name.split())}))
    return out


def _is_windows_program(data: bytes) -> bool:
    """MZ alone begins texts too: the header says where the program's own begins."""
    if len(data) < 64:
        return False
    at = int.from_bytes(data[60:64], "little")
    return data[at : at + 2] in (b"PE", b"NE", b"LE", b"LX") or (at >= len(data) and b"This program" in data[:512])


def _macros(file: File) -> list[Weighed]:
    data = file.data
    if data.startswith(_OLE):
        hits = sum(marker in data for marker in _OLE_MACRO)
        if hits >= 2 or (hits and file.extension in {"doc", "xls", "ppt"}):
            return [Weighed("file.macros", 70, {"name": file.name})]
    elif file.extension in _MACROS or (data.startswith(b"PK\x03\x04") and b"vbaProject.bin" in data):
        return [Weighed("file.macros", 70, {"name": file.name})]
    if data.startswith(b"{\\rt") and (b"\\objdata" in data or b"\\objupdate" in data):
        return [Weighed("file.object", 90, {"name": file.name})]
    return []


def _page(file: File) -> list[Weighed]:
    """An attached page: what runs in it, and whether it asks for a password."""
    if file.extension not in _HTML and file.type not in ("text/html", "image/svg+xml", "application/xhtml+xml"):
        return []
    if _SMUGGLING.search(file.data):
        return [Weighed("file.smuggling", 150, {"name": file.name}, Action.QUARANTINE)]
    if _PASSWORD_FIELD.search(file.data):
        return [Weighed("file.password-form", 110, {"name": file.name}, Action.JUNK)]
    return [Weighed("file.script", 60, {"name": file.name})] if _SCRIPT.search(file.data) else []


def _inside(file: File, *, password_told: bool) -> list[Weighed]:
    box = next((kind for magic, kind in _BOXES if file.data.startswith(magic)), "")
    if not box:
        return []
    held = members(file.data) if box == "zip" else _seen_names(file.data)
    out: list[Weighed] = []
    bad = next((one.name for one in held if extension(one.name) in PROGRAMS), None)
    office = any(one.name == "[Content_Types].xml" for one in held)
    if bad is not None and file.extension not in {"jar", "apk"} and not office:
        out.append(Weighed("file.program-inside", 150, {"name": file.name, "inside": bad}, Action.QUARANTINE))
    if any(_OVERRIDES.search(one.name) for one in held):
        out.append(Weighed("file.override", 120, {"name": file.name}, Action.QUARANTINE))
    if any(one.encrypted for one in held):
        points = 120 if password_told else 45
        out.append(Weighed("file.encrypted", points, {"name": file.name}))
    if any(extension(one.name) in _ARCHIVES for one in held) and not office:
        out.append(Weighed("file.nested", 40, {"name": file.name}))
    if len(held) >= MEMBERS_MOST:
        out.append(Weighed("file.many", 40, {"name": file.name, "files": len(held)}))
    return out


def members(data: bytes) -> list[Member]:
    """The files in a zip, by the headers before each of them (and so also those of a zip stored inside it); a directory
    at its end that says something else does not count."""
    out: list[Member] = []
    at = data.find(b"PK\x03\x04")
    while at >= 0 and len(out) < MEMBERS_MOST:
        head = data[at : at + 30]
        if len(head) == 30:
            size = int.from_bytes(head[26:28], "little")
            flags = int.from_bytes(head[6:8], "little")
            raw = data[at + 30 : at + 30 + min(size, 1024)]
            out.append(Member(raw.decode("utf-8" if flags & 0x800 else "cp437", "replace"), bool(flags & 1)))
        at = data.find(b"PK\x03\x04", at + 4)
    return out


_NAMES = re.compile(rb"[\w .()\[\]-]{1,80}\.[A-Za-z0-9]{2,4}(?![A-Za-z0-9])")


def _seen_names(data: bytes) -> list[Member]:
    """What look like names of files near the beginning of an archive of another kind."""
    return [Member(one.decode("ascii", "replace"), False) for one in _NAMES.findall(data[:4096])[:100]]
