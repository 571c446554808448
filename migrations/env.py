"""What Alembic runs: it works on the connection, and within the transaction, that its caller opened."""

from alembic import context

from service.database.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    transactional_ddl=True,
    compare_type=True,
)
context.run_migrations()
