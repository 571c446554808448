"""The first tables, and the owner of everything where nobody says who they are."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.String(40)
KEY = sa.String(200)
SHA256 = sa.String(64)


def upgrade() -> None:
    owners()
    jobs()
    what_belongs_to_jobs()
    concepts()
    what_belongs_to_concepts()
    what_workers_say()


def owners() -> None:
    table = op.create_table(
        "owners",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_owners"),
    )
    now = datetime.now(UTC)
    if op.get_bind().dialect.name == "sqlite":
        now = now.replace(tzinfo=None)
    op.bulk_insert(table, [{"id": "own_local", "name": "local", "created_at": now}])


def jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("input", sa.JSON(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(100)),
        sa.Column("lease_expires_at", MOMENT),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("loss", sa.Double()),
        sa.Column("eta_s", sa.Double()),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.Text()),
        sa.Column("checkpoint_key", KEY),
        sa.Column("checkpoint_step", sa.Integer(), nullable=False),
        sa.Column("checkpoint_attempt", sa.Integer(), nullable=False),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("queued_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_jobs_owner_id_owners"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_jobs_status")
        ),
        sa.CheckConstraint("kind IN ('train', 'generate', 'interpolate')", name=op.f("ck_jobs_kind")),
    )
    op.create_index("ix_jobs_queue", "jobs", ["status", "rank", "id"])
    op.create_index("ix_jobs_lease", "jobs", ["status", "lease_expires_at"])
    op.create_index("ix_jobs_unfinished", "jobs", ["owner_id", "status"])
    op.create_index("ix_jobs_owner", "jobs", ["owner_id", "id"])
    op.create_index("ix_jobs_checkpoint_key", "jobs", ["checkpoint_key"])


def what_belongs_to_jobs() -> None:
    op.create_table(
        "job_concepts",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("concept_id", ID, nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("embedding_key", KEY),
        sa.Column("embedding_sha256", SHA256),
        sa.PrimaryKeyConstraint("job_id", "place", name="pk_job_concepts"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_concepts_job_id_jobs", ondelete="CASCADE"),
    )
    op.create_index("ix_job_concepts_concept_id", "job_concepts", ["concept_id"])
    op.create_index("ix_job_concepts_embedding_key", "job_concepts", ["embedding_key"])
    op.create_table(
        "images",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("content_type", sa.String(64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger()),
        sa.Column("prompt", sa.Text()),
        sa.Column("share", sa.Double()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.UniqueConstraint("job_id", "role", "place", name="uq_images_job_id_role_place"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_images_job_id_jobs", ondelete="CASCADE"),
    )
    op.create_index("ix_images_key", "images", ["key"])
    op.create_table(
        "events",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_events"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_events_job_id_jobs", ondelete="CASCADE"),
    )
    op.create_table(
        "metrics",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("first_step", sa.Integer(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("losses", sa.JSON(), nullable=False),
        sa.Column("angles_rad", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "attempt", "first_step", name="pk_metrics"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_metrics_job_id_jobs", ondelete="CASCADE"),
    )


def concepts() -> None:
    op.create_table(
        "concepts",
        sa.Column("id", ID, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("class_word", sa.String(200), nullable=False),
        sa.Column("property", sa.String(16), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("training", sa.JSON(), nullable=False),
        sa.Column("job_id", ID),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_concepts"),
        sa.UniqueConstraint("owner_id", "name", name="uq_concepts_owner_id_name"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_concepts_owner_id_owners"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_concepts_job_id_jobs"),
    )


def what_belongs_to_concepts() -> None:
    op.create_table(
        "pictures",
        sa.Column("id", ID, nullable=False),
        sa.Column("concept_id", ID, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("caption", sa.Text()),
        sa.Column("key", KEY, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("content_type", sa.String(64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pictures"),
        sa.ForeignKeyConstraint(
            ["concept_id"], ["concepts.id"], name="fk_pictures_concept_id_concepts", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_pictures_concept_id", "pictures", ["concept_id"])
    op.create_index("ix_pictures_key", "pictures", ["key"])
    op.create_table(
        "embeddings",
        sa.Column("id", ID, nullable=False),
        sa.Column("concept_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("job_id", ID),
        sa.Column("key", KEY, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("encoders", sa.JSON(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_embeddings"),
        sa.UniqueConstraint("concept_id", "number", name="uq_embeddings_concept_id_number"),
        sa.ForeignKeyConstraint(
            ["concept_id"], ["concepts.id"], name="fk_embeddings_concept_id_concepts", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_embeddings_job_id_jobs"),
    )
    op.create_index("ix_embeddings_key", "embeddings", ["key"])


def what_workers_say() -> None:
    op.create_table(
        "model_cards",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_model_cards"),
    )
    op.create_table(
        "desks",
        sa.Column("worker_id", sa.String(100), nullable=False),
        sa.Column("device", sa.String(100), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("training_steps", sa.BigInteger(), nullable=False),
        sa.Column("training_s", sa.Double(), nullable=False),
        sa.Column("picture_steps", sa.BigInteger(), nullable=False),
        sa.Column("picture_s", sa.Double(), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name="pk_desks"),
    )
