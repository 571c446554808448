import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.time_sharing import TRAINING_SHARE, TimeSharing

seconds = st.floats(0.001, 10.0)


@given(update_s=seconds, step_s=seconds)
def test_training_gets_its_share_of_the_time_while_pictures_are_made(update_s, step_s):
    turns, spent = TimeSharing(), {"training": 0.0, "rendering": 0.0}
    for _ in range(2000):
        if turns.training_is_due(rendering=True):
            turns.trained(update_s)
            spent["training"] += update_s
        turns.rendered(step_s)
        spent["rendering"] += step_s
    # A step cannot be divided: between two updates at most one step more than owed is made.
    fewest = update_s / (update_s + update_s * (1 - TRAINING_SHARE) / TRAINING_SHARE + step_s)
    assert (
        fewest * 0.99
        <= spent["training"] / sum(spent.values())
        <= TRAINING_SHARE * 1.01 + update_s / sum(spent.values())
    )


@given(update_s=seconds)
def test_training_has_the_whole_device_while_there_are_no_pictures(update_s):
    turns = TimeSharing()
    for _ in range(3):
        assert turns.training_is_due(rendering=False)
        turns.trained(update_s)


@pytest.mark.parametrize("step_s", [0.01, 1.0])
def test_a_picture_that_just_came_waits_for_no_second_update(step_s):
    turns = TimeSharing()
    turns.trained(0.1)
    assert not turns.training_is_due(rendering=True)
