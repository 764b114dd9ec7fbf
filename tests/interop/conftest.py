"""One house and one Postfix for the whole folder, a fresh account for each test.

The house has the profile `production`: sign-in needs TLS, limits hold, checks decide. Names are answered by a responder
of ours; `example.org` is the Postfix.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house import House, house
from tests.instruments.dnsserver import DnsServer
from tests.interop.outside import Person
from tests.interop.postfix import Postfix

HERE = Path(__file__).parent
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(scope="session")
def names() -> Iterator[DnsServer]:
    """The DNS; Postfix adds where it listens."""
    with DnsServer() as server:
        yield server


@pytest.fixture(scope="session")
def home(names: DnsServer) -> Iterator[House]:
    """The house under test."""
    with house(profile="production", dns=names.address) as built:
        yield built


@pytest.fixture(autouse=True)
def untroubled(home: House) -> Iterator[None]:
    """No test makes the server log a failure."""
    before = len(home.trouble())
    yield
    assert home.trouble()[before:] == []


@pytest.fixture
def person(home: House) -> Callable[[], Person]:
    """`person()`: somebody new, with empty mailboxes."""

    def new() -> Person:
        return Person(home, home.add_account(f"person{next(_numbers)}"))

    return new


@pytest.fixture
def ann(person: Callable[[], Person]) -> Person:
    """Somebody."""
    return person()


@pytest.fixture
def ben(person: Callable[[], Person]) -> Person:
    """Somebody else."""
    return person()


@pytest.fixture
def cert(home: House) -> str:
    """The file that every client is told to trust, and nothing else."""
    return str(home.state / "tls" / "cert.pem")


@pytest.fixture(scope="session")
def postfix(home: House, names: DnsServer) -> Iterator[Postfix]:
    """A private Postfix for example.org, known to the DNS, that sends our domain's mail to our MX."""
    if shutil.which("postfix", path="/usr/sbin") is None:
        pytest.skip("postfix is not installed (appliance/deploy/test-needs)")
    with Postfix.running(home) as peer:
        names.set("example.org", {"MX": ["10 mx.example.org."]})
        names.set("mx.example.org", {"A": [peer.host]})
        names.set("plain.example.org", {"A": [peer.plain]})
        yield peer
