"""Waits of the host for a GPU, counted on a pretended one: two an update, none a denoising step."""

from collections import Counter

import pytest
import torch

from dti.render import Renderer
from dti.training.trainer import Trainer
from dti.transfers import upload
from tests.checkpoints import CHECKPOINTS
from tests.support.fake_cuda import CUDA, fake_cuda, load
from tests.unit.dti.works import picture_work, trained, training_work


@pytest.fixture
def cuda(monkeypatch):
    # Inference mode cannot view the pretended GPU's tensors; without gradients is the nearest there is.
    for name in ("admit", "advance"):
        monkeypatch.setattr(Renderer, name, torch.no_grad()(getattr(Renderer, name).__wrapped__))
    with fake_cuda(monkeypatch) as mode:
        yield mode


@pytest.fixture
def cuda_family(checkpoint_name, checkpoint, cuda, monkeypatch):
    return load(monkeypatch, CHECKPOINTS[checkpoint_name].family, checkpoint)


@pytest.mark.parametrize("micro_batch", [None, 1])
def test_an_update_of_several_trainings_waits_twice(cuda_family, cuda, micro_batch):
    trainer = Trainer(cuda_family, micro_batch)
    trainer.admit(training_work(batch_size=1))
    trainer.admit(training_work(method="ti", seed=4, batch_size=2))
    trainer.advance()
    cuda.waits.clear()
    assert all(update.error is None for update in trainer.advance())
    assert cuda.waits == Counter(tolist=2)


def test_a_denoising_step_never_waits(cuda_family, cuda):
    renderer = Renderer(cuda_family)
    renderer.admit(picture_work(cuda_family))
    renderer.admit(picture_work(cuda_family, seed=8, width=40))
    renderer.advance()
    cuda.waits.clear()
    renderer.advance()
    assert cuda.waits == Counter()


def test_the_pretended_gpu_trains_as_the_cpu_does(family, cuda_family):
    work = training_work(steps=2)
    assert trained(cuda_family, work).loss == pytest.approx(trained(family, work).loss, rel=1e-4)


@pytest.mark.parametrize(
    ("act", "waits"),
    [
        (lambda x: x.sum().item(), 1),
        (lambda x: x.cpu(), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x[x > 0], 1),
        (lambda x: x[[0, 1]], 1),
        (lambda x: x[torch.tensor([0, 1])], 1),
        (lambda x: x.new_tensor([1.0]), 1),
        (lambda _x: torch.tensor([1], device=CUDA), 1),
        (lambda x: torch.ones(3).to(x.device), 1),
        (lambda x: torch.ones(3).to(x.device, non_blocking=True), 1),
        (lambda x: bool(x.isfinite().all()), 1),
        (lambda x: upload([torch.ones(3), torch.arange(2)], x.device), 0),
        (lambda x: torch.arange(3, device=x.device) + x[1:2] * 2.0, 0),
    ],
)
def test_the_count_knows_every_kind_of_wait(cuda, act, waits):
    x = torch.tensor([1.0, 2.0, 3.0], device=CUDA)
    cuda.waits.clear()
    act(x)
    assert cuda.waits.total() == waits


def test_uploaded_tensors_keep_their_values_types_and_shapes(cuda):
    given = [torch.randn(2, 3), torch.tensor(True), torch.arange(5), torch.ones(0, 4), torch.randn(3).half()]
    for host, device in zip(given, upload(given, CUDA), strict=True):
        assert device.device == CUDA
        assert device.dtype == host.dtype
        assert torch.equal(device.host, host)
