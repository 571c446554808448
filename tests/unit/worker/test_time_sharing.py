import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.time_sharing import TRAINING_SHARE, TimeSharing

seconds = st.floats(0.001, 10.0)


@given(update_s=seconds, step_s=seconds)
def test_training_gets_its_share_of_the_time_while_pictures_are_rendered(update_s, step_s):
    time_sharing, spent_s = TimeSharing(), {"training": 0.0, "rendering": 0.0}
    for _ in range(2000):
        if time_sharing.training_is_due(rendering=True):
            time_sharing.trained(update_s)
            spent_s["training"] += update_s
        time_sharing.rendered(step_s)
        spent_s["rendering"] += step_s
    # A step cannot be divided: between two updates rendering takes at most one step more than it is owed.
    least = update_s / (update_s + update_s * (1 - TRAINING_SHARE) / TRAINING_SHARE + step_s)
    assert (
        least * 0.99
        <= spent_s["training"] / sum(spent_s.values())
        <= TRAINING_SHARE * 1.01 + update_s / sum(spent_s.values())
    )


@given(update_s=seconds)
def test_training_has_the_whole_device_while_there_are_no_pictures(update_s):
    time_sharing = TimeSharing()
    for _ in range(3):
        assert time_sharing.training_is_due(rendering=False)
        time_sharing.trained(update_s)


@pytest.mark.parametrize("step_s", [0.01, 1.0])
def test_a_new_picture_waits_for_at_most_one_update(step_s):
    time_sharing = TimeSharing()
    time_sharing.trained(0.1)
    assert not time_sharing.training_is_due(rendering=True)
