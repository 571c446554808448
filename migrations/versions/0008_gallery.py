"""Gallery: owner, favourite and search text of images; tags, cover, search text and present version of concepts."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BATCH = 1000

JOBS = sa.table("jobs", sa.column("id", sa.String), sa.column("owner_id", sa.String), sa.column("input", sa.JSON))
JOB_CONCEPTS = sa.table(
    "job_concepts", sa.column("job_id", sa.String), sa.column("position", sa.Integer), sa.column("name", sa.String)
)
IMAGES = sa.table(
    "images",
    sa.column("id", sa.String),
    sa.column("job_id", sa.String),
    sa.column("owner_id", sa.String),
    sa.column("prompt", sa.Text),
    sa.column("seed", sa.BigInteger),
    sa.column("search_text", sa.Text),
)
CONCEPTS = sa.table(
    "concepts",
    sa.column("id", sa.String),
    sa.column("name", sa.String),
    sa.column("class_word", sa.String),
    sa.column("model", sa.String),
    sa.column("tags", sa.JSON),
    sa.column("search_text", sa.Text),
)


def upgrade() -> None:
    images()
    concepts()


def images() -> None:
    with op.batch_alter_table("images") as table:
        table.add_column(sa.Column("owner_id", sa.String(40)))
        table.add_column(sa.Column("favourite", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("search_text", sa.Text()))
    op.execute("UPDATE images SET owner_id = (SELECT owner_id FROM jobs WHERE jobs.id = images.job_id)")
    fill_images(op.get_bind())
    with op.batch_alter_table("images") as table:
        table.alter_column("owner_id", existing_type=sa.String(40), nullable=False)
        table.alter_column("search_text", existing_type=sa.Text(), nullable=False)
        table.alter_column("favourite", existing_type=sa.Boolean(), server_default=None)
        table.create_foreign_key(op.f("fk_images_owner_id_owners"), "owners", ["owner_id"], ["id"])
        table.create_index("ix_images_gallery", ["owner_id", "role", "id"])
        table.create_index("ix_images_favourites", ["owner_id", "role", "favourite", "id"])


def fill_images(connection) -> None:
    after = ""
    query = sa.select(IMAGES.c.id, IMAGES.c.job_id, IMAGES.c.prompt, IMAGES.c.seed).order_by(IMAGES.c.id).limit(BATCH)
    while rows := connection.execute(query.where(IMAGES.c.id > after)).all():
        after = rows[-1].id
        job_ids = {row.job_id for row in rows}
        inputs = dict(connection.execute(sa.select(JOBS.c.id, JOBS.c.input).where(JOBS.c.id.in_(job_ids))).all())
        names = {}
        named = sa.select(JOB_CONCEPTS).where(JOB_CONCEPTS.c.job_id.in_(job_ids)).order_by(JOB_CONCEPTS.c.position)
        for row in connection.execute(named):
            names.setdefault(row.job_id, []).append(row.name)
        for row in rows:
            prompt = row.prompt or inputs[row.job_id].get("prompt")
            seed = None if row.seed is None else str(row.seed)
            words = folded(prompt, *names.get(row.job_id, ()), seed)
            connection.execute(sa.update(IMAGES).where(IMAGES.c.id == row.id).values(search_text=words))


def concepts() -> None:
    with op.batch_alter_table("concepts") as table:
        table.add_column(sa.Column("version", sa.Integer()))
        table.add_column(sa.Column("tags", sa.JSON()))
        table.add_column(sa.Column("cover", sa.String(40)))
        table.add_column(sa.Column("search_text", sa.Text()))
    op.execute("UPDATE concepts SET version = (SELECT max(number) FROM embeddings WHERE concept_id = concepts.id)")
    connection = op.get_bind()
    for row in connection.execute(sa.select(CONCEPTS)).all():
        words = folded(row.name, row.class_word, row.model)
        connection.execute(sa.update(CONCEPTS).where(CONCEPTS.c.id == row.id).values(tags=[], search_text=words))
    op.create_index("ix_embeddings_job_id", "embeddings", ["job_id"])
    with op.batch_alter_table("concepts") as table:
        table.create_index("ix_concepts_job_id", ["job_id"])
        table.alter_column("tags", existing_type=sa.JSON(), nullable=False)
        table.alter_column("search_text", existing_type=sa.Text(), nullable=False)


def folded(*parts):
    words = " ".join(part for part in parts if part).split()
    return f" {unicodedata.normalize('NFKC', ' '.join(words)).casefold()} "
