"""Ids say what they name and sort by time."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from service.database.ids import is_id, new_id


def test_ids_of_a_row_are_in_order_and_never_equal():
    ids = [new_id("job") for _ in range(2000)]
    assert ids == sorted(set(ids))


def test_threads_never_generate_the_same_id():
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id("img"), range(2000)))
    assert len(set(ids)) == len(ids)


def test_the_prefix_of_an_id_is_its_kind():
    assert is_id("job", new_id("job"))
    assert not is_id("con", new_id("job"))


@given(st.text())
def test_other_text_is_no_id(text):
    assert not is_id("job", text)
    assert not is_id("job", f"job_{text}") or len(text) == 26
