"""Indexes: each query that is asked often reads the rows that it returns, and no others."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

REPLACED = (
    ("jobs", "ix_jobs_queue"),
    ("jobs", "ix_jobs_unfinished"),
    ("images", "ix_images_created_at"),
)
ADDED = (
    ("jobs", "ix_jobs_queue", ["status", "model", "priority_class", "rank", "id"]),
    ("jobs", "ix_jobs_order", ["status", "priority_class", "rank", "id"]),
    ("jobs", "ix_jobs_waiting", ["status", "model", "queued_at"]),
    ("jobs", "ix_jobs_owner_status", ["owner_id", "status", "id"]),
    ("jobs", "ix_jobs_owner_kind", ["owner_id", "kind", "id"]),
    ("jobs", "ix_jobs_owner_created", ["owner_id", "created_at", "kind"]),
    ("jobs", "ix_jobs_finished", ["kind", "finished_at"]),
    ("job_concepts", "ix_job_concepts_name", ["name"]),
    ("concepts", "ix_concepts_owner", ["owner_id", "id"]),
    ("images", "ix_images_owner_created", ["owner_id", "created_at"]),
    ("images", "ix_images_retention", ["role", "created_at"]),
    ("deliveries", "ix_deliveries_created", ["created_at"]),
)
PARTIAL = (
    ("ix_jobs_isolated", ["status", "model", "rank", "id"], "lost_attempts > 0"),
    ("ix_jobs_not_before", ["not_before"], "not_before IS NOT NULL"),
    ("ix_jobs_checkpoints", ["id"], "checkpoint_key IS NOT NULL"),
)


def upgrade() -> None:
    for table, name in REPLACED:
        op.drop_index(name, table)
    for table, name, columns in ADDED:
        op.create_index(name, table, columns)
    for name, columns, condition in PARTIAL:
        where = sa.text(condition)
        op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, _, _ in PARTIAL:
        op.drop_index(name, "jobs")
    for table, name, _ in ADDED:
        op.drop_index(name, table)
    op.create_index("ix_jobs_queue", "jobs", ["status", "rank", "id"])
    op.create_index("ix_jobs_unfinished", "jobs", ["owner_id", "status"])
    op.create_index("ix_images_created_at", "images", ["created_at"])
