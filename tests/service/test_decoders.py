import os
import resource
import signal
import time
from pathlib import Path

import pytest

from service.errors import (
    ImageTooLargeError,
    ImageTooSmallError,
    ImageUnreadableError,
    InvalidInputError,
    UnavailableError,
)
from service.settings import Limits
from service.uploads import decoders
from service.uploads.budget import PixelBudget
from service.uploads.decoders import DecoderPool
from service.uploads.files import File
from tests.support.upload_samples import encoded, header_of_webp, jpeg, png, quarters

LIMITS = Limits()


@pytest.fixture(scope="module")
def pool():
    opened = DecoderPool(LIMITS)
    yield opened
    opened.close()


def sanitize(pool, data, limits=LIMITS, name="a.png", mask=None):
    return pool.sanitize(File(name, data, caption=None, mask=mask), limits, PixelBudget(limits.request_pixels))


def instead(monkeypatch, action):
    """Have the children do something else than to decode; the function is pickled by its name."""
    monkeypatch.setattr(decoders, "_sanitize", action)


def child_facts(*_):
    limits = (resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CORE)[0])
    files = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink() and path.exists()]
    environment = Path("/proc/self/environ").read_bytes().decode()
    return (os.getpid(), os.nice(0), limits, environment, files), 0


def crash(*_):
    os.kill(os.getpid(), signal.SIGSEGV)


def spin(file, limits, budget):
    resource.setrlimit(resource.RLIMIT_CPU, (1, resource.RLIM_INFINITY))
    while True:
        pass


def sleep(*_):
    time.sleep(60)


def fill(*_):
    return bytes(2 * LIMITS.decode_bytes), 0


def test_a_picture_is_the_same_as_when_it_is_decoded_here(pool):
    picture = sanitize(pool, jpeg((64, 48)))
    assert (picture.width, picture.height, picture.content_type) == (64, 48, "image/jpeg")


def test_a_child_has_no_secret_no_file_of_its_parent_and_limits(pool, monkeypatch, tmp_path):
    monkeypatch.setenv("DTI_S3_SECRET_KEY", "a-secret-of-the-parent")
    instead(monkeypatch, child_facts)
    with (tmp_path / "a file of the parent").open("wb"):
        pid, niceness, limits, environment, files = sanitize(pool, png())
    assert pid != os.getpid()
    assert niceness > os.nice(0)
    assert limits == (LIMITS.decode_bytes, 0)
    assert "DTI_" not in environment
    assert "a-secret" not in environment
    assert not [file for file in files if file.startswith((str(tmp_path), "socket:"))]


def test_errors_come_back_as_they_are(pool):
    with pytest.raises(ImageTooSmallError, match="small has 16 by 16 pixels"):
        sanitize(pool, png((16, 16)), name="small")
    with pytest.raises(InvalidInputError, match="another shape") as caught:
        sanitize(pool, png((64, 48)), mask=png((48, 64)))
    assert caught.value.field == "archive"


def test_a_tiny_file_of_a_huge_picture_is_refused_in_little_memory(pool):
    with pytest.raises(ImageTooLargeError):
        sanitize(pool, header_of_webp(16383, 16383), name="bomb.webp")


def test_a_picture_that_needs_too_much_memory_is_refused(monkeypatch):
    small = DecoderPool(Limits(decode_bytes=220_000_000))
    data = encoded(quarters((8000, 6000), "RGBA"), "PNG", compress_level=1)
    try:
        with pytest.raises(ImageTooLargeError, match="too much memory"):
            sanitize(small, data)
        assert sanitize(small, png()).width == 64
    finally:
        small.close()


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [(crash, ImageUnreadableError, "crashes its decoder"), (spin, ImageTooLargeError, "s to decode")],
)
def test_a_decoder_that_crashes_or_spins_refuses_its_picture_and_no_other(pool, monkeypatch, action, error, message):
    with monkeypatch.context() as patch:
        instead(patch, action)
        with pytest.raises(error, match=message):
            sanitize(pool, png())
    assert sanitize(pool, png()).width == 64


def test_a_decoder_that_sleeps_is_ended(pool, monkeypatch):
    with monkeypatch.context() as patch:
        instead(patch, sleep)
        patch.setattr(decoders, "_WALL_CLOCK_FACTOR", 0.05)
        with pytest.raises(ImageTooLargeError, match="s to decode"):
            sanitize(pool, png())
    assert sanitize(pool, png()).width == 64


def test_pixels_are_counted_over_a_request(pool):
    budget = PixelBudget(2 * 64 * 48)
    for _ in range(2):
        pool.sanitize(File("a.png", png(), None), LIMITS, budget)
    with pytest.raises(ImageTooLargeError, match=r"With b\.png the pictures of the request have more than 6144 pixels"):
        pool.sanitize(File("b.png", png(), None), LIMITS, budget)


def test_a_mask_counts_as_a_picture(pool):
    with pytest.raises(ImageTooLargeError, match="in all"):
        pool.sanitize(File("a.png", png(), None, mask=png()), LIMITS, PixelBudget(64 * 48))


def test_the_pool_recovers_when_its_children_are_killed(pool):
    sanitize(pool, png())
    for pid in list(pool._pool._pool_manager.worker_manager.workers):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert sanitize(pool, png()).width == 64
            break
        except UnavailableError:
            time.sleep(0.1)
    else:
        pytest.fail("no picture was decoded after the children were killed")
