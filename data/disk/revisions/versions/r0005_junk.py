"""Junk: what was trained, who writes with whom, what was put off, what is kept back; and why, with each message.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the column of a message that says what was found."""
    _learning()
    _knowing()
    op.add_column("message", sa.Column("verdict", sa.Text(), server_default=sa.text("''"), nullable=False))


def _learning() -> None:
    op.create_table(
        "bayes_total",
        sa.Column("account_id", Big, autoincrement=False, nullable=False),
        sa.Column("spam", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("ham", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_bayes_total_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_bayes_total")),
        comment="how many messages an account trained, of each kind",
    )
    op.create_table(
        "bayes_word",
        sa.Column("account_id", Big, nullable=False),
        sa.Column("word", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("spam", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("ham", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_bayes_word_account_id")),
        sa.PrimaryKeyConstraint("account_id", "word", name=op.f("pk_bayes_word")),
        comment="word: a hash under the account's key; how many trained messages of each kind have it; at: last trained",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bayes_message",
        sa.Column("account_id", Big, nullable=False),
        sa.Column("message_id", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("spam", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_bayes_message_account_id")),
        sa.PrimaryKeyConstraint("account_id", "message_id", name=op.f("pk_bayes_message")),
        comment="what a message was trained as, so that it counts once and can be taken back",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bayes_todo",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("message_id", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("spam", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_bayes_todo_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bayes_todo")),
        comment="messages to train: filled in the transaction that moves them into or out of Junk",
    )


def _knowing() -> None:
    op.create_table(
        "correspondent",
        sa.Column("account_id", Big, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("address", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("domain", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sent", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("received", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("junked", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("wanted", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_correspondent_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_correspondent_organisation_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "address", name=op.f("pk_correspondent")),
        comment="who an account writes with: messages to and from an address, and how many of those were junk or were not",
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_correspondent_organisation_id_address", "correspondent", ["organisation_id", "address"], unique=False
    )
    op.create_table(
        "greylist",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_greylist")),
        comment="a suspicious message that was put off: when it was seen first (network, sender and recipients, digest alone)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_greylist_at", "greylist", ["at"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("blob_id", Big, nullable=False),
        sa.Column("trail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("return_path", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("prefix", sa.LargeBinary(), nullable=False),
        sa.Column("size", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("subject", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("from_text", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("verdict", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("told_at", Big, nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_quarantine_organisation_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_quarantine_account_id")),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_quarantine_blob_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        comment="mail kept back from an account; told_at: when a digest named it; the row counts as a reference of its blob",
    )
    op.create_index("ix_quarantine_account_id", "quarantine", ["account_id"], unique=False)
    op.create_index("ix_quarantine_blob_id", "quarantine", ["blob_id"], unique=False)
