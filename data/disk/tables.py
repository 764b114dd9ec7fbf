"""The schema: one description for SQLite and PostgreSQL.

Promises: only portable types (integers, text, bytes), so that a value goes to the driver as it is and comes back as it
was; times are milliseconds since the epoch, UTC; flags are a bit mask. Each row carries its organisation or account.
May not: run anything. Tables come into being through Alembic revisions, which a test holds against this description.
A partial index carries its condition for SQLite only: named for PostgreSQL as well, SQLAlchemy would load that dialect into
every process (3 MB); the revisions name it for both.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Big = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit integer; SQLite numbers rows by itself only when the type is INTEGER."""


def _id() -> Column[int]:
    return Column("id", Big, primary_key=True, autoincrement=True)


def _ref(name: str, target: str, *, null: bool = False) -> Column[int]:
    return Column(name, Big, ForeignKey(target), nullable=null)


def _int(name: str, default: int | None = 0) -> Column[int]:
    if default is None:
        return Column(name, Big, nullable=True)
    return Column(name, Big, nullable=False, server_default=text(str(default)))


def _text(name: str, default: str | None = "") -> Column[str]:
    if default is None:
        return Column(name, Text, nullable=True)
    return Column(name, Text, nullable=False, server_default=text(f"'{default}'"))


