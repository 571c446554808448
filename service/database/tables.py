"""The tables. Knows no rule: who may write what, and when, stands in jobs and concepts.

Times are UTC and aware in Python on both databases. JSON is stored as text, so that keys keep their order.
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
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from dti.spec.settings import LearnableProperty
from service.kinds.jobs import KINDS
from service.safety import Policy

LOCAL_OWNER_ID = "own_local"
"""Whom everything belongs to where nobody has to say who they are; the first migration makes this row."""

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
UNFINISHED: tuple[Status, ...] = ("queued", "running")
ENDED: tuple[Status, ...] = ("succeeded", "failed", "cancelled")
Role = Literal["image", "preview", "animation", "contact_sheet"]
EventName = Literal["status", "progress", "preview", "done"]
DeliveryStatus = Literal["pending", "delivered", "failed"]


class Utc(TypeDecorator[datetime]):
    """An aware moment in UTC; SQLite, which has no such type, stores it without the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Towards the database. Raises ValueError for a moment without a zone."""
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
    """The root of all tables; constraints are named, so that a migration can name them too."""

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
    """Whom concepts, jobs and keys belong to."""

    __tablename__ = "owners"
    __table_args__ = (Index("ix_owners_name", "name", unique=True),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]


class Key(Table):
    """What somebody proves by that they may call; of the secret itself only the digest is here."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(16))
    """The secret's beginning, by which people tell their keys apart."""
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the secret."""
    scopes: Mapped[list[Any]]
    quotas: Mapped[dict[str, Any]]
    """Bounds that this key has instead of the service's own, by name; 0 is no bound."""
    safety: Mapped[Policy | None]
    """What is done about flagged pictures instead of what the service does."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """To the minute."""

    owner: Mapped["Owner"] = relationship(lazy="joined", innerjoin=True)


class Usage(Table):
    """What an owner's jobs took of the devices on one day (UTC), as the workers measured it."""

    __tablename__ = "usage"

    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    device_s: Mapped[float]


class Concept(Table):
    """Something that was or will be learned from pictures; the newest of its embeddings is the one in use."""

    __tablename__ = "concepts"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str] = mapped_column(String(63))
    class_word: Mapped[str] = mapped_column(String(200))
    learnable_property: Mapped[LearnableProperty]
    model: Mapped[str] = mapped_column(String(100))
    method: Mapped[str] = mapped_column(String(32))
    training: Mapped[dict[str, Any]]
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    """The newest training; None where there never was one."""
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
        """The one in use; None until the first training has succeeded."""
        return self.embeddings[-1] if self.embeddings else None


