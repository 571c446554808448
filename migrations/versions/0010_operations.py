"""Operations: ids of requests and traces, device seconds and thinned events of jobs; the load of workers; counters of the
metrics; audit entries. Every new column of an old table has a default: processes of the revision before keep writing."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.String(40)


def upgrade() -> None:
    jobs()
    op.add_column("workers", sa.Column("served_models", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("workers", sa.Column("gauges", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "process_heartbeats",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_process_heartbeats"),
    )
    counters()
    audit()


def jobs() -> None:
    op.add_column("jobs", sa.Column("request_id", sa.String(128)))
    op.add_column("jobs", sa.Column("traceparent", sa.String(55)))
    op.add_column("jobs", sa.Column("device_s", sa.Double(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("thin_events_at", MOMENT))
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])
    some = sa.text("thin_events_at IS NOT NULL")
    op.create_index("ix_jobs_thin_events_at", "jobs", ["thin_events_at"], sqlite_where=some, postgresql_where=some)
    op.execute("UPDATE jobs SET thin_events_at = finished_at WHERE finished_at IS NOT NULL")


def counters() -> None:
    labels = (("name", 40), ("model", 100), ("kind", 16), ("code", 64))
    op.create_table(
        "counter_totals",
        *(sa.Column(name, sa.String(length), nullable=False) for name, length in labels),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(*(name for name, _ in labels), name="pk_counter_totals"),
    )
    op.create_table(
        "counter_increments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *(sa.Column(name, sa.String(length), nullable=False) for name, length in labels),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_counter_increments"),
    )


def audit() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", ID, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("key_id", ID),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(128)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
    )
    op.create_index("ix_audit_entries_owner_id", "audit_entries", ["owner_id"])
    op.create_index("ix_audit_entries_created_at", "audit_entries", ["created_at"])
