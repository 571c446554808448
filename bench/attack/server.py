"""An API with keys and stores of its own, and the means to watch it."""

import os
import resource
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from stack import stores
from stack.processes import LOOPBACK, Child, Program, free_port, responds

CLI = (sys.executable, "-P", "-m", "cli")


@dataclass
class Target:
    """A running API.

    Args:
        pid: of its process.
        port: that it listens on.
        admin_key: its admin key.
        objects: the folder with the objects of its store.
    """

    pid: int
    port: int
    admin_key: str
    objects: Path

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://{LOOPBACK}:{self.port}"

    def client(self, owner: str) -> httpx.Client:
        """A client with a new key of an owner."""
        admin = {"Authorization": f"Bearer {self.admin_key}"}
        key = {"owner": owner, "name": "attack", "scopes": ["read", "train", "generate"]}
        secret = httpx.post(f"{self.url}/v1/keys", json=key, headers=admin).raise_for_status().json()["secret"]
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {secret}"}, timeout=300)

    def stored(self) -> int:
        """The number of objects in the store."""
        return sum(path.is_file() for path in self.objects.rglob("*"))

    def peak_mb(self) -> float:
        """The API's peak of resident memory, without its children."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / 1000


@contextmanager
def running(folder: Path) -> Iterator[Target]:
    """Run an API with its stores in a folder."""
    ports = {name: free_port() for name in ("api", "valkey", "s3")}
    password, admin_key = secrets.token_hex(16), secrets.token_hex(32)
    environment = {
        "DTI_HOME": str(folder),
        "DTI_PORT": str(ports["api"]),
        "DTI_AUTH": "on",
        "DTI_ADMIN_KEY": admin_key,
        "DTI_BROKER_URL": f"redis://:{password}@{LOOPBACK}:{ports['valkey']}/0",
        "DTI_S3_ENDPOINT": f"http://{LOOPBACK}:{ports['s3']}",
        "DTI_S3_ACCESS_KEY": "attack",
        "DTI_S3_SECRET_KEY": password,
        "DTI_QUOTA_REQUESTS_PER_MINUTE": "0",
        "DTI_LIMIT_UNFINISHED_JOBS": "100000",
    }
    with ExitStack() as children:
        for program in (
            stores.valkey(folder / "valkey", ports["valkey"], password=password),
            stores.s3(folder / "objects", ports["s3"], access_key="attack", secret_key=password),
        ):
            children.enter_context(Child(program, folder / "logs"))
        migration = Child(_own("migrate", environment), folder / "logs")
        migration.start()
        migration.wait_finished()
        api = _own("api", environment, port=ports["api"])
        child = children.enter_context(Child(api, folder / "logs"))
        yield Target(child.pid or 0, ports["api"], admin_key, folder / "objects")


def _own(command: str, environment: dict[str, str], port: int | None = None) -> Program:
    return Program(
        name=command,
        argv=[*CLI, command],
        environment=environment,
        ready=lambda: port is None or responds(port),
        start_timeout_s=120,
    )


@dataclass
class Bystander:
    """Another caller, who measures how long the service takes to answer while it is attacked."""

    target: Target
    longest_s: float = 0.0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def watching(self) -> Iterator["Bystander"]:
        """Ask for the models, each time on a new connection, while the block runs."""
        stopping = threading.Event()
        with self.target.client("bystander") as client:
            headers = {"Authorization": client.headers["Authorization"]}
        thread = threading.Thread(target=self._watch, args=(stopping, headers))
        thread.start()
        try:
            yield self
        finally:
            stopping.set()
            thread.join()

    def _watch(self, stopping: threading.Event, headers: dict[str, str]) -> None:
        while not stopping.wait(0.05):
            began = time.perf_counter()
            try:
                status = httpx.get(f"{self.target.url}/v1/models", headers=headers, timeout=30).status_code
                if status != httpx.codes.OK:
                    self.failures.append(str(status))
            except httpx.HTTPError as error:
                self.failures.append(type(error).__name__)
            self.longest_s = max(self.longest_s, time.perf_counter() - began)


def raise_open_files() -> None:
    """Raise this process's limit of open files as far as is allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


os.environ.setdefault("NO_PROXY", LOOPBACK)
