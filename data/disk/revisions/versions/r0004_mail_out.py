"""Mail on its way out: passwords for smarthosts, failures that nobody was told of, TLS policies of other domains.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "smarthost",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("host", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("port", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_smarthost")),
        sa.UniqueConstraint("host", "port", name=op.f("uq_smarthost_host_port")),
        comment="who we are at a named host; sealed: the password under the master key",
    )
    op.create_table(
        "silent_failure",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("organisation_id", Big, nullable=False),
        sa.Column("trail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("recipient", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason_params", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("at", Big, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_silent_failure_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silent_failure")),
        comment="a message with the null return-path that failed: postmaster is told once a day, then the row goes",
    )
    op.create_table(
        "sts_policy",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("ident", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("mode", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("mx", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("max_age", Big, server_default=sa.text("0"), nullable=False),
        sa.Column("fetched_at", Big, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_sts_policy")),
        comment="an MTA-STS policy (RFC 8461) as fetched; mx: patterns, one a line; max_age in seconds",
        sqlite_with_rowid=False,
    )
