"""The processes of a chaos run: an API, workers and the maintenance, on stores behind proxies."""

import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

import migrations
from bench.chaos.proxies import Proxy
from service.settings import Settings
from service.storage import ObjectStore
from stack import stores
from stack.processes import LOOPBACK, Child, Program, free_port, responds
from tests.support.postgres import running_postgres

WORKERS = 2

_POISON = """
import os
from dti.render import Renderer
from service.settings import Settings
from worker.process import run

admit = Renderer.admit

def deadly(renderer, work):
    if "poison" in work.prompt:
        os._exit(9)
    return admit(renderer, work)

Renderer.admit = deadly
raise SystemExit(run(Settings.from_environment(os.environ)))
"""
"""A worker that a picture of a certain prompt kills, as a fault in a driver would."""

_SKEWED = """
import os
from datetime import UTC, datetime, timedelta
from service.database import clock
from service.settings import Settings
from worker.maintenance import run

clock.utc_now = lambda: datetime.now(UTC) + timedelta(seconds=30)
raise SystemExit(run(Settings.from_environment(os.environ)))
"""
"""A maintenance whose machine's clock is 30 s ahead."""


@dataclass
class Fleet:
    """Running processes.

    Attributes:
        url: of the API.
        proxies: of the stores, by name.
        broker_url: past its proxy.
        programs: of the processes, by name.
    """

    url: str
    proxies: dict[str, Proxy]
    broker_url: str
    programs: dict[str, Program]
    _logs: Path
    _children: dict[str, Child] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a process, again where it has ended."""
        child = self._children[name] = Child(self.programs[name], self._logs)
        child.start()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process and start it again when it has ended."""
        child = self._children[name]
        if child.pid is not None and child.running:
            os.kill(child.pid, number)
        child.stop()
        self.start(name)

    def freeze(self, name: str, seconds: float) -> None:
        """Stop a process without a sign for some seconds, as a machine that sleeps does."""
        pid = self._children[name].pid
        if pid is None:
            raise AssertionError(f"{name} has not been started.")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def revive(self) -> None:
        """Start the processes again that have ended by themselves, as a supervisor does."""
        for name, child in list(self._children.items()):
            if not child.running:
                self.start(name)

    def random_worker(self, chance: random.Random) -> str:
        """The name of one of the workers."""
        return f"worker-{chance.randrange(WORKERS)}"

    def empty_broker(self) -> None:
        """Lose all messages."""
        with redis.Redis.from_url(self.broker_url) as broker:
            broker.flushall()

    def stop(self) -> None:
        """Stop all processes."""
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            child.stop()


@contextmanager
def running(lease_s: float) -> Iterator[Fleet]:
    """Stores and processes in a temporary folder, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="dti-chaos-") as name, running_postgres() as postgres:
        folder = Path(name)
        valkey_port, s3_port, api_port = free_port(), free_port(), free_port()
        access_key, secret_key, password = secrets.token_hex(8), secrets.token_hex(16), secrets.token_hex(16)
        with (
            Child(stores.valkey(folder / "valkey", valkey_port, password=password), folder / "logs"),
            Child(stores.s3(folder / "s3", s3_port, access_key=access_key, secret_key=secret_key), folder / "logs"),
        ):
            proxies = {
                "postgresql": Proxy(int(postgres.rpartition(":")[2])),
                "valkey": Proxy(valkey_port),
                "s3": Proxy(s3_port),
            }
            environment = {
                "DTI_HOME": str(folder / "home"),
                "DTI_DATABASE_URL": f"postgresql+psycopg://postgres@{LOOPBACK}:{proxies['postgresql'].port}/postgres",
                "DTI_BROKER_URL": f"redis://:{password}@{LOOPBACK}:{proxies['valkey'].port}/0",
                "DTI_S3_ENDPOINT": f"http://{LOOPBACK}:{proxies['s3'].port}",
                "DTI_S3_PUBLIC_ENDPOINT": f"http://{LOOPBACK}:{api_port}",
                "DTI_S3_ACCESS_KEY": access_key,
                "DTI_S3_SECRET_KEY": secret_key,
                "DTI_PORT": str(api_port),
                "DTI_LEASE_S": f"{lease_s:g}",
                "DTI_LIMIT_UNFINISHED_JOBS": "1000",
                "DTI_QUOTA_REQUESTS_PER_MINUTE": "0",
                "OMP_NUM_THREADS": "1",
            }
            _prepare(environment)
            fleet = Fleet(
                url=f"http://{LOOPBACK}:{api_port}",
                proxies=proxies,
                broker_url=f"redis://:{password}@{LOOPBACK}:{valkey_port}/0",
                programs=_programs(environment, api_port),
                _logs=folder / "logs",
            )
            try:
                for program in fleet.programs:
                    fleet.start(program)
                yield fleet
            finally:
                fleet.stop()


def _prepare(environment: dict[str, str]) -> None:
    settings = Settings.from_environment(environment)
    migrations.upgrade(settings.database_address)
    storage = ObjectStore(settings)
    storage.ensure_bucket()
    storage.close()


def _programs(environment: dict[str, str], api_port: int) -> dict[str, Program]:
    python, cli = sys.executable, (sys.executable, "-P", "-m", "cli")
    programs = [
        Program(name="api", argv=[*cli, "api"], environment=environment, ready=lambda: responds(api_port)),
        Program(name="maintenance", argv=[python, "-c", _SKEWED], environment=environment),
        *(
            Program(name=f"worker-{number}", argv=[python, "-c", _POISON], environment=environment)
            for number in range(WORKERS)
        ),
    ]
    return {program.name: program for program in programs}
