"""`dti serve`: the whole service on one machine, in one folder: stores without a configured address, worker, API.

It owns the programs, their order and their environment; the supervisor starts, restarts and stops them.
"""

import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from service.child_environment import api_environment, maintenance_environment, worker_environment
from service.settings import Settings
from stack import stores
from stack.home import Home, StackConfig
from stack.processes import Program, StartError, port_is_free, responds
from stack.supervisor import Supervisor

_WILDCARD_HOSTS = {"0.0.0.0", "::"}  # noqa: S104  (compared with, not bound to)


_CARDS = Path("/proc/driver/nvidia/gpus")
"""A folder for each card; it is read without loading torch."""


class PortTakenError(StartError):
    """The API's port is in use."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"Port {port} on {host} is in use by another program. Stop it, or set DTI_PORT to another port."
        )


def embedded_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment completed by the addresses of the home folder's own stores, where it sets none.

    Raises:
        SettingsError: a setting is invalid.
    """
    home = Home(Settings.from_environment(environ).home)
    config = home.config()
    return {**environ, **(_store_environment(environ, home, config) if config else {})}


def serve(
    environ: Mapping[str, str], command: Sequence[str], report: Callable[[str], None], *, workers: int = 1
) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP, then stop the API, the workers and the stores, in this order.

    Args:
        environ: the environment with the settings.
        command: the prefix of this program's own commands, such as `[python, "-m", "cli"]`.
        report: called with a message for each event.
        workers: processes with a device; on a machine with several cards, one for each.

    Raises:
        SettingsError: a setting is invalid.
        HomeInUseError: the folder is being served already.
        HomeUnusableError: the folder cannot be created or written.
        PortTakenError: the API's port is in use.
        BinaryMissingError: an embedded store is not installed.
        ProgramFailedError: a program did not start; those already started were stopped.
    """
    settings = Settings.from_environment(environ)
    keyed = settings.auth_required
    home = Home(settings.home)
    with home.locked(f"the stack at {origin(settings)}"), ExitStack() as cleanup:
        if not port_is_free(settings.port, settings.host):
            raise PortTakenError(settings.host, settings.port)
        supervisor = Supervisor(home.logs, report)
        cleanup.callback(_stop, supervisor, report)
        _interrupt_on_signals()
        try:
            _start(supervisor, environ, settings, home, command, workers=workers)
            report(f"DTI listens at {origin(settings)} and keeps its data in {home.folder}. Ctrl-C stops it.")
            if keyed:
                report("Requests need a key. `dti keys mint --scopes admin` makes the first one.")
            supervisor.watch()
        except KeyboardInterrupt:
            return


def origin(settings: Settings) -> str:
    """The URL of the API."""
    host = socket.gethostname() if settings.host in _WILDCARD_HOSTS else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _start(
    supervisor: Supervisor,
    environ: Mapping[str, str],
    settings: Settings,
    home: Home,
    command: Sequence[str],
    *,
    workers: int,
) -> None:
    config = home.ensure_config()
    environment = {**environ, **_store_environment(environ, home, config)}
    if settings.s3_endpoint is None and settings.s3_public_endpoint is None:
        environment["DTI_S3_PUBLIC_ENDPOINT"] = origin(settings)
    supervisor.start(_stores(settings, home, config))
    migration = maintenance_environment(environment)
    supervisor.run(Program(name="migrate", argv=[*command, "migrate"], environment=migration, start_timeout_s=120))
    supervisor.start(
        [
            *_workers(command, worker_environment(environment), count=workers),
            _own_program(command, "maintenance", maintenance_environment(environment), "worker", "--maintenance"),
        ]
    )
    supervisor.start([_api(command, api_environment(environment), settings)])


def _workers(command: Sequence[str], environment: Mapping[str, str], *, count: int) -> list[Program]:
    """The workers: one takes the machine's device, several share its cards in turns."""
    if count == 1:
        return [_own_program(command, "worker", environment)]
    cards = len(list(_CARDS.glob("*")))
    devices = [["--device", f"cuda:{number % cards}"] if cards else [] for number in range(count)]
    return [
        _own_program(command, f"worker-{number + 1}", environment, "worker", *device)
        for number, device in enumerate(devices)
    ]


def _stores(settings: Settings, home: Home, config: StackConfig) -> list[Program]:
    programs = []
    if settings.broker_url is None:
        programs.append(stores.valkey(home.valkey, config.valkey_port, password=config.valkey_password))
    if settings.s3_endpoint is None:
        keys = {"access_key": config.s3_access_key, "secret_key": config.s3_secret_key}
        programs.append(stores.s3(home.objects, config.s3_port, **keys))
    return programs


def _own_program(command: Sequence[str], name: str, environment: Mapping[str, str], *arguments: str) -> Program:
    """One of this program's own commands; its timeout lets it finish its present step before it ends."""
    return Program(name=name, argv=[*command, *(arguments or (name,))], environment=environment, stop_timeout_s=20)


def _api(command: Sequence[str], environment: Mapping[str, str], settings: Settings) -> Program:
    host = "127.0.0.1" if settings.host in _WILDCARD_HOSTS else settings.host
    request = f"GET /health/live HTTP/1.1\r\nHost: {host}:{settings.port}\r\nConnection: close\r\n\r\n".encode()
    return Program(
        name="api",
        argv=[*command, "api"],
        environment=environment,
        ready=lambda: responds(settings.port, host, request=request, expected=b"HTTP/1.1 200"),
    )


def _store_environment(environ: Mapping[str, str], home: Home, config: StackConfig) -> dict[str, str]:
    """The settings of the home's stores that the environment does not set; an S3 endpoint has its own keys."""
    addresses = home.environment(config)
    if _is_set(environ, "DTI_BROKER_URL"):
        del addresses["DTI_BROKER_URL"]
    if environ.get("DTI_S3_ENDPOINT"):
        addresses = {name: value for name, value in addresses.items() if not name.startswith("DTI_S3_")}
    return addresses


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return bool(environ.get(name) or environ.get(f"{name}_FILE"))


def _interrupt_on_signals() -> None:
    """Have SIGTERM and SIGHUP interrupt as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def _stop(supervisor: Supervisor, report: Callable[[str], None]) -> None:
    report("Stopping: the API first, then the workers, then the stores.")
    supervisor.stop()
    report("Stopped.")
