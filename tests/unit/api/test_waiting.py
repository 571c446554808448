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
def test_what_a_header_prefers(prefer, seconds):
    assert wait_s(prefer) == seconds


@given(st.text())
def test_no_header_breaks_anything_and_no_wait_is_too_long(prefer):
    assert wait_s(prefer) is None or 1 <= wait_s(prefer) <= 60
