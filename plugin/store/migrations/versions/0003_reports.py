"""Events that are planned by a worker, events that belong to a delivery, and reports."""

import sqlalchemy as sa
from alembic import op

from plugin.store.tables import UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("events", sa.Column("waits", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("events", sa.Column("held", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    _add_partial_index("ix_events_to_plan", "events", ["id"], "NOT planned AND NOT waits")
    _add_partial_index(
        "ix_events_parent_delivery_id", "events", ["parent_delivery_id"], "parent_delivery_id IS NOT NULL"
    )
    op.add_column("delivery_calls", sa.Column("phone", sa.String(length=64), nullable=True))
    op.add_column("delivery_calls", sa.Column("tracked", sa.String(length=64), nullable=True))
    for column in ("person", "phone", "tracked"):
        _add_partial_index(
            f"ix_delivery_calls_{column}",
            "delivery_calls",
            ["tenant_id", column, "delivery_id"],
            f"{column} IS NOT NULL",
        )
    # Nothing has ever written to it.
    op.drop_table("reports")
    _add_reports()


def _add_reports() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("tenant_id", sa.String(length=26), nullable=False),
        sa.Column("delivery_id", sa.String(length=26), nullable=True),
        sa.Column("event_id", sa.String(length=26), nullable=True),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("happened_at", UtcTime(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_reports_delivery_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_reports_event_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_reports_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint("event_id", name=op.f("uq_reports_event_id")),
    )
    _add_partial_index("ix_reports_delivery_id", "reports", ["delivery_id", "id"], "delivery_id IS NOT NULL")
    _add_partial_index("ix_reports_unmatched", "reports", ["tenant_id", "id"], "delivery_id IS NULL")


def _add_partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
