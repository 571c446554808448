"""Who is charged for what the engines took."""

from dataclasses import dataclass

import pytest

from worker.device_time import DeviceTimeMeter
from worker.loaded_model import Throughputs


@dataclass(frozen=True)
class Part:
    owner_id: str
    rendering: int = 0
    trainings: int = 0


def test_rendering_is_shared_by_pictures_and_training_by_trainings():
    paces = Throughputs()
    meter = DeviceTimeMeter(paces)
    paces.rendering.count(4, 8.0)
    paces.training.count(2, 6.0)
    meter.read([Part("ada", rendering=3), Part("bob", rendering=1, trainings=1), Part("ada", trainings=1)])
    assert meter.seconds == {"ada": 9.0, "bob": 5.0}


def test_every_second_is_charged_once_and_to_who_was_there():
    paces = Throughputs()
    paces.rendering.count(1, 100.0)
    meter = DeviceTimeMeter(paces)
    for owner, seconds in (("ada", 1.0), ("bob", 2.0), ("ada", 4.0)):
        paces.rendering.count(1, seconds)
        meter.read([Part(owner, rendering=1)])
    meter.read([Part("ada", rendering=1)])
    assert meter.seconds == {"ada": 5.0, "bob": 2.0}
    meter.clear()
    assert meter.seconds == {}


def test_all_that_was_taken_is_charged_however_many_there_are():
    paces = Throughputs()
    meter = DeviceTimeMeter(paces)
    for step in range(1, 20):
        paces.rendering.count(step, 0.1)
        paces.training.count(2, 0.3)
        meter.read([*(Part(f"own_{n}", rendering=1) for n in range(step)), Part("x", trainings=2)])
    assert sum(meter.seconds.values()) == pytest.approx(19 * 0.4)
