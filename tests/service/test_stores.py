"""The embedded stores: start, durability, and death with their parent."""

import json
import os
import signal
import stat
import subprocess
import sys
import time

import boto3
import pytest
import redis
import sqlalchemy
from botocore.exceptions import ClientError

from stack import stores
from stack.processes import LOOPBACK, Child, Program, ProgramFailedError, free_port, port_is_free

PARENT = """
import sys, time
from pathlib import Path
from stack import stores
from stack.processes import Child
folder = Path(sys.argv[1])
child = Child(stores.valkey(folder, int(sys.argv[2]), password="hush"), folder)
with child:
    print(child.pid, flush=True)
    time.sleep(60)
"""


def client(endpoint, access_key, secret_key):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
    )


def test_both_databases_answer(empty_database_url):
    engine = sqlalchemy.create_engine(empty_database_url)
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select 1")).scalar() == 1
    engine.dispose()


def test_every_test_gets_an_empty_valkey(valkey_url):
    with redis.Redis.from_url(valkey_url) as connection:
        assert connection.dbsize() == 0
        connection.set("trace", 1)


test_every_test_gets_an_empty_valkey_again = test_every_test_gets_an_empty_valkey


def test_a_wrong_key_is_refused(s3):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(s3.endpoint, s3.access_key, "wrong" * 6).list_buckets()


def test_acknowledged_objects_survive_kill_9(tmp_path):
    port = free_port()
    program = stores.s3(tmp_path / "s3", port, access_key="a" * 16, secret_key="b" * 32)
    with Child(program, tmp_path) as server:
        bucket = client(f"http://{LOOPBACK}:{port}", "a" * 16, "b" * 32)
        bucket.create_bucket(Bucket="kept")
        bucket.put_object(Bucket="kept", Key="own/picture.png", Body=b"bytes")
        os.kill(server.pid, signal.SIGKILL)
    with Child(program, tmp_path):
        assert bucket.get_object(Bucket="kept", Key="own/picture.png")["Body"].read() == b"bytes"


def test_valkey_answers_nobody_without_its_password_which_is_in_no_command_line(tmp_path):
    port = free_port()
    program = stores.valkey(tmp_path / "valkey", port, password="hush-hush")
    with Child(program, tmp_path):
        with redis.Redis(host=LOOPBACK, port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis(host=LOOPBACK, port=port, password="hush-hush") as own:
            assert own.ping()
    assert "hush-hush" not in " ".join(program.argv)
    assert stat.S_IMODE((tmp_path / "valkey" / "valkey.conf").stat().st_mode) == 0o600


def test_a_child_gets_its_own_environment_and_the_base_and_writes_private_files(tmp_path, monkeypatch):
    monkeypatch.setenv("DTI_S3_SECRET_KEY", "hush")
    monkeypatch.setenv("GITHUB_TOKEN", "hush")
    script = f"import json, os; json.dump(dict(os.environ), open({str(tmp_path / 'seen')!r}, 'w'))"
    child = Child(Program(name="child", argv=[sys.executable, "-c", script], environment={"OWN": "1"}), tmp_path)
    child.start()
    child.wait_finished()
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["OWN"] == "1"
    assert seen["PATH"] == os.environ["PATH"]
    assert {"DTI_S3_SECRET_KEY", "GITHUB_TOKEN"} & seen.keys() == set()
    assert stat.S_IMODE((tmp_path / "seen").stat().st_mode) == 0o600


def test_children_die_with_a_killed_parent(tmp_path):
    port = free_port()
    command = [sys.executable, "-c", PARENT, str(tmp_path), str(port)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout.readline()
        parent.kill()
    deadline = time.monotonic() + 10
    while not port_is_free(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert port_is_free(port)


def test_a_program_that_exits_at_once_is_reported_with_its_last_output(tmp_path):
    program = Program(
        name="broken", argv=[sys.executable, "-c", "raise SystemExit('no such thing')"], ready=lambda: False
    )
    with pytest.raises(ProgramFailedError, match=r"(?s)broken ended with 1\..*no such thing"), Child(program, tmp_path):
        pass


def test_the_last_output_is_of_this_start(tmp_path):
    (tmp_path / "broken.log").write_text("the trouble of yesterday\n")
    program = Program(name="broken", argv=[sys.executable, "-c", "raise SystemExit('today')"], ready=lambda: False)
    with pytest.raises(ProgramFailedError, match="today") as caught, Child(program, tmp_path):
        pass
    assert "yesterday" not in str(caught.value)


def test_a_program_that_is_never_ready_is_stopped(tmp_path):
    program = Program(
        name="slow",
        argv=[sys.executable, "-c", "import time; time.sleep(60)"],
        ready=lambda: False,
        start_timeout_s=0.3,
    )
    child = Child(program, tmp_path)
    with pytest.raises(ProgramFailedError, match="slow was not ready after"), child:
        pass
    assert not child.running


def test_a_program_that_ignores_sigterm_is_killed(tmp_path):
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    log = tmp_path / "deaf.log"
    program = Program(
        name="deaf",
        argv=[sys.executable, "-c", script],
        ready=lambda: "up" in log.read_text(),
        stop_timeout_s=0.2,
    )
    with Child(program, tmp_path) as child:
        pass
    assert child.exit_code == -signal.SIGKILL
