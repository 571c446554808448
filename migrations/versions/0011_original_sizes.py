"""The sizes of training pictures before they were scaled down, which size conditioning is told."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pictures", sa.Column("original_width", sa.Integer()))
    op.add_column("pictures", sa.Column("original_height", sa.Integer()))


def downgrade() -> None:
    op.drop_column("pictures", "original_height")
    op.drop_column("pictures", "original_width")
