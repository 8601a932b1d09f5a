"""How a source's messages are read, a second set of its credentials, and what vendors call languages."""

import sqlalchemy as sa
from alembic import op

from plugin.store.tables import UtcTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("sources", sa.Column("old_credentials", sa.Text(), nullable=True, comment="sealed"))
    op.add_column("sources", sa.Column("old_used_at", UtcTime(), nullable=True))
    op.add_column("sources", sa.Column("settings", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("sources", sa.Column("language", sa.String(length=35), nullable=True))
    op.add_column("sources", sa.Column("strangers", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("sources", sa.Column("strangers_at", UtcTime(), nullable=True))
    op.add_column("connections", sa.Column("languages", sa.JSON(none_as_null=True), nullable=True))
