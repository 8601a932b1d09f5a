"""Limits, probes and rates of lanes; what people decided; bulk replays; counters."""

import sqlalchemy as sa
from alembic import op

from plugin.store.tables import UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Columns that an older program still at work does not know have a default, so that both can run side by side.
    op.add_column("lanes", sa.Column("in_flight_cap", sa.Integer(), server_default=sa.text("8"), nullable=False))
    op.add_column("lanes", sa.Column("calls_per_minute", sa.Integer(), nullable=True))
    op.add_column("lanes", sa.Column("next_call", UtcTime(), nullable=True))
    op.add_column("lanes", sa.Column("probe_at", UtcTime(), nullable=True))
    op.add_column("lanes", sa.Column("probes", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("sources", sa.Column("limit_per_minute", sa.Integer(), nullable=True))
    op.add_column("sources", sa.Column("too_many", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("sources", sa.Column("too_many_since", UtcTime(), nullable=True))
    op.add_column("sources", sa.Column("too_many_at", UtcTime(), nullable=True))
    op.add_column("attempts", sa.Column("bytes_sent", sa.Integer(), nullable=True))
    op.add_column("events", sa.Column("test", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("verdicts", sa.Column("planned_again_at", UtcTime(), nullable=True))
    op.add_column("triggers", sa.Column("emptied_at", UtcTime(), nullable=True))
    op.add_column("triggers", sa.Column("emptied_for", sa.String(length=10), nullable=True))
    op.create_index(
        "ix_delivery_calls_memory",
        "delivery_calls",
        ["delivery_id"],
        sqlite_where=sa.text("memory IS NOT NULL"),
        postgresql_where=sa.text("memory IS NOT NULL"),
    )
    _add_resolutions()
    _add_replays()


def _add_resolutions() -> None:
    op.create_table(
        "resolutions",
        sa.Column("delivery_id", sa.String(length=26), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(length=26), nullable=False),
        sa.Column("resolution", sa.String(length=10), nullable=False),
        sa.Column("decided_by", sa.String(length=100), nullable=False),
        sa.Column("decided_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_resolutions_delivery_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_resolutions_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_resolutions")),
    )


def _add_replays() -> None:
    op.create_table(
        "replays",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("tenant_id", sa.String(length=26), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("chosen_to", sa.String(length=100), nullable=True),
        sa.Column("chosen", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("made", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("refused", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_replays_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index(op.f("ix_replays_tenant_id"), "replays", ["tenant_id"])
    op.create_table(
        "replay_items",
        sa.Column("replay_id", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(length=26), nullable=False),
        sa.Column("delivery_id", sa.String(length=26), nullable=True),
        sa.Column("event_id", sa.String(length=26), nullable=False),
        sa.Column("rule", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("new_delivery_id", sa.String(length=26), nullable=True),
        sa.Column("refusal", sa.String(length=20), nullable=True),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(
            ["replay_id"], ["replays.id"], name=op.f("fk_replay_items_replay_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_replay_items_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("replay_id", "position", name=op.f("pk_replay_items")),
    )
    op.create_index(
        "ix_replay_items_event_id",
        "replay_items",
        ["event_id"],
        sqlite_where=sa.text("detail <> ''"),
        postgresql_where=sa.text("detail <> ''"),
    )
    op.create_index(
        "ix_deliveries_uncertain",
        "deliveries",
        ["connection_id", "id"],
        sqlite_where=sa.text("state = 'uncertain'"),
        postgresql_where=sa.text("state = 'uncertain'"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("labels", sa.String(length=200), nullable=False),
        sa.Column("part", sa.String(length=26), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", "part", name=op.f("pk_counters")),
    )