def _bytes(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


# --- the appliance itself -------------------------------------------------------------------------------------------

appliance = Table(
    "appliance",
    metadata,
    Column("name", Text, primary_key=True),
    _text("value"),
    comment="facts of this installation: schema version stamp, key check, host name, port base, profile",
)

organisation = Table(
    "organisation",
    metadata,
    _id(),
    _text("name"),
    _text("timezone", "UTC"),
    _text("language", "en"),
    _int("created_at"),
)

department = Table(
    "department",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("parent_id", "department.id", null=True),
    _text("name"),
)

domain = Table(
    "domain",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _text("name"),
    _text("status", "active"),
    _text("catch_all", None),
    _int("created_at"),
    UniqueConstraint("name"),
    comment="name is the A-label form, lower-cased; catch_all is an address of this organisation",
)

dkim_key = Table(
    "dkim_key",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("domain_id", "domain.id"),
    _text("selector"),
    _text("algorithm"),
    _text("public"),
    _bytes("sealed"),
    _int("created_at"),
    _int("active_from"),
    _int("retired_at", None),
    UniqueConstraint("domain_id", "selector"),
    comment="public: base64 of the record's p=; sealed: the private key under the master key",
)

account = Table(
    "account",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("department_id", "department.id", null=True),
    _ref("domain_id", "domain.id"),
    _text("local"),
    _text("local_key"),
    _text("name"),
    _text("role", "user"),
    _text("status", "active"),
    _text("language", "en"),
    _int("quota", 0),
    _int("created_at"),
    _int("deleted_at", None),
    UniqueConstraint("domain_id", "local_key"),
    sqlite_autoincrement=True,
    comment="status: active, suspended, deleted; quota in octets, 0 is unlimited; local as written, local_key folded",
)

counter = Table(
    "counter",
    metadata,
    Column("account_id", Big, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    _int("modseq", 1),
    _int("uidvalidity", 0),
    _int("octets", 0),
    _int("messages", 0),
    comment="the numbers of an account that every change moves: last MODSEQ and UIDVALIDITY given out, usage",
)

credential = Table(
    "credential",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("account_id", "account.id"),
    _text("kind"),
    _text("label"),
    _text("verifier"),
    _text("scopes"),
    _int("created_at"),
    _int("last_used_at", None),
    _int("expires_at", None),
    Index(None, "account_id"),
    comment="kind: password (argon2id verifier) or app (keyed digest of 128 random bits)",
)

alias = Table(
    "alias",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("domain_id", "domain.id"),
    _text("local"),
    _text("local_key"),
    _text("kind", "alias"),
    _text("name"),
    _int("send_as", 1),
    _int("created_at"),
    UniqueConstraint("domain_id", "local_key"),
    comment="an address that is not an account: kind alias (one target) or group (many)",
)

alias_target = Table(
    "alias_target",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("alias_id", "alias.id"),
    _text("address"),
    UniqueConstraint("alias_id", "address"),
    comment="where it leads: an address of ours or of others, lower-cased, domain as A-label",
)

delegate = Table(
    "delegate",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("account_id", "account.id"),
    _text("address"),
    _text("capability", "send_as"),
    UniqueConstraint("account_id", "address", "capability"),
    comment="account_id may act for the address of another",
)

setting = Table(
    "setting",
    metadata,
    _text("scope"),
    _int("scope_id", 0),
    _text("name"),
    _text("value"),
    _int("locked", 0),
    PrimaryKeyConstraint("scope", "scope_id", "name"),
    comment="scope: organisation, department, account; value is JSON text",
)

# --- mail at rest ---------------------------------------------------------------------------------------------------

blob = Table(
    "blob",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _text("name"),
    _int("key_id"),
    _bytes("wrapped"),
    _int("plain_size"),
    _int("stored_size"),
    _bytes("digest"),
    _int("refs", 0),
    _int("inline", 1),
    _int("created_at"),
    comment="sealed octets, in blob_data when inline, else in the sharded file `name`; digest is keyed (HMAC-SHA-256)",
)
Index("ix_blob_unreferenced", blob.c.id, sqlite_where=blob.c.refs == 0)

blob_data = Table(
    "blob_data",
    metadata,
    Column("blob_id", Big, ForeignKey("blob.id"), primary_key=True, autoincrement=False),
    _bytes("data"),
    comment="apart from blob, so that counting references does not rewrite the octets",
)

mailbox = Table(
    "mailbox",
    metadata,
    _id(),
    _ref("account_id", "account.id"),
    _text("name"),
    _text("special_use", None),
    _int("uidvalidity"),
    _int("uidnext", 1),
    _int("highestmodseq", 1),
    _int("recent_from", 1),
    _int("messages", 0),
    _int("unseen", 0),
    _int("deleted", 0),
    _int("octets", 0),
    _int("several_readers", 0),
    _int("created_at"),
    UniqueConstraint("account_id", "name"),
    sqlite_autoincrement=True,
    comment="an IMAP mailbox; name is UTF-8 with / between levels; messages with UID >= recent_from were shown to nobody",
)

mailbox_right = Table(
    "mailbox_right",
    metadata,
    _ref("mailbox_id", "mailbox.id"),
    _ref("account_id", "account.id"),
    _text("rights"),
    PrimaryKeyConstraint("mailbox_id", "account_id"),
    comment="RFC 4314 rights given to another account; the owner has all of them without a row",
)

subscription = Table(
    "subscription",
    metadata,
    _ref("account_id", "account.id"),
    _text("name"),
    PrimaryKeyConstraint("account_id", "name"),
)

keyword = Table(
    "keyword",
    metadata,
    _ref("mailbox_id", "mailbox.id"),
    _text("folded"),
    _text("name"),
    PrimaryKeyConstraint("mailbox_id", "folded"),
    comment="keywords ever used in a mailbox, as first written (RFC 9051 §2.3.2)",
)

message = Table(
    "message",
    metadata,
    _id(),
    _ref("account_id", "account.id"),
    _ref("blob_id", "blob.id"),
    _ref("thread_id", "thread.id"),
    _int("refs", 0),
    _int("size"),
    _int("header_size"),
    _int("sent_at", None),
    _int("has_attachment", 0),
    _bytes("prefix"),
    _bytes("envelope"),
    _bytes("structure"),
    _bytes("layout"),
    _text("preview"),
    _text("message_id", None),
    _text("subject"),
    _text("base_subject"),
    _text("from_text"),
    _text("to_text"),
    _text("cc_text"),
    _text("bcc_text"),
    _int("created_at"),
    _text("verdict"),
    sqlite_autoincrement=True,
    comment="one immutable message of an account; EMAILID is made from id, THREADID from thread_id; size counts the prefix",
)
Index("ix_message_blob_id", message.c.blob_id)
Index("ix_message_thread_id", message.c.thread_id)
Index("ix_message_unreferenced", message.c.id, sqlite_where=message.c.refs == 0)

entry = Table(
    "entry",
    metadata,
    _ref("mailbox_id", "mailbox.id"),
    _int("uid"),
    _ref("message_id", "message.id"),
    _int("flags", 0),
    _text("keywords"),
    _int("modseq"),
    _int("internal_date"),
    _int("save_date"),
    _int("size"),
    PrimaryKeyConstraint("mailbox_id", "uid"),
    sqlite_with_rowid=False,
    comment="a message in a mailbox under a UID; flags is a bit mask, keywords are sorted and joined by spaces",
)
Index("ix_entry_message_id", entry.c.message_id)
Index("ix_entry_mailbox_id_modseq", entry.c.mailbox_id, entry.c.modseq)
Index("ix_entry_mailbox_id_internal_date_uid", entry.c.mailbox_id, entry.c.internal_date, entry.c.uid)
_UNSEEN = entry.c.flags.op("&")(text("1")) == text("0")
Index("ix_entry_unseen", entry.c.mailbox_id, entry.c.uid, sqlite_where=_UNSEEN)

reader_state = Table(
    "reader_state",
    metadata,
    _ref("mailbox_id", "mailbox.id"),
    _int("uid"),
    _ref("account_id", "account.id"),
    _int("flags", 0),
    _text("keywords"),
    _int("modseq"),
    PrimaryKeyConstraint("mailbox_id", "uid", "account_id"),
    sqlite_with_rowid=False,
    comment="\\\\Seen and keywords of one reader where a mailbox has several",
)

thread = Table(
    "thread",
    metadata,
    _id(),
    _ref("account_id", "account.id"),
    _text("base_subject"),
    _int("created_at"),
    sqlite_autoincrement=True,
)

thread_ref = Table(
    "thread_ref",
    metadata,
    _ref("account_id", "account.id"),
    _bytes("digest"),
    _ref("thread_id", "thread.id"),
    PrimaryKeyConstraint("account_id", "digest"),
    sqlite_with_rowid=False,
    comment="a Message-ID seen or referred to (first 16 octets of its SHA-256) and its thread",
)

change = Table(
    "change",
    metadata,
    _ref("account_id", "account.id"),
    _int("modseq"),
    _int("mailbox_id"),
    _text("kind"),
    _text("uids"),
    _text("detail"),
    _int("at"),
    PrimaryKeyConstraint("account_id", "modseq", "mailbox_id"),
    sqlite_with_rowid=False,
    comment="append-only; kind: added, expunged, flags, created, renamed, deleted, subscribed; uids as a sequence-set",
)
Index("ix_change_mailbox_id_modseq", change.c.mailbox_id, change.c.modseq)

index_todo = Table(
    "index_todo",
    metadata,
    _id(),
    _ref("account_id", "account.id"),
    _int("message_id"),
    _text("what", "add"),
    comment="the index's outbox: filled in the transaction that makes or ends a message",
)

delivery_mark = Table(
    "delivery_mark",
    metadata,
    _bytes("digest"),
    _int("at"),
    PrimaryKeyConstraint("digest"),
    sqlite_with_rowid=False,
    comment="what was accepted in the last 24 hours, so that a retransmission after a lost 250 is stored once",
)
Index("ix_delivery_mark_at", delivery_mark.c.at)

# --- mail in motion -------------------------------------------------------------------------------------------------

spool_item = Table(
    "spool_item",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("account_id", "account.id", null=True),
    _ref("blob_id", "blob.id"),
    _text("trail"),
    _text("kind", "message"),
    _text("return_path"),
    _bytes("prefix"),
    _int("prefix_done", 0),
    _int("size"),
    _text("envid", None),
    _text("ret", None),
    _int("requiretls", 0),
    _int("smtputf8", 0),
    _int("eightbit", 0),
    _int("not_before"),
    _text("hold", None),
    _text("hold_params"),
    _text("idempotency_key", None),
    _int("created_at"),
    _int("done_at", None),
    _int("forwarded_by", None),  # the account whose rule sent it on
    UniqueConstraint("account_id", "idempotency_key"),
    sqlite_autoincrement=True,
    comment="a message on its way out; prefix_done: the signature header is made and kept in prefix; kind: message, dsn",
)

spool_rcpt = Table(
    "spool_rcpt",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("item_id", "spool_item.id"),
    _text("address"),
    _text("domain"),
    _text("orcpt", None),
    _text("notify", None),
    _text("state", "queued"),
    _int("next_at"),
    _int("attempts", 0),
    _text("lease", None),
    _int("lease_until", None),
    _int("warned_at", None),
    _int("attempted_at", None),
    _text("remote", None),
    _text("reply", None),
    _text("reason", None),
    _text("reason_params"),
    _int("done_at", None),
    comment="state: queued, sending, delivered, deferred, failed, expired, bounced, frozen, cancelled",
)
Index("ix_spool_rcpt_item_id", spool_rcpt.c.item_id)
_OPEN = spool_rcpt.c.done_at.is_(None)
Index("ix_spool_rcpt_due", spool_rcpt.c.next_at, sqlite_where=_OPEN)

# --- what happened --------------------------------------------------------------------------------------------------

story = Table(
    "story",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("account_id", "account.id", null=True),
    _text("trail"),
    _int("at"),
    _text("event"),
    _text("sender"),
    _text("recipient"),
    _text("reason"),
    _text("params"),
    comment="one hop of one message; trail joins the hops",
)
Index("ix_story_trail", story.c.trail)
Index("ix_story_at", story.c.at)

audit = Table(
    "audit",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _int("at"),
    _text("actor"),
    _text("action"),
    _text("object"),
    _text("detail"),
    _bytes("previous"),
    _bytes("digest"),
    comment="append-only and chained: digest covers the row and the digest before it",
)

# --- signing in on the web --------------------------------------------------------------------------------------------

web_session = Table(
    "web_session",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("account_id", "account.id"),
    _bytes("digest"),
    _bytes("binding"),
    _text("face"),
    _text("stage"),
    _int("created_at"),
    _int("seen_at"),
    _text("peer"),
    _text("agent"),
    UniqueConstraint("digest"),
    Index(None, "account_id"),
    comment="face: mail, admin; stage: second (the code is awaited), full; digest of the cookie, binding to the password",
)

second_factor = Table(
    "second_factor",
    metadata,
    Column("account_id", Big, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    _ref("organisation_id", "organisation.id"),
    _bytes("sealed"),
    _int("created_at"),
    _int("confirmed_at", None),
    _int("last_step", 0),
    _int("failures", 0),
    _int("failed_at", 0),
    comment="sealed: the TOTP secret under the master key; last_step: the time step last accepted; unconfirmed: being set up",
)

recovery_code = Table(
    "recovery_code",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("account_id", "account.id"),
    _bytes("digest"),
    _int("created_at"),
    _int("used_at", None),
    UniqueConstraint("account_id", "digest"),
    comment="a keyed digest of a code that stands in for the second factor once",
)

# --- rules ------------------------------------------------------------------------------------------------------------

sieve_script = Table(
    "sieve_script",
    metadata,
    _id(),
    _ref("account_id", "account.id"),
    _text("name"),
    _text("text"),
    _int("active", 0),
    _text("form", None),
    _int("modified_at"),
    UniqueConstraint("account_id", "name"),
    comment="a Sieve script; form: the rules of the webmail that wrote it, as JSON; at most one of an account is active",
)

sieve_personal = Table(
    "sieve_personal",
    metadata,
    Column("account_id", Big, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    _text("form"),
    _int("modified_at"),
    comment="blocked and allowed senders and the answer while away, as JSON",
)

sieve_mark = Table(
    "sieve_mark",
    metadata,
    _ref("account_id", "account.id"),
    _text("kind"),
    _bytes("digest"),
    _int("at"),
    _int("until"),
    PrimaryKeyConstraint("account_id", "kind", "digest"),
    Index(None, "until"),
    sqlite_with_rowid=False,
    comment="kind: answered (a sender, by vacation), seen (a message, by duplicate); digests alone",
)

# --- mail on its way out ----------------------------------------------------------------------------------------------

smarthost = Table(
    "smarthost",
    metadata,
    _id(),
    _text("host"),
    _int("port"),
    _text("name"),
    _bytes("sealed"),
    UniqueConstraint("host", "port"),
    comment="who we are at a named host; sealed: the password under the master key",
)

silent_failure = Table(
    "silent_failure",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _text("trail"),
    _text("recipient"),
    _text("reason"),
    _text("reason_params"),
    _text("reply", None),
    _int("at"),
    comment="a message with the null return-path that failed: postmaster is told once a day, then the row goes",
)

sts_policy = Table(
    "sts_policy",
    metadata,
    Column("domain", Text, primary_key=True),
    _text("ident"),
    _text("mode"),
    _text("mx"),
    _int("max_age"),
    _int("fetched_at"),
    comment="an MTA-STS policy (RFC 8461) as fetched; mx: patterns, one a line; max_age in seconds",
    sqlite_with_rowid=False,
)

# --- what is known of junk ----------------------------------------------------------------------------------------------

bayes_total = Table(
    "bayes_total",
    metadata,
    Column("account_id", Big, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    _int("spam", 0),
    _int("ham", 0),
    comment="how many messages an account trained, of each kind",
)

bayes_word = Table(
    "bayes_word",
    metadata,
    _ref("account_id", "account.id"),
    _int("word"),
    _int("spam", 0),
    _int("ham", 0),
    _int("at"),
    PrimaryKeyConstraint("account_id", "word"),
    sqlite_with_rowid=False,
    comment="word: a hash under the account's key; how many trained messages of each kind have it; at: last trained",
)

bayes_message = Table(
    "bayes_message",
    metadata,
    _ref("account_id", "account.id"),
    _int("message_id"),
    _int("spam"),
    PrimaryKeyConstraint("account_id", "message_id"),
    sqlite_with_rowid=False,
    comment="what a message was trained as, so that it counts once and can be taken back",
)

bayes_todo = Table(
    "bayes_todo",
    metadata,
    _id(),
    _ref("account_id", "account.id"),
    _int("message_id"),
    _int("spam"),
    comment="messages to train: filled in the transaction that moves them into or out of Junk",
)

correspondent = Table(
    "correspondent",
    metadata,
    _ref("account_id", "account.id"),
    _ref("organisation_id", "organisation.id"),
    _text("address"),
    _text("domain"),
    _int("sent", 0),
    _int("received", 0),
    _int("junked", 0),
    _int("wanted", 0),
    _int("at"),
    PrimaryKeyConstraint("account_id", "address"),
    Index(None, "organisation_id", "address"),
    sqlite_with_rowid=False,
    comment="who an account writes with: messages to and from an address, and how many of those were junk or were not",
)

greylist = Table(
    "greylist",
    metadata,
    _bytes("digest"),
    _int("at"),
    PrimaryKeyConstraint("digest"),
    Index(None, "at"),
    sqlite_with_rowid=False,
    comment="a suspicious message that was put off: when it was seen first (network, sender and recipients, digest alone)",
)

quarantine = Table(
    "quarantine",
    metadata,
    _id(),
    _ref("organisation_id", "organisation.id"),
    _ref("account_id", "account.id"),
    _ref("blob_id", "blob.id"),
    _text("trail"),
    _text("return_path"),
    _bytes("prefix"),
    _int("size"),
    _text("subject"),
    _text("from_text"),
    _text("verdict"),
    _int("at"),
    _int("told_at", None),
    Index(None, "account_id"),
    Index(None, "blob_id"),
    comment="mail kept back from an account; told_at: when a digest named it; the row counts as a reference of its blob",
)
