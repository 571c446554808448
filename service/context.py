"""What the service stands on, opened together: settings, catalogue, database, objects, bell. Knows no rule."""

from dataclasses import dataclass

from service.bell import Bell
from service.db import Database
from service.models import Catalogue
from service.objects import Objects
from service.prompts import Rulers
from service.settings import Settings


@dataclass(frozen=True)
class Service:
    """The parts that both edges share; one a process."""

    settings: Settings
    catalogue: Catalogue
    database: Database
    objects: Objects
    bell: Bell
    rulers: Rulers

    @classmethod
    def open(cls, settings: Settings) -> "Service":
        """Connects lazily: a part that is down shows at its first use, not here.

        Raises:
            SettingsError: the catalogue cannot be read, or an address is missing.
        """
        return cls(
            settings=settings,
            catalogue=Catalogue.load(settings.models),
            database=Database(settings.database_address),
            objects=Objects(settings),
            bell=Bell(settings),
            rulers=Rulers(),
        )

    def close(self) -> None:
        """Close what was opened."""
        self.bell.close()
        self.objects.close()
        self.database.close()
