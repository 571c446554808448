"""The cache of models on the device: loaded when a job first needs them, evicted least recently used first (LRU).

It publishes the card of each loaded model and knows nothing of jobs.
"""

import logging
import math
import os
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Mapping

import diffusers
import torch
import transformers

from dti import families
from dti.errors import ModelTooLargeError
from dti.families import Family
from dti.families.base import choose_device
from dti.models.tiny import CHECKPOINT
from dti.planning.plans import MAX_PICTURES
from service.catalogue.models import Catalogue, ModelEntry
from service.workers import EngineLoad, ModelLoad, WorkerLoad
from worker.loaded_model import MAX_TRAININGS, LoadedModel, ModelThroughputs, Throughputs, release_memory
from worker.memory import plan_for
from worker.outputs.safety import SafetyFilter

LOADED_MODELS = 2
"""Models that stay loaded while idle."""

_BUNDLED = {"bundled:tiny": CHECKPOINT}

log = logging.getLogger(__name__)


def load(entry: ModelEntry, device: str = "auto", *, offload: bool = False) -> Family:
    """Load a model of the catalogue onto this machine's device, without its libraries' progress bars and warnings.

    Args:
        entry: the model.
        device: a torch device name.
        offload: whether to offload it even if the entry does not say so.

    Raises:
        ModelUnavailableError: it cannot be loaded.
    """
    transformers.logging.disable_progress_bar()
    diffusers.logging.set_verbosity_error()
    _leave_a_core()
    source = _BUNDLED.get(entry.source, entry.source)
    return families.load(entry.family, source, device, offload=entry.offload or offload, dtype=entry.dtype)


def _leave_a_core() -> None:
    """Compute on all cores but one, unless OMP_NUM_THREADS is set.

    The API, the stores and the desktop need a core, and OpenMP threads wait for each other by spinning, which is slow
    on shared cores: on two cores under load an update took 84 ms with one thread and 650 ms with two.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))


class ModelCache:
    """The loaded models of one worker, least recently used first; its attributes may be read by any thread.

    Attributes:
        device: where the models are.
        models: names of the loaded models.
        throughputs: measured speed of the engines of all models.
        last_load_at: when a model was loaded last, on the monotonic clock.

    Args:
        catalogue: the models that can be loaded.
        publish_card: called with the name and the card of each model that was loaded.
        safety_filter: checks finished pictures.
        max_trainings: trainings that run at once on a model; 0 to decide by their pace.
        device: a torch device name; "auto" selects the GPU if present.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        publish_card: Callable[[str, Mapping[str, object]], None],
        safety_filter: SafetyFilter,
        max_trainings: int = 0,
        *,
        device: str = "auto",
    ) -> None:
        self._catalogue = catalogue
        self._max_trainings = max_trainings
        self._safety_filter = safety_filter
        self._publish_card = publish_card
        self._loaded_models: OrderedDict[str, LoadedModel] = OrderedDict()
        self.device = str(choose_device(device))
        self.throughputs = Throughputs()
        self._by_model: dict[str, ModelThroughputs] = {}
        self._loads: Counter[str] = Counter()
        self.last_load_at = -math.inf
        self.models: tuple[str, ...] = ()

    @property
    def loaded_models(self) -> Collection[LoadedModel]:
        """The loaded models, the most recently used one last."""
        return tuple(self._loaded_models.values())

    @property
    def load(self) -> WorkerLoad:
        """The work so far and the memory of the device, for metrics."""
        models = {
            name: ModelLoad(
                loads=self._loads[name],
                rendering=EngineLoad(**vars(measured.rendering)),
                training=EngineLoad(**vars(measured.training)),
            )
            for name, measured in dict(self._by_model).items()
        }
        free, total = torch.cuda.mem_get_info(self.device) if self.device.startswith("cuda") else (0, 0)
        return WorkerLoad(device_bytes=total - free, device_limit_bytes=total, models=models)

    @property
    def max_pictures(self) -> int:
        """Pictures that can be rendered at once."""
        return min((model.max_pictures for model in self.loaded_models), default=MAX_PICTURES)

    @property
    def max_trainings(self) -> int:
        """Trainings that can run at once."""
        return min((model.max_trainings for model in self.loaded_models), default=self._max_trainings or MAX_TRAININGS)

    def get(self, name: str) -> LoadedModel:
        """A model of the catalogue, loaded if it is not yet.

        Raises:
            UnknownModelError: the catalogue has no such model.
            ModelUnavailableError: it cannot be loaded.
        """
        if name not in self._loaded_models:
            self._loaded_models[name] = self._load(self._catalogue[name])
        self._loaded_models.move_to_end(name)
        self.models = tuple(self._loaded_models)
        return self._loaded_models[name]

    def _load(self, entry: ModelEntry) -> LoadedModel:
        self._evict(LOADED_MODELS - 1)
        log.info("Loading %s", entry.name)
        plan = plan_for(entry, self.device)
        offload = plan is not None and plan.offload
        try:
            family = load(entry, self.device, offload=offload)
        except ModelTooLargeError:
            # It may fit without the idle models that are usually kept for the next job.
            self.evict_idle()
            family = load(entry, self.device, offload=offload)
        self._publish_card(entry.name, family.card())
        self._loads[entry.name] += 1
        self.last_load_at = time.monotonic()
        # The counts of a model go on when it is loaded again.
        measured = self._by_model.setdefault(entry.name, ModelThroughputs(worker=self.throughputs))
        return LoadedModel(entry, family, measured, self._safety_filter, plan=plan, max_trainings=self._max_trainings)

    def evict_idle(self) -> bool:
        """Unload all idle models, because memory is short.

        Returns:
            Whether there was one.
        """
        before = len(self._loaded_models)
        self._evict(0)
        self.models = tuple(self._loaded_models)
        return len(self._loaded_models) < before

    def _evict(self, keep: int) -> None:
        """Unload idle models, least recently used first, until at most `keep` models are left."""
        idle = [name for name, model in self._loaded_models.items() if not model.busy]
        for name in idle[: max(0, len(self._loaded_models) - keep)]:
            log.info("Unloading %s", name)
            del self._loaded_models[name]
        release_memory()
