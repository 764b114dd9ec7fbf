"""Who is asking: the proof of a sign-in, carried into every call of the store.

A Principal is made by the login gate alone (or by the system for its own deliveries) and says which account acts,
in which organisation, in which role and over which protocol. Rights are checked in data.store, not in a face.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from data.ids import AccountId, OrganisationId


class Role(StrEnum):
    """What an account may do beyond its own mail; later roles stand between USER and OWNER."""

    USER = "user"
    ADMINISTRATOR = "administrator"
    OWNER = "owner"
    OPERATOR = "operator"
    SYSTEM = "system"


ADMINISTRATORS = frozenset({Role.ADMINISTRATOR, Role.OWNER, Role.OPERATOR})


@dataclass(frozen=True, slots=True)
class Principal:
    """One authenticated party. `address` is the account's own, lower-cased, domain as A-label."""

    account: AccountId
    organisation: OrganisationId
    address: str
    role: Role = Role.USER
    language: str = "en"
    credential: int | None = field(default=None, compare=False)
    """What was proved: a password or an app password by its id; None for a session of the pages, and for the system."""
