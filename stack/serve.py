"""`dti serve`: the whole service on one machine, from the stores that were not given to the API, in one folder.

It owns what is started, in which order, and with which environment. How children live and die is the supervisor's,
what they do is their own: the API, worker, maintenance and migration are commands that it is handed.
"""

import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import FrameType

from service.settings import Settings
from stack import stores
from stack.home import Home, StackConfig
from stack.processes import Program, StartError, answers, port_is_free
from stack.supervisor import Supervisor

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104  (compared with, not bound to)


class PortTakenError(StartError):
    """Another program listens where the API would."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"Port {port} on {host} is taken by another program. Stop it, or set DTI_PORT to another port."
        )


def embedded_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment completed with the addresses of the home folder's own stores, where it has any and none are given.

    Raises:
        SettingsError: a setting cannot be read.
    """
    home = Home(Settings.from_environment(environ).home)
    remembered = home.remembered()
    return {**environ, **(_missing(environ, home, remembered) if remembered else {})}


def serve(environ: Mapping[str, str], command: Sequence[str], say: Callable[[str], None]) -> None:
    """Run everything until a signal asks for the end, then stop the API, the workers and the stores, in this order.

    Args:
        environ: where the settings are read from.
        command: what starts this program's own commands, such as `[python, "-m", "cli"]`.
        say: told in sentences what happens.

    Raises:
        SettingsError: a setting cannot be read.
        HomeInUseError: the folder is being served already.
        HomeUnusableError: the folder cannot be made or written.
        PortTakenError: the API's port is taken.
        BinaryMissingError: a store is to be started, but is not installed.
        ProgramFailedError: something did not start; everything that had started was ended.
    """
    settings = Settings.from_environment(environ)
    keyed = settings.keyed
    home = Home(settings.home)
    with home.locked(f"the stack at {origin(settings)}"), ExitStack() as cleanup:
        if not port_is_free(settings.port, settings.host):
            raise PortTakenError(settings.host, settings.port)
        supervisor = Supervisor(home.logs, say)
        cleanup.callback(_stop, supervisor, say)
        _end_by_signal()
        try:
            _start(supervisor, environ, settings, home, command)
            say(f"DTI listens at {origin(settings)} and keeps its data in {home.folder}. Ctrl-C stops it.")
            if keyed:
                say("Callers need a key. `dti keys mint --scopes admin` makes the first one.")
            supervisor.watch()
        except KeyboardInterrupt:
            return


def origin(settings: Settings) -> str:
    """The address at which the API is reached."""
    host = socket.gethostname() if settings.host in _EVERYWHERE else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _start(
    supervisor: Supervisor, environ: Mapping[str, str], settings: Settings, home: Home, command: Sequence[str]
) -> None:
    remembered = home.choose()
    addresses = _missing(environ, home, remembered)
    if settings.s3_endpoint is None and settings.s3_public_endpoint is None:
        addresses["DTI_S3_PUBLIC_ENDPOINT"] = origin(settings)
    supervisor.start(_stores(settings, home, remembered))
    supervisor.run(Program(name="migrate", argv=[*command, "migrate"], environment=addresses, ready_s=120))
    supervisor.start(
        [_own(command, "worker", addresses), _own(command, "maintenance", addresses, "worker", "--maintenance")]
    )
    supervisor.start([_api(command, addresses, settings)])


def _stores(settings: Settings, home: Home, remembered: StackConfig) -> list[Program]:
    programs = []
    if settings.broker_url is None:
        programs.append(stores.valkey(home.valkey, remembered.valkey_port))
    if settings.s3_endpoint is None:
        keys = {"access_key": remembered.s3_access_key, "secret_key": remembered.s3_secret_key}
        programs.append(stores.s3(home.objects, remembered.s3_port, **keys))
    return programs


def _own(command: Sequence[str], name: str, addresses: Mapping[str, str], *arguments: str) -> Program:
    """One of this program's own commands; it may finish the step that it is in before it ends."""
    return Program(name=name, argv=[*command, *(arguments or (name,))], environment=addresses, stop_s=20)


def _api(command: Sequence[str], addresses: Mapping[str, str], settings: Settings) -> Program:
    host = "127.0.0.1" if settings.host in _EVERYWHERE else settings.host
    question = f"GET /health/live HTTP/1.1\r\nHost: {host}:{settings.port}\r\nConnection: close\r\n\r\n".encode()
    return Program(
        name="api",
        argv=[*command, "api"],
        environment=addresses,
        ready=lambda: answers(settings.port, host, say=question, hear=b"HTTP/1.1 200"),
    )


def _missing(environ: Mapping[str, str], home: Home, remembered: StackConfig) -> dict[str, str]:
    """The addresses of the home's stores that the environment does not give; an S3 address brings its own keys."""
    found = home.environment(remembered)
    if environ.get("DTI_BROKER_URL"):
        del found["DTI_BROKER_URL"]
    if environ.get("DTI_S3_ENDPOINT"):
        found = {name: value for name, value in found.items() if not name.startswith("DTI_S3_")}
    return found


def _end_by_signal() -> None:
    """Let the signals that ask for an end interrupt whatever is going on, as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def _stop(supervisor: Supervisor, say: Callable[[str], None]) -> None:
    say("Stopping: the API first, then the workers, then the stores.")
    supervisor.stop()
    say("Stopped.")
