"""Errands: requests that are no deliveries, in the place of a table that nothing ever used."""

import sqlalchemy as sa
from alembic import op

from plugin.store.tables import UtcTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.drop_table("lookups")
    op.add_column("events", sa.Column("looked_up", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "errands",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("tenant_id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("lane", sa.String(length=26), nullable=False),
        sa.Column("delivery_id", sa.String(length=26), nullable=True),
        sa.Column("event_id", sa.String(length=26), nullable=True),
        sa.Column("step", sa.String(length=100), nullable=False),
        sa.Column("memory", sa.Text(), nullable=True, comment="sealed"),
        sa.Column("due", UtcTime(), nullable=False),
        sa.Column("give_up_at", UtcTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("leased_until", UtcTime(), nullable=True),
        sa.Column("words", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_errands_tenant_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_errands_delivery_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_errands_event_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_errands")),
    )
    op.create_index("ix_errands_due", "errands", ["due"])
    op.create_index("ix_errands_lane", "errands", ["lane", "due"])
    _create_partial_index("ix_errands_lease", ["leased_until", "lane"])
    _create_partial_index("ix_errands_delivery_id", ["delivery_id"])
    _create_partial_index("ix_errands_event_id", ["event_id"])


def _create_partial_index(name: str, columns: list[str]) -> None:
    where = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, "errands", columns, sqlite_where=where, postgresql_where=where)
