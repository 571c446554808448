"""Alembic's environment: it uses the connection and the transaction of its caller."""

from alembic import context

from service.database.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    transactional_ddl=True,
    compare_type=True,
)
context.run_migrations()
