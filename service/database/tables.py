"""The tables. Rules are elsewhere: in jobs, concepts, accounts and webhooks.

Times are aware UTC in Python on both databases. JSON is stored as text, which keeps the order of keys.
"""

from datetime import UTC, date, datetime
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from dti.spec.settings import LearnableProperty
from service.kinds.jobs import KINDS
from service.safety import Policy

LOCAL_OWNER_ID = "own_local"
"""The owner of everything without authentication; the first migration inserts its row."""

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
UNFINISHED: tuple[Status, ...] = ("queued", "running")
ENDED: tuple[Status, ...] = ("succeeded", "failed", "cancelled")
Role = Literal["image", "preview", "animation", "contact_sheet"]
EventName = Literal["status", "progress", "preview", "done"]
AuditAction = Literal[
    "key.minted",
    "key.revoked",
    "webhook.created",
    "webhook.changed",
    "webhook.deleted",
    "webhook.secret_rotated",
    "concept.deleted",
    "concept.picture_removed",
    "image.deleted",
    "job.deleted",
    "retention.changed",
]
Interruption = Literal["interrupted", "worker_lost", "device_lost", "step_timeout"]
"""A worker that stopped, or a store that was down; the rest are lost attempts."""
DeliveryStatus = Literal["pending", "delivered", "failed"]


