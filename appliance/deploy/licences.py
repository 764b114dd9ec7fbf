"""Which licences come with the run-time packages, and may they?

`python -m appliance.deploy.licences` reads the metadata of what requirements.txt installed here, prints one line
for each package and exits 1 when one is under the GPL or AGPL, or under a licence that this file does not know:
Mailstead runs in one process, so that the licence of a library would become the licence of the whole.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# SPDX names that a library of this process may have.
ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"),
        *("Python-2.0", "Unlicense", "Zlib", "ZPL-2.1"),
    }
)
# Packages whose metadata names no SPDX licence: what their licence file says, read by a person.
READ_BY_HAND = {
    "dkimpy": "Zlib",
}
# Metadata in words of their own.
WORDS = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "zpl 2.1": "ZPL-2.1",
}
_NAME = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)==")


def closure(requirements: Path = ROOT / "requirements.txt") -> list[str]:
    """The names of the pinned run-time packages that are installed on this machine."""
    names = _NAME.findall(requirements.read_text("utf-8"))
    installed = {_plain(each.metadata["Name"]) for each in importlib.metadata.distributions()}
    return sorted(name for name in names if _plain(name) in installed)


def licence(name: str) -> str:
    """The SPDX expression of one installed package; "unknown: ..." when its metadata does not tell."""
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    metadata = importlib.metadata.metadata(name)
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [
        line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if line.startswith("License ::")
    ]
    words = [word for word in (*classifiers, *(metadata.get_all("License") or [])) if word and word != "OSI Approved"]
    known = [word if word in ALLOWED else WORDS.get(word.lower(), "") for word in words]
    return next(filter(None, known), f"unknown: {', '.join(words)[:60] or 'no licence in its metadata'}")


def permitted(expression: str) -> bool:
    """Whether an SPDX expression can be satisfied with allowed licences: any side of OR, every side of AND."""
    return any(
        all(part.strip(" ()").split(" WITH ")[0] in ALLOWED for part in side.split(" AND "))
        for side in expression.split(" OR ")
    )


def verdict(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """One line for each package, and the names of those that may not be here."""
    found = {name: licence(name) for name in names}
    lines = [f"{'ok' if permitted(spdx) else 'NOT ALLOWED':12}{name:24}{spdx}" for name, spdx in found.items()]
    return lines, [name for name, spdx in found.items() if not permitted(spdx)]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Print the table; 1 when a package may not be here, 2 when nothing is installed."""
    names = closure()
    if not names:
        print("nothing of requirements.txt is installed here: make setup")
        return 2
    lines, refused = verdict(names)
    print("\n".join(lines))
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
