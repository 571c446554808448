"""Attempts: progress, back-off and the reason of an interruption; standstills of workers."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE jobs RENAME COLUMN checkpoint_attempt TO progress_attempt")
    op.add_column("jobs", sa.Column("not_before", sa.DateTime(timezone=True)))
    op.add_column("jobs", sa.Column("interruption", sa.String(32)))
    op.add_column("workers", sa.Column("stalled_s", sa.Double(), nullable=False, server_default="0"))
