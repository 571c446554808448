"""Charging of device time to owners."""

from dataclasses import dataclass

import pytest

from worker.device_time import DeviceTimeMeter
from worker.loaded_model import Throughputs


@dataclass
class User:
    owner_id: str
    active_pictures: int = 0
    trainings: int = 0
    device_s: float = 0.0

    def use_device(self, seconds):
        self.device_s += seconds


def test_rendering_time_is_divided_by_pictures_and_training_time_by_trainings():
    throughputs = Throughputs()
    meter = DeviceTimeMeter(throughputs)
    throughputs.rendering.add(4, 8.0)
    throughputs.training.add(2, 6.0)
    meter.charge(
        [User("ada", active_pictures=3), User("bob", active_pictures=1, trainings=1), User("ada", trainings=1)]
    )
    assert meter.seconds == {"ada": 9.0, "bob": 5.0}


def test_every_second_is_charged_once_to_the_owner_in_the_batch():
    throughputs = Throughputs()
    throughputs.rendering.add(1, 100.0)
    meter = DeviceTimeMeter(throughputs)
    for owner, seconds in (("ada", 1.0), ("bob", 2.0), ("ada", 4.0)):
        throughputs.rendering.add(1, seconds)
        meter.charge([User(owner, active_pictures=1)])
    meter.charge([User("ada", active_pictures=1)])
    assert meter.seconds == {"ada": 5.0, "bob": 2.0}
    meter.clear()
    assert meter.seconds == {}


def test_the_charged_seconds_add_up_to_the_measured_ones_for_any_number_of_users():
    throughputs = Throughputs()
    meter = DeviceTimeMeter(throughputs)
    for step in range(1, 20):
        throughputs.rendering.add(step, 0.1)
        throughputs.training.add(2, 0.3)
        meter.charge([*(User(f"own_{n}", active_pictures=1) for n in range(step)), User("x", trainings=2)])
    assert sum(meter.seconds.values()) == pytest.approx(19 * 0.4)


def test_every_job_has_its_own_share_of_its_owners_seconds():
    throughputs = Throughputs()
    meter = DeviceTimeMeter(throughputs)
    jobs = [User("ada", active_pictures=3), User("ada", active_pictures=1)]
    throughputs.rendering.add(4, 8.0)
    meter.charge(jobs)
    assert [job.device_s for job in jobs] == [6.0, 2.0]