class Picture(Table):
    """A picture that a concept is learned from, as the service cleaned and stored it."""

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
    bytes: Mapped[int]
    safety: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What the safety check thought of it; None where it did not look."""


class EmbeddingVersion(Table):
    """What was learned of a concept, once; never changed, so that a job can pin it."""

    __tablename__ = "embeddings"
    __table_args__ = (UniqueConstraint("concept_id", "number"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    concept_id: Mapped[str] = mapped_column(ForeignKey("concepts.id", ondelete="CASCADE"))
    number: Mapped[int]
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    """The training that made it; None where it was imported or blended."""
    key: Mapped[str] = mapped_column(String(200), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    encoders: Mapped[dict[str, Any]]
    """Per encoder: {"vectors": 1, "dim": 768, "magnitude": 0.387}."""
    bytes: Mapped[int]
    """The size of its file; 0 for those that were made before sizes were kept."""
    steps: Mapped[int]
    neighbours: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    """Per encoder and vector the words whose directions are nearest; None where nobody has asked yet."""
    created_at: Mapped[datetime]


class Job(Table):
    """One piece of work in the one envelope; service.jobs alone writes its status."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
        CheckConstraint(f"kind IN ({', '.join(map(repr, KINDS))})", name="kind"),
        # The queue, in the order in which it is claimed. Not partial: a bound status would keep it from being used.
        Index("ix_jobs_queue", "status", "rank", "id"),
        Index("ix_jobs_lease", "status", "lease_expires_at"),
        Index("ix_jobs_unfinished", "owner_id", "status"),
        Index("ix_jobs_owner", "owner_id", "id"),
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
    """How many pictures are rendered at once for it when there is room; 1 for a training."""
    priority_class: Mapped[int]
    rank: Mapped[int] = mapped_column(BigInteger)
    """Its place in the queue, lowest first, equal ones by id; set at submission and kept for good."""
    attempt: Mapped[int] = mapped_column(default=0)
    """Claims so far, and the fencing token: what an earlier attempt writes is refused."""
    lost_attempts: Mapped[int] = mapped_column(default=0)
    """Attempts in a row that were lost without a new checkpoint."""
    worker_id: Mapped[str | None] = mapped_column(String(100))
    lease_expires_at: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    webhook: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Whom to tell of it, as its request asked: {"url", "events"}."""
    safety: Mapped[Policy] = mapped_column(default="allow")
    """What is done about flagged pictures, as it was when the job was made."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What an RPC brings back; None for other kinds."""
    file_key: Mapped[str | None] = mapped_column(String(200), index=True)
    """A file that an RPC was given or brings back."""
    step: Mapped[int] = mapped_column(default=0)
    total: Mapped[int]
    loss: Mapped[float | None]
    eta_s: Mapped[float | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    checkpoint_key: Mapped[str | None] = mapped_column(String(200), index=True)
    checkpoint_step: Mapped[int] = mapped_column(default=0)
    checkpoint_attempt: Mapped[int] = mapped_column(default=0)
    """The attempt that reached it."""
    last_event_number: Mapped[int] = mapped_column(default=0)
    """The number of the newest event; the next one is taken under this row's lock."""
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    """Since when it waits, or waited last."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    concepts: Mapped[list["JobConcept"]] = relationship(order_by="JobConcept.position", cascade="all, delete-orphan")
    images: Mapped[list["Image"]] = relationship(
        order_by="(Image.position, Image.id)", cascade="all, delete-orphan", passive_deletes=True
    )


class JobConcept(Table):
    """A concept in a job, with the embedding that it had when the job was made.

    A copy and no reference: the job still says what it was about when the concept is gone.
    """

    __tablename__ = "job_concepts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    concept_id: Mapped[str] = mapped_column(String(40), index=True)
    name: Mapped[str] = mapped_column(String(63))
    embedding_key: Mapped[str | None] = mapped_column(String(200), index=True)
    embedding_sha256: Mapped[str | None] = mapped_column(String(64))


class Image(Table):
    """A picture that a job made."""

    __tablename__ = "images"
    __table_args__ = (UniqueConstraint("job_id", "role", "position"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    role: Mapped[Role]
    position: Mapped[int]
    """The picture's number in its job, from 0; a preview's update."""
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
    created_at: Mapped[datetime] = mapped_column(index=True)


class Event(Table):
    """Something that happened to a job; numbered from 1 without gaps per job."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[EventName]
    data: Mapped[dict[str, Any]]
    """status and done: the job's state at that moment (`service.jobs.JobState`); progress: {"step", "total", "loss",
    "eta_s"}; preview: {"image": "img_…"}."""
    created_at: Mapped[datetime]


class MetricChunk(Table):
    """A stretch of a training's curve; where stretches overlap after a resume, the later attempt counts."""

    __tablename__ = "training_metrics"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    first_step: Mapped[int] = mapped_column(primary_key=True)
    steps: Mapped[list[Any]]
    losses: Mapped[list[Any]]
    angles_rad: Mapped[list[Any]]


class ModelCard(Table):
    """What a worker found out about a model by loading it: encoders, token limits, tokenizers."""

    __tablename__ = "model_cards"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    card: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]


class Worker(Table):
    """A worker's presence: what it has loaded, on which device, how fast it is, and when it last said so."""

    __tablename__ = "workers"

    worker_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    device: Mapped[str] = mapped_column(String(100))
    models: Mapped[list[Any]]
    training_steps: Mapped[int] = mapped_column(BigInteger, default=0)
    training_s: Mapped[float] = mapped_column(default=0.0)
    picture_steps: Mapped[int] = mapped_column(BigInteger, default=0)
    picture_s: Mapped[float] = mapped_column(default=0.0)
    last_heartbeat_at: Mapped[datetime]


class IdempotencyKey(Table):
    """A request that was sent under an Idempotency-Key, and what it made."""

    __tablename__ = "idempotency_keys"

    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 of what the request was about."""
    token: Mapped[str] = mapped_column(String(32))
    """Whose it is to complete; another one after a reservation has ended without a result."""
    status: Mapped[int | None]
    reference: Mapped[str | None] = mapped_column(String(200))
    """What was made; None while the request is being accepted."""
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Webhook(Table):
    """Where an owner is told of what happens to jobs.

    One row of each owner has no address: the requests that name one themselves are signed with its secret.
    """

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    url: Mapped[str | None] = mapped_column(Text)
    events: Mapped[list[Any]]
    secret: Mapped[str] = mapped_column(String(100))
    """As it is, for signing needs it."""
    old_secret: Mapped[str | None] = mapped_column(String(100))
    old_secret_until: Mapped[datetime | None]
    enabled: Mapped[bool]
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(default=0)
    """Attempts that failed since the last one that did not."""
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Delivery(Table):
    """A message on its way to one address; written in the transaction of what it tells."""

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status"),
        Index("ix_deliveries_due", "status", "due_at"),
        Index("ix_deliveries_webhook", "webhook_id", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    job_id: Mapped[str | None] = mapped_column(String(40))
    """What it is about; the job may be gone."""
    url: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(String(32))
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[DeliveryStatus]
    attempts: Mapped[int] = mapped_column(default=0)
    """Claims so far, and the fencing token."""
    attempts_before: Mapped[int] = mapped_column(default=0)
    """Those before it was last asked for again; the schedule counts from there."""
    due_at: Mapped[datetime | None]
    """When it is tried next; while it is being tried, when it is taken for lost."""
    attempted_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    response_status: Mapped[int | None]
    response: Mapped[str | None] = mapped_column(Text)
    """How the answer's body began."""
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
