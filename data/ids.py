"""The names of things: one NewType for each kind of identifier, so that one is never passed for another.

Row ids are positive 64-bit integers given out by the database. UIDs and UIDVALIDITY are 32-bit and positive
(RFC 9051 §2.3.1.1); MODSEQ is a positive 63-bit integer (RFC 7162 §3.1).
"""

from __future__ import annotations

from typing import NewType

OrganisationId = NewType("OrganisationId", int)
DomainId = NewType("DomainId", int)
AccountId = NewType("AccountId", int)
AddressId = NewType("AddressId", int)
MailboxId = NewType("MailboxId", int)
MessageId = NewType("MessageId", int)
BlobId = NewType("BlobId", int)
ThreadId = NewType("ThreadId", int)
ItemId = NewType("ItemId", int)
RecipientId = NewType("RecipientId", int)
Uid = NewType("Uid", int)
UidValidity = NewType("UidValidity", int)
ModSeq = NewType("ModSeq", int)
Millis = NewType("Millis", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""