def _where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, for both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class Utc(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite, which has no such type, stores it without the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database. Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone.")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Table(DeclarativeBase):
    """The base of all tables; constraints are named, so that migrations can name them, too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration
        datetime: Utc(),
        float: Double(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        Status: String(16),
        Role: String(16),
        EventName: String(16),
        DeliveryStatus: String(16),
        Policy: String(16),
        LearnableProperty: String(16),
    }


class Owner(Table):
    """The owner of concepts, jobs and keys."""

    __tablename__ = "owners"
    __table_args__ = (Index("ix_owners_name", "name", unique=True),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]


class Key(Table):
    """A key for authentication; only the digest of its secret is stored."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(16))
    """The first characters of the secret, which identify the key in lists."""
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the secret."""
    scopes: Mapped[list[Any]]
    quotas: Mapped[dict[str, Any]]
    """Overrides of the service's quotas, by name; 0 is unlimited."""
    safety: Mapped[Policy | None]
    """Override of the service's policy for flagged pictures."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """To the minute."""

    owner: Mapped["Owner"] = relationship(lazy="joined", innerjoin=True)


class Usage(Table):
    """Device seconds of an owner's jobs on one day (UTC), as measured by the workers."""

    __tablename__ = "usage"

    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    device_s: Mapped[float]


class Concept(Table):
    """A concept; `version` says which of its embeddings is the present one."""

    __tablename__ = "concepts"
    __table_args__ = (UniqueConstraint("owner_id", "name"), Index("ix_concepts_owner", "owner_id", "id"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str] = mapped_column(String(63))
    class_word: Mapped[str] = mapped_column(String(200))
    learnable_property: Mapped[LearnableProperty]
    model: Mapped[str] = mapped_column(String(100))
    method: Mapped[str] = mapped_column(String(32))
    training: Mapped[dict[str, Any]]
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    """The newest training; None if there never was one."""
    version: Mapped[int | None]
    """The number of the present embedding; None until the first training has succeeded."""
    tags: Mapped[list[Any]]
    """In alphabetical order."""
    cover: Mapped[str | None] = mapped_column(String(40))
    """The id of a training picture or a generated image, which may be deleted; None for the first training picture."""
    search_text: Mapped[str] = mapped_column(Text, deferred=True)
    """See `service.database.search`."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    pictures: Mapped[list["Picture"]] = relationship(
        order_by="Picture.position", cascade="all, delete-orphan", passive_deletes=True
    )
    embeddings: Mapped[list["EmbeddingVersion"]] = relationship(
        order_by="EmbeddingVersion.number", cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def embedding(self) -> "EmbeddingVersion | None":
        """The present one; None until the first training has succeeded."""
        return next((row for row in self.embeddings if row.number == self.version), None)


class Picture(Table):
    """A sanitized training picture of a concept."""

    __tablename__ = "pictures"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    concept_id: Mapped[str] = mapped_column(ForeignKey("concepts.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    filename: Mapped[str] = mapped_column(Text)
    caption: Mapped[str | None] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(200), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    content_type: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]
    height: Mapped[int]
    original_width: Mapped[int | None]
    """Before it was scaled down; likewise the height."""
    original_height: Mapped[int | None]
    bytes: Mapped[int]
    safety: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Its safety assessment; None if there was no check."""


class EmbeddingVersion(Table):
    """The embedding of one training; immutable, so that jobs can pin it."""

    __tablename__ = "embeddings"
    __table_args__ = (UniqueConstraint("concept_id", "number"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    concept_id: Mapped[str] = mapped_column(ForeignKey("concepts.id", ondelete="CASCADE"))
    number: Mapped[int]
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    """Its training; None if it was imported or blended."""
    key: Mapped[str] = mapped_column(String(200), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    encoders: Mapped[dict[str, Any]]
    """Per encoder: {"vectors": 1, "dim": 768, "magnitude": 0.387}."""
    bytes: Mapped[int]
    """Size of its file; 0 for rows older than this column."""
    steps: Mapped[int]
    neighbours: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    """The nearest words per encoder and vector; None until they are computed."""
    created_at: Mapped[datetime]


class Job(Table):
    """A job of any kind; service.jobs alone writes its status."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
        CheckConstraint(f"kind IN ({', '.join(map(repr, KINDS))})", name="kind"),
        # The queue of each model, and of all, in the order in which it is claimed. Not partial: a bound status would
        # keep them from being used.
        Index("ix_jobs_queue", "status", "model", "priority_class", "rank", "id"),
        Index("ix_jobs_order", "status", "priority_class", "rank", "id"),
        Index("ix_jobs_waiting", "status", "model", "queued_at"),
        Index("ix_jobs_lease", "status", "lease_expires_at"),
        # Few rows: jobs that run alone, and those with a checkpoint.
        Index("ix_jobs_isolated", "status", "model", "rank", "id", **_where("lost_attempts > 0")),
        Index("ix_jobs_checkpoints", "id", **_where("checkpoint_key IS NOT NULL")),
        # Lists of an owner's jobs, newest first.
        Index("ix_jobs_owner", "owner_id", "id"),
        Index("ix_jobs_finished_at", "finished_at"),
        Index("ix_jobs_thin_events_at", "thin_events_at", **_where("thin_events_at IS NOT NULL")),
        Index("ix_jobs_not_before", "not_before", **_where("not_before IS NOT NULL")),
        Index("ix_jobs_owner_status", "owner_id", "status", "id"),
        Index("ix_jobs_owner_kind", "owner_id", "kind", "id"),
        Index("ix_jobs_owner_created", "owner_id", "created_at", "kind"),
        Index("ix_jobs_finished", "kind", "finished_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    kind: Mapped[str] = mapped_column(String(16))
    """One of service.KINDS; its check constraint stands in the migrations alone."""
    status: Mapped[Status]
    model: Mapped[str] = mapped_column(String(100))
    input: Mapped[dict[str, Any]]
    """Read and written through the input class of its kind."""
    slots: Mapped[int]
    """Pictures that can be rendered for it at once; 1 for a training."""
    priority_class: Mapped[int]
    rank: Mapped[int] = mapped_column(BigInteger)
    """Position in the queue, lowest first, ties by id; fixed at the submission."""
    attempt: Mapped[int] = mapped_column(default=0)
    """Claims so far, and the fencing token: writes of an earlier attempt are refused."""
    lost_attempts: Mapped[int] = mapped_column(default=0)
    """Lost attempts in a row without progress."""
    worker_id: Mapped[str | None] = mapped_column(String(100))
    lease_expires_at: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    webhook: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """The webhook of its request: {"url", "events"}."""
    safety: Mapped[Policy] = mapped_column(default="allow")
    """The policy for flagged pictures at its submission."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Its result beside images and metrics; None if there is none."""
    warnings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """Read and written through service.kinds.warnings."""
    file_key: Mapped[str | None] = mapped_column(String(200), index=True)
    """The file that an RPC reads or writes."""
    step: Mapped[int] = mapped_column(default=0)
    total: Mapped[int]
    loss: Mapped[float | None]
    eta_s: Mapped[float | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    checkpoint_key: Mapped[str | None] = mapped_column(String(200), index=True)
    checkpoint_step: Mapped[int] = mapped_column(default=0)
    progress_attempt: Mapped[int] = mapped_column(default=0)
    """The attempt that made the last progress: a later checkpoint or another finished picture."""
    not_before: Mapped[datetime | None]
    """When it may be claimed again after lost attempts; None for at once."""
    interruption: Mapped[Interruption | None] = mapped_column(String(32))
    """Why it returned to the queue last; None if it never did since its submission or retry."""
    last_event_number: Mapped[int] = mapped_column(default=0)
    """The newest event's number; the next one is taken under this row's lock."""
    request_id: Mapped[str | None] = mapped_column(String(128))
    """Of the request that submitted it."""
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """The span that submitted it, from the header of its request (W3C Trace Context)."""
    device_s: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """Seconds of the device that its attempts used so far."""
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    """When it was queued last."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    thin_events_at: Mapped[datetime | None]
    """When its progress events are deleted; None before its end, and afterwards."""

    concepts: Mapped[list["JobConcept"]] = relationship(order_by="JobConcept.position", cascade="all, delete-orphan")
    images: Mapped[list["Image"]] = relationship(
        order_by="(Image.position, Image.id)", cascade="all, delete-orphan", passive_deletes=True
    )


class JobConcept(Table):
    """A concept in a job, with its embedding at the submission.

    A copy and no reference: it outlives the concept.
    """

    __tablename__ = "job_concepts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    concept_id: Mapped[str] = mapped_column(String(40), index=True)
    name: Mapped[str] = mapped_column(String(63), index=True)
    embedding_key: Mapped[str | None] = mapped_column(String(200), index=True)
    embedding_sha256: Mapped[str | None] = mapped_column(String(64))


class Image(Table):
    """A picture that a job generated."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("job_id", "role", "position"),
        # The gallery and its favourites, in the order in which they are listed.
        Index("ix_images_gallery", "owner_id", "role", "id"),
        Index("ix_images_favourites", "owner_id", "role", "favourite", "id"),
        Index("ix_images_owner_created", "owner_id", "created_at"),
        Index("ix_images_retention", "role", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    """That of its job, so that the gallery is one range of an index."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    role: Mapped[Role]
    position: Mapped[int]
    """Its number in the job, from 0; of a preview, the update."""
    key: Mapped[str] = mapped_column(String(200), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    content_type: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    seed: Mapped[int | None] = mapped_column(BigInteger)
    prompt: Mapped[str | None] = mapped_column(Text)
    share: Mapped[float | None]
    safety: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    favourite: Mapped[bool] = mapped_column(default=False)
    search_text: Mapped[str] = mapped_column(Text, deferred=True)
    """See `service.database.search`."""
    created_at: Mapped[datetime]

    job: Mapped["Job"] = relationship(back_populates="images", viewonly=True)


class Event(Table):
    """An event of a job, numbered from 1; progress events are deleted some time after the end of the job."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[EventName]
    data: Mapped[dict[str, Any]]
    """status and done: the job's state at that moment (`service.jobs.JobState`); progress: {"step", "total", "loss",
    "eta_s"}; preview: {"image": "img_…"}."""
    created_at: Mapped[datetime]


class MetricChunk(Table):
    """A chunk of the metrics of a training; where chunks overlap, the later attempt counts."""

    __tablename__ = "training_metrics"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    first_step: Mapped[int] = mapped_column(primary_key=True)
    steps: Mapped[list[Any]]
    losses: Mapped[list[Any]]
    angles_rad: Mapped[list[Any]]


class ModelCard(Table):
    """The properties of a model, published by a worker that has loaded it: encoders, token limits, tokenizers."""

    __tablename__ = "model_cards"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    card: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]


class Worker(Table):
    """A worker in the registry, with its last heartbeat."""

    __tablename__ = "workers"

    worker_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    device: Mapped[str] = mapped_column(String(100))
    models: Mapped[list[Any]]
    training_steps: Mapped[int] = mapped_column(BigInteger, default=0)
    training_s: Mapped[float] = mapped_column(default=0.0)
    picture_steps: Mapped[int] = mapped_column(BigInteger, default=0)
    picture_s: Mapped[float] = mapped_column(default=0.0)
    stalled_s: Mapped[float] = mapped_column(default=0.0)
    """Seconds since its loop last moved, at the heartbeat; 0 without work."""
    served_models: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """The models whose jobs it claims; `models` are those that it has loaded."""
    gauges: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Its present load, for metrics: see `service.workers.WorkerLoad`."""
    last_heartbeat_at: Mapped[datetime]


class ProcessHeartbeat(Table):
    """The last sign of life of a kind of process without a row of its own, such as the maintenance."""

    __tablename__ = "process_heartbeats"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    seen_at: Mapped[datetime]


class CounterTotal(Table):
    """A counter of the metrics, which outlives the rows that it has counted."""

    __tablename__ = "counter_totals"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    model: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    value: Mapped[float]


class CounterIncrement(Table):
    """An increment of a counter, written in the transaction of its cause, and added to the total by maintenance.

    Transactions that update a total themselves would wait for each other.
    """

    __tablename__ = "counter_increments"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(16))
    code: Mapped[str] = mapped_column(String(64))
    value: Mapped[float]


class AuditEntry(Table):
    """An administrative act: its time, its caller, its subject. It is written in the transaction of the act."""

    __tablename__ = "audit_entries"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(String(40), index=True)
    """The owner of the caller's key; a copy and no reference."""
    key_id: Mapped[str | None] = mapped_column(String(40))
    action: Mapped[AuditAction] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(100))
    details: Mapped[dict[str, Any]]
    request_id: Mapped[str | None] = mapped_column(String(128))
    created_at: Mapped[datetime] = mapped_column(index=True)


class IdempotencyKey(Table):
    """A request with an Idempotency-Key, and its result."""

    __tablename__ = "idempotency_keys"

    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the request's content."""
    token: Mapped[str] = mapped_column(String(32))
    """Of the present reservation; a later one replaces it."""
    status: Mapped[int | None]
    reference: Mapped[str | None] = mapped_column(String(200))
    """The id of the result; None while the request is being accepted."""
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Webhook(Table):
    """A webhook of an owner.

    The one without a URL is the default webhook: its secret signs messages to addresses in requests.
    """

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    url: Mapped[str | None] = mapped_column(Text)
    events: Mapped[list[Any]]
    secret: Mapped[str] = mapped_column(String(100))
    """In plain text, since signing needs it."""
    old_secret: Mapped[str | None] = mapped_column(String(100))
    old_secret_until: Mapped[datetime | None]
    enabled: Mapped[bool]
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(default=0)
    """Failed attempts since the last success."""
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Delivery(Table):
    """The delivery of a message to one address; written in the transaction of its event."""

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status"),
        Index("ix_deliveries_due", "status", "due_at"),
        Index("ix_deliveries_webhook", "webhook_id", "id"),
        Index("ix_deliveries_created", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    job_id: Mapped[str | None] = mapped_column(String(40))
    """The job of the event, which may be deleted."""
    url: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(String(32))
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[DeliveryStatus]
    attempts: Mapped[int] = mapped_column(default=0)
    """Claims so far, and the fencing token."""
    attempts_before: Mapped[int] = mapped_column(default=0)
    """Those before the last redelivery, from which the schedule starts again."""
    due_at: Mapped[datetime | None]
    """Time of the next attempt; during an attempt, the end of its lease."""
    attempted_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    response_status: Mapped[int | None]
    response: Mapped[str | None] = mapped_column(Text)
    """The beginning of the response body."""
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class Installation(Table):
    """The one row about this database: its id, which its bucket carries, and the state of the collection of orphans."""

    __tablename__ = "installation"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(String(40))
    collection: Mapped[str] = mapped_column(String(20))
    orphans: Mapped[int]
