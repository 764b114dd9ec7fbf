"""What can go wrong in storage, in the words of mail.

Each error has two texts: `public` may be told to a stranger, `private` goes to the log alone. Faces translate the
type into their own codes (452 4.3.1, NO [OVERQUOTA], 507); nobody shows str(error) to a client.
"""

from __future__ import annotations


class StoreError(Exception):
    """The base: a storage operation did not happen, and nothing was changed by it."""

    public = "The mail store could not do that"

    def __init__(self, private: str = "", *, public: str | None = None) -> None:
        super().__init__(private or public or self.public)
        self.private = private
        if public is not None:
            self.public = public


class NotFound(StoreError):
    """No such account, mailbox, message or address (or none that this principal may see)."""

    public = "There is no such thing here"


class Conflict(StoreError):
    """Something of that name is there already."""

    public = "That name is already in use"


class Invalid(StoreError):
    """The value cannot be stored: a bad name, a bad address, a bound exceeded."""

    public = "That value is not allowed"


class Refused(StoreError):
    """The principal does not have the right to do that (RFC 4314 §4)."""

    public = "You may not do that"


class OverQuota(StoreError):
    """The account has no room left for it."""

    public = "The mailbox is full"


class TooBig(StoreError):
    """The message is larger than the appliance takes."""

    public = "The message is too large"


class Corrupt(StoreError):
    """Stored bytes do not match their digest, or are gone."""

    public = "The stored message is damaged; the administrator has been told"


class Unavailable(StoreError):
    """Temporary: the writer has stopped, the disk failed or the database is shutting down."""

    public = "The mail store is not available right now"


class DiskFull(Unavailable):
    """Temporary: no space left on the device; reading and deleting still work."""

    public = "The server has no disk space left"


class WrongKey(StoreError):
    """The master key is missing or is not the one this store was made with."""

    public = "The master key does not fit this mail store"
