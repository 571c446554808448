"""Offloaded modules: location of their weights, and equality of results."""

import pytest
import torch
from torch import nn

from dti.families import load
from dti.families.offload import OffloadedModule, Placement
from dti.spec.registry import FAMILIES
from tests.unit.dti.works import picture_work, rendered, trained, training_work

CPU = torch.device("cpu")


def weights_of(network):
    return [weight.data_ptr() for weight in (*network.parameters(), *network.buffers())]


@pytest.fixture
def network():
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).requires_grad_(requires_grad=False).eval()


def test_without_offloading_the_weights_stay_on_the_device(network):
    part = OffloadedModule(network, Placement(CPU))
    resting = weights_of(network)
    with torch.no_grad(), part.on_device() as model:
        assert weights_of(model) == resting


def test_an_offloaded_module_is_copied_to_the_device_while_in_use(network):
    resting = weights_of(network)
    part = OffloadedModule(network, Placement(CPU, offload=True))
    assert weights_of(network) == resting
    with torch.no_grad(), part.on_device() as model:
        assert model is network
        assert not set(weights_of(model)) & set(resting)
    assert weights_of(network) == resting


@pytest.mark.parametrize("recording", [False, True])
def test_the_device_copies_are_released_after_an_error(network, recording):
    resting = weights_of(network)
    part = OffloadedModule(network, Placement(CPU, offload=True))
    with pytest.raises(ZeroDivisionError), torch.set_grad_enabled(recording), part.on_device():
        raise ZeroDivisionError
    assert weights_of(network) == resting


def test_the_device_copies_are_released_when_memory_runs_out_during_the_copy(network, monkeypatch):
    resting = weights_of(network)
    part, to, fits = OffloadedModule(network, Placement(CPU, offload=True)), torch.Tensor.to, iter([True, True, False])

    def cramped(tensor, *arguments, **keywords):
        if not next(fits):
            raise torch.OutOfMemoryError
        return to(tensor, *arguments, **keywords)

    monkeypatch.setattr(torch.Tensor, "to", cramped)
    with pytest.raises(torch.OutOfMemoryError), part.on_device():
        pytest.fail("it is at work without all of its weights")
    assert weights_of(network) == resting


def test_while_gradients_are_recorded_the_copies_stay_until_the_next_use_without(network):
    resting = weights_of(network)
    part = OffloadedModule(network, Placement(CPU, offload=True))
    x = torch.ones(2, 3, requires_grad=True)
    with part.on_device() as model:
        loss = model(x).sum()
    on_device = weights_of(network)
    assert not set(on_device) & set(resting)
    loss.backward()
    assert x.grad.abs().sum() > 0
    with torch.no_grad(), part.on_device() as model:
        assert weights_of(model) == on_device
    assert weights_of(network) == resting


def test_a_module_used_in_inference_mode_can_be_used_in_training(network):
    part = OffloadedModule(network, Placement(CPU, offload=True))
    with torch.inference_mode(), part.on_device() as model:
        model(torch.ones(2, 3))
    x = torch.ones(2, 3, requires_grad=True)
    with part.on_device() as model:
        model(x).sum().backward()
    assert x.grad is not None


@pytest.fixture(scope="module")
def beside(xl):
    """A family with offloaded text encoders and autoencoder."""
    return FAMILIES["sdxl"].load().load(xl, device=CPU, offload=True)


def test_only_the_denoiser_stays_on_the_device_during_rendering(beside, monkeypatch):
    first, second, _, autoencoder = beside.networks
    resting = {network: weights_of(network) for network in beside.networks}
    seen, predict = [], beside.predict

    def looking(latents, times, conditioning):
        seen.append([weights_of(network) == resting[network] for network in (first, second, autoencoder)])
        return predict(latents, times, conditioning)

    monkeypatch.setattr(beside, "predict", looking)
    rendered(beside, picture_work(beside, steps=2))
    assert seen == [[True, True, True]] * 2
    assert weights_of(autoencoder) == resting[autoencoder]


def test_a_training_keeps_the_text_encoders_on_the_device_and_releases_the_autoencoder(beside, monkeypatch):
    first, second, _, autoencoder = beside.networks
    rendered(beside, picture_work(beside, steps=1))
    resting = {network: weights_of(network) for network in beside.networks}
    seen, predict = [], beside.predict

    def looking(latents, times, conditioning):
        seen.append([weights_of(network) == resting[network] for network in (first, second, autoencoder)])
        return predict(latents, times, conditioning)

    monkeypatch.setattr(beside, "predict", looking)
    trained(beside, training_work(steps=2))
    assert seen[-1] == [False, False, True]
    assert all(places == seen[-1] for places in seen)


def test_pictures_and_rows_do_not_depend_on_offloading(beside, xl):
    whole = load("sdxl", xl, device="cpu")
    (one,), (other,) = rendered(whole, picture_work(whole)), rendered(beside, picture_work(beside))
    assert (one == other).all()
    learned, again = (trained(family, training_work(steps=3)).embedding().rows for family in (whole, beside))
    for name, rows in learned.items():
        assert torch.equal(rows.direction, again[name].direction)


def test_on_a_cpu_offloading_has_no_effect(xl):
    family = load("sdxl", xl, device="cpu", offload=True)
    before = weights_of(family.networks[0])
    trained(family, training_work(steps=1))
    assert weights_of(family.networks[0]) == before
