"""Counts the work of SQLite: the instructions of its virtual machine, which no other load of the machine changes."""

from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import event


@dataclass
class Work:
    """The instructions so far."""

    instructions: int = 0


@contextmanager
def counted_work(database):
    """Counts what the statements of a database's connections cost within the block."""
    work = Work()

    def count():
        work.instructions += 1

    def attach(connection, *_):
        connection.set_progress_handler(count, 1)

    event.listen(database.engine, "checkout", attach)
    try:
        yield work
    finally:
        event.remove(database.engine, "checkout", attach)
        with database.engine.connect() as connection:
            connection.connection.driver_connection.set_progress_handler(None, 1)
