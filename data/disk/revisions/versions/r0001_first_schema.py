"""The first schema: directory, mail at rest, mail in motion, what happened.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "appliance",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_appliance")),
        comment="facts of this installation: schema version stamp, key check, host name, port base, profile",
    )
    op.create_table(
        "delivery_mark",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_delivery_mark")),
        comment="what was accepted in the last 24 hours, so that a retransmission after a lost 250 is stored once",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_delivery_mark_at", "delivery_mark", ["at"], unique=False)
    op.create_table(
        "organisation",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("timezone", sa.Text(), server_default=sa.text("'UTC'"), nullable=False),
        sa.Column("language", sa.Text(), server_default=sa.text("'en'"), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
    )
    op.create_table(
        "setting",
        sa.Column("scope", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("scope_id", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("value", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("locked", Big, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("scope", "scope_id", "name", name=op.f("pk_setting")),
        comment="scope: organisation, department, account; value is JSON text",
    )
    op.create_table(
        "audit",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("actor", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("action", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("object", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_audit_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        comment="append-only and chained: digest covers the row and the digest before it",
    )
    op.create_table(
        "blob",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("key_id", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("plain_size", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("stored_size", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("refs", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("inline", Big, server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_blob_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob")),
        comment="sealed octets, in blob_data when inline, else in the sharded file `name`; digest is keyed (HMAC-SHA-256)",
    )
    op.create_index(
        "ix_blob_unreferenced",
        "blob",
        ["id"],
        unique=False,
        sqlite_where=sa.text("refs = 0"),
        postgresql_where=sa.text("refs = 0"),
    )
    op.create_table(
        "department",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("parent_id", Big, nullable=True),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_department_organisation_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["department.id"], name=op.f("fk_department_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_department")),
    )
    op.create_table(
        "domain",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("catch_all", sa.Text(), nullable=True),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_domain_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_domain")),
        sa.UniqueConstraint("name", name=op.f("uq_domain_name")),
        comment="name is the A-label form, lower-cased; catch_all is an address of this organisation",
    )
    op.create_table(
        "account",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("department_id", Big, nullable=True),
        sa.Column("domain_id", Big, nullable=False),
        sa.Column("local", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("local_key", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("role", sa.Text(), server_default=sa.text("'user'"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("language", sa.Text(), server_default=sa.text("'en'"), nullable=False),
        sa.Column("quota", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("deleted_at", Big, nullable=True),
        sa.ForeignKeyConstraint(["department_id"], ["department.id"], name=op.f("fk_account_department_id")),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name=op.f("fk_account_domain_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_account_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("domain_id", "local_key", name=op.f("uq_account_domain_id_local_key")),
        comment="status: active, suspended, deleted; quota in octets, 0 is unlimited; local as written, local_key folded",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alias",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("domain_id", Big, nullable=False),
        sa.Column("local", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("local_key", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("'alias'"), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("send_as", Big, server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name=op.f("fk_alias_domain_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_alias_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias")),
        sa.UniqueConstraint("domain_id", "local_key", name=op.f("uq_alias_domain_id_local_key")),
        comment="an address that is not an account: kind alias (one target) or group (many)",
    )
    op.create_table(
        "blob_data",
        sa.Column("blob_id", Big, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_blob_data_blob_id")),
        sa.PrimaryKeyConstraint("blob_id", name=op.f("pk_blob_data")),
        comment="apart from blob, so that counting references does not rewrite the octets",
    )
    op.create_table(
        "dkim_key",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("domain_id", Big, nullable=False),
        sa.Column("selector", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("algorithm", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("public", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("active_from", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("retired_at", Big, nullable=True),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name=op.f("fk_dkim_key_domain_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_dkim_key_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dkim_key")),
        sa.UniqueConstraint("domain_id", "selector", name=op.f("uq_dkim_key_domain_id_selector")),
        comment="public: base64 of the record's p=; sealed: the private key under the master key",
    )
    op.create_table(
        "alias_target",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("alias_id", Big, nullable=False),
        sa.Column("address", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["alias_id"], ["alias.id"], name=op.f("fk_alias_target_alias_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_alias_target_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias_target")),
        sa.UniqueConstraint("alias_id", "address", name=op.f("uq_alias_target_alias_id_address")),
        comment="where it leads: an address of ours or of others, lower-cased, domain as A-label",
    )
    op.create_table(
        "change",
        sa.Column("account_id", Big, nullable=False),
        sa.Column("modseq", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("mailbox_id", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("uids", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_change_account_id")),
        sa.PrimaryKeyConstraint("account_id", "modseq", "mailbox_id", name=op.f("pk_change")),
        comment="append-only; kind: added, expunged, flags, created, renamed, deleted, subscribed; uids as a sequence-set",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_change_mailbox_id_modseq", "change", ["mailbox_id", "modseq"], unique=False)
    op.create_table(
        "counter",
        sa.Column("account_id", Big, autoincrement=False, nullable=False),
        sa.Column("modseq", Big, server_default=sa.text("1"), nullable=False),
        sa.Column("uidvalidity", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("octets", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("messages", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_counter_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_counter")),
        comment="the numbers of an account that every change moves: last MODSEQ and UIDVALIDITY given out, usage",
    )
    op.create_table(
        "credential",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("label", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("verifier", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("scopes", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("last_used_at", Big, nullable=True),
        sa.Column("expires_at", Big, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_credential_account_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_credential_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        comment="kind: password (argon2id verifier) or app (keyed digest of 128 random bits)",
    )
    op.create_index(op.f("ix_credential_account_id"), "credential", ["account_id"], unique=False)
    op.create_table(
        "delegate",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("address", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("capability", sa.Text(), server_default=sa.text("'send_as'"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_delegate_account_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_delegate_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegate")),
        sa.UniqueConstraint(
            "account_id", "address", "capability", name=op.f("uq_delegate_account_id_address_capability")
        ),
        comment="account_id may act for the address of another",
    )
    op.create_table(
        "index_todo",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("message_id", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("what", sa.Text(), server_default=sa.text("'add'"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_index_todo_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_todo")),
        comment="the index's outbox: filled in the transaction that makes or ends a message",
    )
    op.create_table(
        "mailbox",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("special_use", sa.Text(), nullable=True),
        sa.Column("uidvalidity", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("uidnext", Big, server_default=sa.text("1"), nullable=False),
        sa.Column("highestmodseq", Big, server_default=sa.text("1"), nullable=False),
        sa.Column("recent_from", Big, server_default=sa.text("1"), nullable=False),
        sa.Column("messages", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("unseen", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("deleted", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("octets", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("several_readers", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_mailbox_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_mailbox_account_id_name")),
        comment="an IMAP mailbox; name is UTF-8 with / between levels; messages with UID >= recent_from were shown to nobody",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "spool_item",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("account_id", Big, nullable=True),
        sa.Column("blob_id", Big, nullable=False),
        sa.Column("trail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("'message'"), nullable=False),
        sa.Column("return_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("prefix", sa.LargeBinary(), nullable=False),
        sa.Column("prefix_done", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("size", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("envid", sa.Text(), nullable=True),
        sa.Column("ret", sa.Text(), nullable=True),
        sa.Column("requiretls", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("smtputf8", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("eightbit", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("hold", sa.Text(), nullable=True),
        sa.Column("hold_params", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("done_at", Big, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_spool_item_account_id")),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_spool_item_blob_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_spool_item_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spool_item")),
        sa.UniqueConstraint("account_id", "idempotency_key", name=op.f("uq_spool_item_account_id_idempotency_key")),
        comment="a message on its way out; prefix_done: the signature header is made and kept in prefix; kind: message, dsn",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "story",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("account_id", Big, nullable=True),
        sa.Column("trail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("event", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sender", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("recipient", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("params", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_story_account_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_story_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_story")),
        comment="one hop of one message; trail joins the hops",
    )
    op.create_index("ix_story_at", "story", ["at"], unique=False)
    op.create_index("ix_story_trail", "story", ["trail"], unique=False)
    op.create_table(
        "subscription",
        sa.Column("account_id", Big, nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_subscription_account_id")),
        sa.PrimaryKeyConstraint("account_id", "name", name=op.f("pk_subscription")),
    )
    op.create_table(
        "thread",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("base_subject", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_thread_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_thread")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "keyword",
        sa.Column("mailbox_id", Big, nullable=False),
        sa.Column("folded", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_keyword_mailbox_id")),
        sa.PrimaryKeyConstraint("mailbox_id", "folded", name=op.f("pk_keyword")),
        comment="keywords ever used in a mailbox, as first written (RFC 9051 §2.3.2)",
    )
    op.create_table(
        "mailbox_right",
        sa.Column("mailbox_id", Big, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("rights", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_mailbox_right_account_id")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_mailbox_right_mailbox_id")),
        sa.PrimaryKeyConstraint("mailbox_id", "account_id", name=op.f("pk_mailbox_right")),
        comment="RFC 4314 rights given to another account; the owner has all of them without a row",
    )
    op.create_table(
        "message",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("blob_id", Big, nullable=False),
        sa.Column("thread_id", Big, nullable=False),
        sa.Column("refs", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("size", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("header_size", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", Big, nullable=True),
        sa.Column("has_attachment", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("prefix", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("structure", sa.LargeBinary(), nullable=False),
        sa.Column("layout", sa.LargeBinary(), nullable=False),
        sa.Column("preview", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("base_subject", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("from_text", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("to_text", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("cc_text", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("bcc_text", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_message_account_id")),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_message_blob_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_message_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        comment="one immutable message of an account; EMAILID is made from id, THREADID from thread_id; size counts the prefix",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_message_blob_id", "message", ["blob_id"], unique=False)
    op.create_index("ix_message_thread_id", "message", ["thread_id"], unique=False)
    op.create_index(
        "ix_message_unreferenced",
        "message",
        ["id"],
        unique=False,
        sqlite_where=sa.text("refs = 0"),
        postgresql_where=sa.text("refs = 0"),
    )
    op.create_table(
        "reader_state",
        sa.Column("mailbox_id", Big, nullable=False),
        sa.Column("uid", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("flags", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("keywords", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("modseq", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_reader_state_account_id")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_reader_state_mailbox_id")),
        sa.PrimaryKeyConstraint("mailbox_id", "uid", "account_id", name=op.f("pk_reader_state")),
        comment="\\\\Seen and keywords of one reader where a mailbox has several",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spool_rcpt",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("item_id", Big, nullable=False),
        sa.Column("address", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("domain", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("orcpt", sa.Text(), nullable=True),
        sa.Column("notify", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("next_at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("attempts", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("lease_until", Big, nullable=True),
        sa.Column("warned_at", Big, nullable=True),
        sa.Column("attempted_at", Big, nullable=True),
        sa.Column("remote", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reason_params", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("done_at", Big, nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["spool_item.id"], name=op.f("fk_spool_rcpt_item_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_spool_rcpt_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spool_rcpt")),
        comment="state: queued, sending, delivered, deferred, failed, expired, bounced, frozen, cancelled",
    )
    op.create_index(
        "ix_spool_rcpt_due",
        "spool_rcpt",
        ["next_at"],
        unique=False,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_index("ix_spool_rcpt_item_id", "spool_rcpt", ["item_id"], unique=False)
    op.create_table(
        "thread_ref",
        sa.Column("account_id", Big, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("thread_id", Big, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_thread_ref_account_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_thread_ref_thread_id")),
        sa.PrimaryKeyConstraint("account_id", "digest", name=op.f("pk_thread_ref")),
        comment="a Message-ID seen or referred to (first 16 octets of its SHA-256) and its thread",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entry",
        sa.Column("mailbox_id", Big, nullable=False),
        sa.Column("uid", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("message_id", Big, nullable=False),
        sa.Column("flags", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("keywords", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("modseq", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("internal_date", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("save_date", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("size", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_entry_mailbox_id")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_entry_message_id")),
        sa.PrimaryKeyConstraint("mailbox_id", "uid", name=op.f("pk_entry")),
        comment="a message in a mailbox under a UID; flags is a bit mask, keywords are sorted and joined by spaces",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_entry_mailbox_id_modseq", "entry", ["mailbox_id", "modseq"], unique=False)
    op.create_index("ix_entry_message_id", "entry", ["message_id"], unique=False)
    op.create_index(
        "ix_entry_unseen",
        "entry",
        ["mailbox_id", "uid"],
        unique=False,
        sqlite_where=sa.text("(flags & 1) = 0"),
        postgresql_where=sa.text("(flags & 1) = 0"),
    )
