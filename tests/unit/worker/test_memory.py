"""Memory settings of loaded models: from the plan at first, then from what running out of memory has taught."""

from types import SimpleNamespace

import pytest
import torch

from dti.errors import ModelUnavailableError
from dti.families import load
from dti.families.base import choose_dtype
from dti.planning.plans import Plan, RenderingPlan, TrainingPlan
from service.catalogue.models import Catalogue
from service.settings import Safety
from tests.checkpoints.stable_diffusion import stable_diffusion
from tests.unit.dti.works import picture_work, training_work
from worker import memory, model_cache
from worker.loaded_model import LoadedModel, MemorySettings, Throughputs
from worker.outputs.safety import SafetyFilter

PLAN = Plan(TrainingPlan(2, True, True, 0), RenderingPlan(4, True, True, 0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return stable_diffusion(tmp_path_factory.mktemp("model"))


@pytest.fixture
def entry(folder, tmp_path):
    path = tmp_path / "models.toml"
    path.write_text(f'[mine]\nfamily = "sd"\nsource = "{folder}"\nwidth = 32\nheight = 32\n')
    return Catalogue.load(path)["mine"]


@pytest.fixture
def loaded(entry, folder):
    def build(plan=None, max_trainings=0):
        family = load("sd", folder, device="cpu")
        return LoadedModel(entry, family, Throughputs(), SafetyFilter(Safety()), plan=plan, max_trainings=max_trainings)

    return build


def test_a_plan_sets_the_engines(loaded):
    model = loaded(PLAN)
    assert model.settings == MemorySettings(4 * 32 * 32, 2, checkpointing=True, tiled=True)
    assert (model.max_pictures, model.trainer.micro_batch) == (4, 2)
    assert model.family.networks[-2].is_gradient_checkpointing


def test_without_a_plan_there_are_no_limits(loaded):
    model = loaded()
    assert (model.max_pictures, model.max_trainings, model.trainer.micro_batch) == (16, 2, None)


def test_pictures_join_until_their_pixels_fill_the_limit(loaded):
    model = loaded(PLAN)
    for _ in range(3):
        assert model.accepts(picture_work(model.family))
        model.renderer.admit(picture_work(model.family))
    assert not model.accepts(picture_work(model.family, width=64))
    assert model.accepts(picture_work(model.family))


def test_a_picture_larger_than_the_limit_is_rendered_alone(loaded):
    assert loaded(PLAN).accepts(picture_work(loaded().family, width=512, height=512))


def test_running_out_of_memory_teaches_fewer_pictures_and_is_remembered(loaded):
    model = loaded()
    for seed in range(4):
        model.renderer.admit(picture_work(model.family, seed=seed))
    assert model.save_memory()
    assert model.max_pictures == 2
    model.clear()
    assert model.max_pictures == 2


def test_a_single_picture_that_does_not_fit_is_decoded_in_tiles_before_it_fails(loaded):
    model = loaded()
    model.renderer.admit(picture_work(model.family))
    assert model.save_memory()
    assert model.settings.tiled
    assert not model.save_memory()


def test_a_training_that_does_not_fit_is_checkpointed_then_divided_before_it_fails(loaded):
    model = loaded()
    model.trainer.admit(training_work(batch_size=4))
    taught = []
    while model.save_memory():
        taught.append((model.settings.checkpointing, model.trainer.micro_batch))
    assert taught == [(True, None), (True, 2), (True, 1)]


def test_slow_updates_run_one_training_at_a_time_unless_a_number_is_set(loaded):
    model = loaded()
    model._update_s = 3.0
    assert model.max_trainings == 1
    assert loaded(max_trainings=4).max_trainings == 4


def test_a_small_model_needs_no_plan_and_a_large_one_gets_the_smallest_if_none_fits(entry, monkeypatch):
    assert memory.plan_for(entry) is None
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 1000)
    plan = memory.plan_for(entry)
    assert plan.training.micro_batch == 1
    assert plan.offload
    assert plan.rendering is not None


def test_the_cache_loads_a_model_by_its_plan(entry, monkeypatch):
    given = []
    monkeypatch.setattr(model_cache, "plan_for", lambda _entry, _device: PLAN)
    original = model_cache.load

    def load(entry, device, **options):
        given.append(options)
        return original(entry, device)

    monkeypatch.setattr(model_cache, "load", load)
    cache = model_cache.ModelCache({"mine": entry}, lambda *_card: None, SafetyFilter(Safety()))
    assert cache.get("mine").trainer.micro_batch == 2
    assert given == [{"offload": True}]
    assert cache.evict_idle()
    assert cache.models == ()


def test_a_family_that_cannot_run_in_float16_gets_float32_or_is_refused(monkeypatch):
    monkeypatch.setattr("dti.families.base.best_dtype", lambda _device: torch.float16)
    device = torch.device("cuda")
    assert [choose_dtype(name, device) for name in ("sd", "sdxl")] == [torch.float16] * 2
    assert [choose_dtype(name, device) for name in ("sana", "flux2", "zimage")] == [torch.float32] * 3
    assert choose_dtype("zimage", device, "bfloat16") == torch.bfloat16
    for name in ("sana", "flux2", "zimage"):
        with pytest.raises(ModelUnavailableError, match="float16"):
            choose_dtype(name, device, "float16")


def test_measured_time_ends_when_the_device_has_finished(loaded, monkeypatch):
    model, waits = loaded(), []
    monkeypatch.setattr(torch.cuda, "synchronize", waits.append)
    model.trainer.admit(training_work(steps=1))
    model.advance()
    assert waits == []
    model.family = SimpleNamespace(device=torch.device("cuda"))
    model._wait_for_device()
    assert waits == [torch.device("cuda")]
