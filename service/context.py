"""The open parts of one process: settings, catalogue, database, object store, broker. It has no rules."""

from dataclasses import dataclass

from service.broker import Broker
from service.catalogue.models import Catalogue
from service.catalogue.token_limits import TokenLimits
from service.database.engine import Database
from service.settings import Settings
from service.storage import ObjectStore


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

    def close(self) -> None:
        """Close all parts."""
        self.broker.close()
        self.storage.close()
        self.database.close()
