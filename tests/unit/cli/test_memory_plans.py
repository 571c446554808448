import pytest

from cli import memory_plans
from dti.errors import InvalidSettingError
from dti.planning.needs import Linear, Needs
from service.settings import Settings
from worker import memory

MB = 10**6
NEEDS = Needs(
    encoders=250 * MB,
    denoiser=1720 * MB,
    autoencoder=330 * MB,
    encoding=700 * MB,
    update=Linear(780 * MB, 780 * MB),
    checkpointed_update=Linear(230 * MB, 230 * MB),
    reading=10 * MB,
    step=Linear(1000 * MB, 1000 * MB),
    decoding=4900 * MB,
    tiled_decoding=800 * MB,
)


@pytest.mark.parametrize(
    ("text", "size"), [("12GB", 12 * 10**9), ("8 GiB", 8 * 2**30), ("24", 24 * 10**9), ("1.5gb", 1_500_000_000)]
)
def test_sizes_of_memory_are_read(text, size):
    assert memory_plans.parse(text) == size


@pytest.mark.parametrize("text", ["", "much", "-3GB", "12TB"])
def test_other_sizes_are_refused(text):
    with pytest.raises(InvalidSettingError, match="12GB"):
        memory_plans.parse(text)


def test_the_plan_of_a_named_size_needs_no_gpu_and_says_how(monkeypatch):
    monkeypatch.setattr(memory_plans, "PRESETS", ("sd15",))
    monkeypatch.setattr(memory, "needs_of", lambda *_model: NEEDS)
    first, tiny, sd15 = memory_plans.lines(Settings(), "8GB")
    assert first.startswith("Memory for tensors: 7.0 GB")
    assert tiny.startswith("tiny: training yes")
    assert sd15 == (
        "sd15: weights 2.3 GB; training yes, 4 at once (5.4 GB); rendering yes, 2 at once, decoded in tiles (6.3 GB)"
    )
    _, _, short = memory_plans.lines(Settings(), "2GB")
    assert short.endswith("training no; rendering no")


def test_an_unknown_checkpoint_has_no_plan_before_its_download(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_plans, "PRESETS", ())
    catalogue = tmp_path / "models.toml"
    catalogue.write_text('[mine]\nfamily = "sd"\nsource = "someone/something"\nwidth = 512\nheight = 512\n')
    (entry,) = (line for line in memory_plans.lines(Settings(models=catalogue), "8GB") if line.startswith("mine"))
    assert "unknown until someone/something has been downloaded" in entry


def test_this_machine_tells_its_free_memory():
    budget = memory_plans.lines(Settings(), None)
    assert " GB (cpu)" in next(budget)
    assert memory.free_bytes(memory.choose_device("cpu")) > 0
