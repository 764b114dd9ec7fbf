"""Rules: Sieve scripts, what stands beside them, what they remember; and whose rule sent an item of the spool on.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make three tables and a column."""
    op.create_table(
        "sieve_script",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("account_id", Big, nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("text", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("active", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("form", sa.Text(), nullable=True),
        sa.Column("modified_at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_sieve_script_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sieve_script")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_sieve_script_account_id_name")),
        comment="a Sieve script; form: the rules of the webmail that wrote it, as JSON; at most one of an account is active",
    )
    op.create_table(
        "sieve_personal",
        sa.Column("account_id", Big, autoincrement=False, nullable=False),
        sa.Column("form", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("modified_at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_sieve_personal_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_sieve_personal")),
        comment="blocked and allowed senders and the answer while away, as JSON",
    )
    op.create_table(
        "sieve_mark",
        sa.Column("account_id", Big, nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("until", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_sieve_mark_account_id")),
        sa.PrimaryKeyConstraint("account_id", "kind", "digest", name=op.f("pk_sieve_mark")),
        comment="kind: answered (a sender, by vacation), seen (a message, by duplicate); digests alone",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sieve_mark_until", "sieve_mark", ["until"], unique=False)
    op.add_column("spool_item", sa.Column("forwarded_by", Big, nullable=True))
