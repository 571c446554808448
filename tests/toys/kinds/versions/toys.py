"""The toys' kinds are let into the jobs."""

from pathlib import Path

from alembic import op

import migrations

revision = "toys"
down_revision = max(path.name[:4] for path in (Path(migrations.__file__).parent / "versions").glob("0*.py"))
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("jobs") as table:
        table.drop_constraint(op.f("ck_jobs_kind"), type_="check")
    kinds = "'train', 'generate', 'interpolate', 'rpc', 'toy', 'own_toy'"
    with op.batch_alter_table("jobs") as table:
        table.create_check_constraint(op.f("ck_jobs_kind"), f"kind IN ({kinds})")
