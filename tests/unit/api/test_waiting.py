import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.deps import wait_s


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait", 60),
        ("Wait", 60),
        ("wait=10", 10),
        (' respond-async, wait = "7" ', 7),
        ("return=minimal; wait=3", 3),
        ("wait=600", 60),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=ten", None),
        ("wait=1.5", None),
        ("wait=", None),
        ("waiting", None),
        ("wait=²", None),
        ("", None),
    ],
)
def test_the_wait_of_a_prefer_header(prefer, seconds):
    assert wait_s(prefer) == seconds


@given(st.text())
def test_malformed_headers_are_ignored_and_waits_are_limited(prefer):
    assert wait_s(prefer) is None or 1 <= wait_s(prefer) <= 60
