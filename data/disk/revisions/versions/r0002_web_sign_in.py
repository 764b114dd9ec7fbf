"""Signing in on the web: sessions, second factors, recovery codes; and the order in which screens list a mailbox.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make three tables and an index."""
    op.create_index(
        "ix_entry_mailbox_id_internal_date_uid", "entry", ["mailbox_id", "internal_date", "uid"], unique=False
    )
    op.create_table(
        "web_session",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("binding", sa.LargeBinary(), nullable=False),
        sa.Column("face", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("stage", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("seen_at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("peer", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("agent", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_web_session_account_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_web_session_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_session")),
        sa.UniqueConstraint("digest", name=op.f("uq_web_session_digest")),
        comment="face: mail, admin; stage: second (the code is awaited), full; digest of the cookie, binding to the password",
    )
    op.create_index("ix_web_session_account_id", "web_session", ["account_id"], unique=False)
    op.create_table(
        "second_factor",
        sa.Column("account_id", Big, autoincrement=False, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("confirmed_at", Big, nullable=True),
        sa.Column("last_step", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("failures", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("failed_at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_second_factor_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_second_factor_organisation_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_second_factor")),
        comment="sealed: the TOTP secret under the master key; last_step: the time step last accepted; unconfirmed: being set up",
    )
    op.create_table(
        "recovery_code",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("used_at", Big, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_recovery_code_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_recovery_code_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("account_id", "digest", name=op.f("uq_recovery_code_account_id_digest")),
        comment="a keyed digest of a code that stands in for the second factor once",
    )
