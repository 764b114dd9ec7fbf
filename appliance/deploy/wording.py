"""The project speaks of the project alone.

`python -m appliance.deploy.wording` reads every file that git tracks and names what does not belong in it: a path
of somebody's machine, the address of a package registry, a document that is not in this repository, and a short
list of words about how or with what the text was made. The words are kept as digests, so that this file does not
contain what it looks for; `--digest WORD` prints the digest of another one.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The first 12 hex digits of SHA-256 of the word; words are compared lower-cased, host names whole.
DENIED = frozenset(
    {
        "053ea4804ef1",
        "0dc11026ac75",
        "3ca29e55be4b",
        "3ea125d0bff3",
        "487b91042c7c",
        "57de4cf40144",
        "5d72436256ad",
        "60965168ce76",
        "7d3194f79e64",
        "8743857e3ea0",
        "8b5bb5eb9d75",
        "94a168d2da57",
        "a4aa2ac280bb",
        "c70eca6b0f88",
        "c857d09db23e",
        "c899567ee906",
        "fd0c6a927919",
    }
)
# Words that only count in this spelling (lower-cased they are parts of ordinary data).
DENIED_EXACT = frozenset({"11fb682be0a0"})
MACHINE_PATH = re.compile(r"(?<![\w.$}*])/(?:home/\w+|root|work|workspace|Users/\w+)(?:/|\b(?![\w/]))")
WORD = re.compile(r"[A-Za-z]{2,}")
HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
DOCUMENT = re.compile(r"(?<![\w/-])[A-Z][A-Z_]{3,}\.md\b")
# Lines with long base64 or hash runs are data, not words.
DATA = re.compile(r"[A-Za-z0-9+/]{60,}|--hash=")
BINARY = frozenset({".png", ".ico", ".woff2", ".db", ".gz", ".zip", ".pem", ".key", ".mo"})


def digest(word: str) -> str:
    """How a word is kept in the tables of this file."""
    return hashlib.sha256(word.encode()).hexdigest()[:12]


def tracked(root: Path = ROOT) -> list[Path]:
    """The files that git knows, by path from `root`."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True).stdout
    return [Path(name) for name in names.decode().split("\0") if name and (root / name).is_file()]


def complaints(text: str, documents: frozenset[str]) -> Iterator[tuple[int, str]]:
    """The number of each line that says something it should not, and what."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := MACHINE_PATH.search(line):
            yield number, f"a path of one machine: {found[0]}"
        if DATA.search(line):
            continue
        for name in set(DOCUMENT.findall(line)) - documents:
            yield number, f"a document that is not in this repository: {name}"
        for word in {*WORD.findall(line), *HOST.findall(line.lower())}:
            if digest(word.lower()) in DENIED or digest(word) in DENIED_EXACT:
                yield number, f"a word that does not belong here: {word}"


def main(arguments: list[str] | None = None) -> int:
    """Read every tracked file; 1 when something is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digest", metavar="WORD", help="print the digest of WORD")
    chosen = parser.parse_args(arguments).digest
    if chosen:
        print(digest(chosen))
        return 0
    files = tracked()
    documents = frozenset(path.name for path in files)
    found = [
        f"{path}:{number}: {what}"
        for path in files
        if path.suffix not in BINARY
        for number, what in complaints((ROOT / path).read_text("utf-8", "replace"), documents)
    ]
    print("\n".join(found) or f"{len(files)} files speak of the project alone")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
