"""The field's words for tables and columns: workers, idempotency_keys, training_metrics, learnable_property, position,
priority_class, lost_attempts, last_event_number; kind `rpc`; the same words inside job inputs and results."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.String(40)

JOBS = sa.table(
    "jobs",
    sa.column("id", sa.String),
    sa.column("kind", sa.String),
    sa.column("input", sa.JSON),
    sa.column("result", sa.JSON(none_as_null=True)),
)


def upgrade() -> None:
    workers()
    idempotency_keys()
    training_metrics()
    op.execute("ALTER TABLE concepts RENAME COLUMN property TO learnable_property")
    op.execute("ALTER TABLE pictures RENAME COLUMN place TO position")
    op.execute("ALTER TABLE job_concepts RENAME COLUMN place TO position")
    images()
    jobs()


def workers() -> None:
    """Presence lasts seconds: every running worker reports again by itself."""
    op.drop_table("desks")
    op.create_table(
        "workers",
        sa.Column("worker_id", sa.String(100), nullable=False),
        sa.Column("device", sa.String(100), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("training_steps", sa.BigInteger(), nullable=False),
        sa.Column("training_s", sa.Double(), nullable=False),
        sa.Column("picture_steps", sa.BigInteger(), nullable=False),
        sa.Column("picture_s", sa.Double(), nullable=False),
        sa.Column("last_heartbeat_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name="pk_workers"),
    )


def idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("reference", sa.String(200)),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "key", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_idempotency_keys_owner_id_owners"),
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"])
    columns = "owner_id, key, fingerprint, token, status, reference, expires_at"
    op.execute(f"INSERT INTO idempotency_keys ({columns}) SELECT {columns} FROM kept_requests")
    op.drop_table("kept_requests")


def training_metrics() -> None:
    op.create_table(
        "training_metrics",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("first_step", sa.Integer(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("losses", sa.JSON(), nullable=False),
        sa.Column("angles_rad", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "attempt", "first_step", name="pk_training_metrics"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_training_metrics_job_id_jobs", ondelete="CASCADE"),
    )
    columns = "job_id, attempt, first_step, steps, losses, angles_rad"
    op.execute(f"INSERT INTO training_metrics ({columns}) SELECT {columns} FROM metrics")
    op.drop_table("metrics")


def images() -> None:
    with op.batch_alter_table("images") as table:
        table.drop_constraint(op.f("uq_images_job_id_role_place"), type_="unique")
        table.alter_column("place", new_column_name="position")
    with op.batch_alter_table("images") as table:
        table.create_unique_constraint(op.f("uq_images_job_id_role_position"), ["job_id", "role", "position"])


def jobs() -> None:
    with op.batch_alter_table("jobs") as table:
        table.drop_constraint(op.f("ck_jobs_kind"), type_="check")
        table.alter_column("strikes", new_column_name="lost_attempts")
        table.alter_column("lane", new_column_name="priority_class")
        table.alter_column("last_event", new_column_name="last_event_number")
    op.execute("UPDATE jobs SET kind = 'rpc' WHERE kind = 'errand'")
    with op.batch_alter_table("jobs") as table:
        table.create_check_constraint(op.f("ck_jobs_kind"), "kind IN ('train', 'generate', 'interpolate', 'rpc')")
    connection = op.get_bind()
    for job in connection.execute(sa.select(JOBS).where(JOBS.c.kind.in_(("train", "rpc")))).all():
        changed = changed_rpc(job) if job.kind == "rpc" else changed_training(job)
        connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(changed))


def changed_training(job):
    return {
        "input": renamed(job.input, property="learnable_property"),
        "result": renamed(job.result, pictures="training_images"),
    }


def changed_rpc(job):
    """Imports and blends hold the concept that they make."""
    if "concept" not in job.input:
        return {"input": job.input}
    return {"input": {**job.input, "concept": renamed(job.input["concept"], property="learnable_property")}}


def renamed(content, **names):
    """A JSON object with other names, in the same order; None stays None."""
    return content and {names.get(name, name): value for name, value in content.items()}
