"""The supervisor: restarts with backoff, an orderly stop without orphans."""

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager

import psutil
import pytest

from stack.processes import Program, ProgramFailedError
from stack.supervisor import Supervisor

SLEEPS = "import time; time.sleep(60)"


def program(name, script=SLEEPS, **more):
    return Program(name=name, argv=[sys.executable, "-c", script], **more)


@pytest.fixture
def messages():
    return []


@pytest.fixture
def supervisor(tmp_path, messages):
    made = Supervisor(tmp_path, messages.append)
    yield made
    made.stop()


@contextmanager
def interrupted_when(condition, timeout_s=20):
    """Ctrl-C for the main thread once something has come true."""

    def wait():
        deadline = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    thread.join()


def pids(tmp_path):
    """The process that wrote last into each program's file."""
    return {path.stem: int(path.read_text() or 0) for path in tmp_path.glob("*.pid")}


def test_a_killed_program_is_restarted_and_reported(supervisor, messages, tmp_path):
    script = f"import os, pathlib; pathlib.Path({str(tmp_path / 'a.pid')!r}).write_text(str(os.getpid())); {SLEEPS}"
    supervisor.start([program("a", script, ready=lambda: bool(pids(tmp_path).get("a")))])
    first = pids(tmp_path)["a"]
    os.kill(first, signal.SIGKILL)
    with interrupted_when(lambda: pids(tmp_path)["a"] not in {first, 0}):
        supervisor.watch()
    assert pids(tmp_path)["a"] != first
    assert any("The a ended (-9)" in sentence for sentence in messages)


def test_restarts_of_a_failing_program_back_off(supervisor, messages):
    supervisor.start([program("broken", "pass")])
    with interrupted_when(lambda: len(messages) == 3):
        supervisor.watch()
    assert [sentence.split(" s. ")[0].rsplit(" ", 1)[1] for sentence in messages] == ["0.5", "1", "2"]


def test_the_last_tier_is_stopped_first(supervisor, tmp_path):
    order = tmp_path / "order"
    script = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(order)!r}, 'a').write({{name!r}})\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"open({str(tmp_path)!r} + '/' + {{name!r}}, 'w').close()\n"
        "time.sleep(60)\n"
    )
    for name in "sw":
        supervisor.start([program(name, script.format(name=name), ready=(tmp_path / name).exists)])
    supervisor.stop()
    assert order.read_text() == "ws"


def test_nothing_is_left_after_stop(supervisor):
    before = set(psutil.Process().children())
    supervisor.start([program("a"), program("b")])
    supervisor.stop()
    assert set(psutil.Process().children()) <= before


def test_a_failed_run_has_its_reason(supervisor):
    with pytest.raises(ProgramFailedError, match=r"(?s)once ended with 3\..*reason"):
        supervisor.run(program("once", "print('reason'); raise SystemExit(3)"))


def test_a_run_beyond_its_timeout_is_stopped(supervisor):
    with pytest.raises(ProgramFailedError, match="took too long"):
        supervisor.run(program("once", start_timeout_s=0.3))


def test_a_large_log_is_rotated(supervisor, tmp_path):
    (tmp_path / "a.log").write_bytes(b"x" * 10_000_001)
    supervisor.run(program("a", "print('new')"))
    assert (tmp_path / "a.log").read_text() == "new\n"
    assert (tmp_path / "a.old.log").stat().st_size == 10_000_001


def test_a_log_is_rotated_while_its_program_writes(supervisor, tmp_path, monkeypatch):
    monkeypatch.setattr("stack.processes._LOG_LIMIT_BYTES", 50_000)
    lines = "import time\nfor n in range(10**9): print(n, 'x' * 1000, flush=True); time.sleep(0.001)"
    supervisor.start([program("noisy", lines)])
    log, old = tmp_path / "noisy.log", tmp_path / "noisy.old.log"
    with interrupted_when(lambda: old.exists() and old.read_bytes()[:2] not in {b"", b"0 "}):
        supervisor.watch()
    assert log.stat().st_size < 1_000_000
    assert old.stat().st_size < 1_000_000
