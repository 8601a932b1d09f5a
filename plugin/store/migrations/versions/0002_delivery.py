"""Limits, probes and rates of lanes."""

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
