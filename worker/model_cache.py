"""The models on the device: loaded when a job first needs them, put out when others need the place.

It says what it found in each model and knows nothing of jobs.
"""

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping

import diffusers
import torch
import transformers

from dti import families
from dti.errors import ModelTooLargeError
from dti.families import Family
from dti.families.base import choose_device
from dti.models.tiny import CHECKPOINT
from service.catalogue.models import Catalogue, ModelEntry
from worker.loaded_model import PICTURE_ROOM, TRAINING_ROOM, LoadedModel, Throughputs, release_memory
from worker.outputs.safety import SafetyFilter

LOADED_MODELS = 2
"""Models that stay loaded although nobody uses them just now."""

_BUNDLED = {"bundled:tiny": CHECKPOINT}

log = logging.getLogger(__name__)


def load(entry: ModelEntry) -> Family:
    """A model of the catalogue on this machine's device, without the bars and remarks of those who made its parts.

    Raises:
        ModelUnavailableError: it cannot be loaded.
    """
    transformers.logging.disable_progress_bar()
    diffusers.logging.set_verbosity_error()
    _leave_a_core()
    return families.load(entry.family, _BUNDLED.get(entry.source, entry.source), offload=entry.offload)


def _leave_a_core() -> None:
    """Compute on all cores but one, unless the environment says otherwise.

    The API, the stores and the desktop need one too, and threads that wait for each other by spinning pay dearly for
    neighbours: on two cores under load an update took 84 ms with one thread and 650 ms with two.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))


class ModelCache:
    """The stations of one worker; its attributes may be read by any thread.

    Attributes:
        device: where the models are.
        models: those that are loaded.
        paces: how fast the engines of all stations are.

    Args:
        catalogue: the models that there are.
        loaded: told of each model that was loaded, and what is to be known of it.
        inspector: looks at pictures.
    """

    def __init__(
        self, catalogue: Catalogue, loaded: Callable[[str, Mapping[str, object]], None], inspector: SafetyFilter
    ) -> None:
        self._catalogue = catalogue
        self._inspector = inspector
        self._tell = loaded
        self._stations: OrderedDict[str, LoadedModel] = OrderedDict()
        self.device = str(choose_device("auto"))
        self.paces = Throughputs()
        self.models: tuple[str, ...] = ()

    @property
    def stations(self) -> Collection[LoadedModel]:
        """The stations of the loaded models, the one that was asked for last at the end."""
        return tuple(self._stations.values())

    @property
    def picture_room(self) -> int:
        """How many pictures are made at once."""
        return min((station.picture_room for station in self.stations), default=PICTURE_ROOM)

    @property
    def training_room(self) -> int:
        """How many trainings run at once."""
        return min((station.training_room for station in self.stations), default=TRAINING_ROOM)

    def station(self, model: str) -> LoadedModel:
        """The station of a model, which is loaded where it is not.

        Raises:
            UnknownModelError: the catalogue has no such model.
            ModelUnavailableError: it cannot be loaded.
        """
        if model not in self._stations:
            self._stations[model] = self._load(self._catalogue[model])
        self._stations.move_to_end(model)
        self.models = tuple(self._stations)
        return self._stations[model]

    def _load(self, entry: ModelEntry) -> LoadedModel:
        self._put_out(LOADED_MODELS - 1)
        log.info("Loading %s", entry.name)
        try:
            family = load(entry)
        except ModelTooLargeError:
            self._put_out(0)
            family = load(entry)
        self._tell(entry.name, family.card())
        return LoadedModel(entry, family, self.paces, self._inspector)

    def _put_out(self, keep: int) -> None:
        """Put out idle models, the ones not used for longest first, until no more than some are left."""
        idle = [name for name, station in self._stations.items() if not station.busy]
        for name in idle[: max(0, len(self._stations) - keep)]:
            log.info("Putting out %s", name)
            del self._stations[name]
        release_memory()
