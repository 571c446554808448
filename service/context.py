"""The open parts of one process: settings, catalogue, database, object store, broker. It has no rules."""

import logging
from dataclasses import dataclass

from service.broker import Broker
from service.catalogue.models import Catalogue
from service.catalogue.token_limits import TokenLimits
from service.database import schema
from service.database.engine import Database
from service.errors import DatabaseUnavailableError
from service.settings import Settings
from service.storage import ObjectStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """The parts that the API and the workers share; one per process."""

    settings: Settings
    catalogue: Catalogue
    database: Database
    storage: ObjectStore
    broker: Broker
    token_limits: TokenLimits

    @classmethod
    def open(cls, settings: Settings) -> "Service":
        """Open the parts; they connect at their first use.

        Raises:
            SettingsError: the catalogue cannot be read, or an address is missing.
        """
        return cls(
            settings=settings,
            catalogue=Catalogue.load(settings.models),
            database=Database(settings.database_address),
            storage=ObjectStore(settings),
            broker=Broker(settings),
            token_limits=TokenLimits(),
        )

    def check_schema(self) -> None:
        """Refuse to start beside a schema that is too old; a database that does not answer is not judged.

        Raises:
            SchemaRevisionError: the schema is older than this version needs.
        """
        try:
            with self.database.reading() as session:
                schema.check(session)
        except DatabaseUnavailableError as error:
            _log.warning("The revision of the schema is not checked: %s", error)

    def close(self) -> None:
        """Close all parts."""
        self.broker.close()
        self.storage.close()
        self.database.close()
