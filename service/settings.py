"""The service's settings, from environment variables: name, default and description of each, in one place.

It reads an environment and opens nothing.
"""

import difflib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from service.errors import SettingsError
from service.safety import Checker, Policy

Auth = Literal["auto", "on", "off"]
PrivateNetworks = Literal["off", "on"]
Switch = Literal["off", "on"]

_LAST_PORT = 65535

KNOWN_SECRETS = frozenset(
    {
        "admin",
        "changeme",
        "dti",
        "dti-secret",
        "minio123",
        "minioadmin",
        "password",
        "postgres",
        "rustfsadmin",
        "secret",
    }
)
"""Defaults and examples of secrets."""


class Variable(NamedTuple):
    """An environment variable and its description."""

    name: str
    description: str
    may_be_zero: bool = False
    secret: bool = False
    """Whether `{name}_FILE` may name a file with the value, such as a mounted secret."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on requests."""

    pictures: Annotated[int, Variable("DTI_LIMIT_PICTURES", "Pictures per concept.")] = 64
    picture_bytes: Annotated[int, Variable("DTI_LIMIT_PICTURE_BYTES", "Bytes of an uploaded picture.")] = 20_000_000
    picture_pixels: Annotated[int, Variable("DTI_LIMIT_PICTURE_PIXELS", "Pixels of an uploaded picture.")] = 50_000_000
    request_pixels: Annotated[
        int, Variable("DTI_LIMIT_REQUEST_PIXELS", "Pixels of all uploaded pictures of a request.")
    ] = 1_000_000_000
    decode_s: Annotated[int, Variable("DTI_LIMIT_DECODE_S", "Seconds of processor time to decode a picture.")] = 10
    decode_bytes: Annotated[
        int, Variable("DTI_LIMIT_DECODE_BYTES", "Bytes of address space of a process that decodes pictures.")
    ] = 1_200_000_000
    picture_side_px: Annotated[
        int, Variable("DTI_LIMIT_PICTURE_SIDE_PX", "Least shorter side of an uploaded picture.")
    ] = 32
    kept_side_px: Annotated[int, Variable("DTI_LIMIT_KEPT_SIDE_PX", "Longer side to which pictures are reduced.")] = (
        2048
    )
    embedding_bytes: Annotated[int, Variable("DTI_LIMIT_EMBEDDING_BYTES", "Bytes of an imported embedding file.")] = (
        16_000_000
    )
    body_bytes: Annotated[int, Variable("DTI_LIMIT_BODY_BYTES", "Bytes of a request, before parsing.")] = 100_000_000
    json_bytes: Annotated[
        int,
        Variable("DTI_LIMIT_JSON_BYTES", "Bytes of a request without files, which takes forty times that when parsed."),
    ] = 1_000_000
    prompt_characters: Annotated[int, Variable("DTI_LIMIT_PROMPT_CHARACTERS", "Characters of a prompt.")] = 2500
    training_steps: Annotated[int, Variable("DTI_LIMIT_TRAINING_STEPS", "Updates of a training.")] = 5000
    denoising_steps: Annotated[int, Variable("DTI_LIMIT_DENOISING_STEPS", "Denoising steps of a picture.")] = 150
    unfinished_jobs: Annotated[int, Variable("DTI_LIMIT_UNFINISHED_JOBS", "Unfinished jobs of an owner.")] = 100
    streams: Annotated[int, Variable("DTI_LIMIT_STREAMS", "Open event streams of a key.")] = 100
    webhooks: Annotated[int, Variable("DTI_LIMIT_WEBHOOKS", "Webhooks of an owner.")] = 20


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """Quotas of a caller, unless its key has its own; 0 is unlimited."""

    requests_per_minute: Annotated[
        int, Variable("DTI_QUOTA_REQUESTS_PER_MINUTE", "Requests per minute and key; 0 is unlimited.", True)
    ] = 1200
    device_s_per_day: Annotated[
        int, Variable("DTI_QUOTA_DEVICE_S_PER_DAY", "Device seconds per owner and day (UTC); 0 is unlimited.", True)
    ] = 0
    stored_bytes: Annotated[
        int,
        Variable(
            "DTI_QUOTA_STORED_BYTES", "Bytes of an owner's pictures, images and embeddings; 0 is unlimited.", True
        ),
    ] = 0


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Days until files are deleted; 0 keeps them. Checkpoints and files of RPCs are deleted after use."""

    uploads_days: Annotated[
        float, Variable("DTI_KEEP_UPLOADS_DAYS", "Days until uploaded pictures are deleted; 0 keeps them.", True)
    ] = 0.0
    images_days: Annotated[
        float,
        Variable("DTI_KEEP_IMAGES_DAYS", "Days until generated images and animations are deleted; 0 keeps them.", True),
    ] = 0.0
    previews_days: Annotated[
        float, Variable("DTI_KEEP_PREVIEWS_DAYS", "Days until previews of trainings are deleted; 0 keeps them.", True)
    ] = 0.0
    jobs_days: Annotated[
        float,
        Variable("DTI_KEEP_JOBS_DAYS", "Days until ended jobs are deleted, with their images; 0 keeps them.", True),
    ] = 0.0


@dataclass(frozen=True, kw_only=True)
class Safety:
    """The safety checker, and the policy for pictures that it flags."""

    policy: Annotated[
        Policy,
        Variable("DTI_SAFETY_POLICY", "Policy for flagged pictures: `allow`, `tag`, `blur` or `refuse`."),
    ] = "allow"
    checker: Annotated[
        Checker, Variable("DTI_SAFETY_CHECKER", "Safety checker: `none`, `opennsfw` or `diffusers`.")
    ] = "none"
    threshold: Annotated[
        float, Variable("DTI_SAFETY_THRESHOLD", "Score, up to 1, from which a picture is flagged.")
    ] = 0.8
    model: Annotated[
        str | None,
        Variable("DTI_SAFETY_MODEL", "Folder or Hub id of a checkpoint with a safety checker, for `diffusers`."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings; `dti serve` starts the stores for which no address is set."""

    home: Annotated[Path, Variable("DTI_HOME", "Folder for data and caches.")] = Path("dti-home")
    database_url: Annotated[
        str | None,
        Variable(
            "DTI_DATABASE_URL", "PostgreSQL or SQLite address; unset, an SQLite file in the home folder.", secret=True
        ),
    ] = field(default=None, repr=False)
    broker_url: Annotated[
        str | None,
        Variable("DTI_BROKER_URL", "Valkey or Redis address; unset, `dti serve` starts a Valkey.", secret=True),
    ] = field(default=None, repr=False)
    s3_endpoint: Annotated[
        str | None, Variable("DTI_S3_ENDPOINT", "S3 address; unset, `dti serve` starts an S3 server.")
    ] = None
    s3_public_endpoint: Annotated[
        str | None,
        Variable("DTI_S3_PUBLIC_ENDPOINT", "S3 address as clients reach it; unset, the same as DTI_S3_ENDPOINT."),
    ] = None
    s3_access_key: Annotated[str | None, Variable("DTI_S3_ACCESS_KEY", "S3 access key.", secret=True)] = None
    s3_secret_key: Annotated[str | None, Variable("DTI_S3_SECRET_KEY", "S3 secret key.", secret=True)] = field(
        default=None, repr=False
    )
    s3_bucket: Annotated[str, Variable("DTI_S3_BUCKET", "S3 bucket; created at the start if it is missing.")] = "dti"
    s3_region: Annotated[str, Variable("DTI_S3_REGION", "S3 region.")] = "us-east-1"
    url_expires_s: Annotated[int, Variable("DTI_URL_EXPIRES_S", "Seconds until a signed URL of a picture expires.")] = (
        3600
    )
    host: Annotated[str, Variable("DTI_HOST", "Address that the API listens on.")] = "127.0.0.1"
    port: Annotated[int, Variable("DTI_PORT", "Port that the API listens on.")] = 8000
    drain_s: Annotated[
        float,
        Variable("DTI_DRAIN_S", "Seconds from a stop signal, at which readiness ends, until the port closes.", True),
    ] = 0.0
    models: Annotated[Path | None, Variable("DTI_MODELS", "TOML file with the model catalogue, beside `tiny`.")] = None
    worker_models: Annotated[
        str | None,
        Variable("DTI_WORKER_MODELS", "Models that a worker serves, separated by commas; unset, the whole catalogue."),
    ] = None
    device: Annotated[str, Variable("DTI_DEVICE", "Device of a worker: `auto`, `cpu`, `cuda` or `cuda:1`.")] = "auto"
    load_after_s: Annotated[
        float,
        Variable(
            "DTI_LOAD_AFTER_S",
            "Seconds that jobs wait for a worker with their model before another one loads it.",
            True,
        ),
    ] = 10.0
    auth: Annotated[
        Auth, Variable("DTI_AUTH", "Whether requests need a key: `auto` is off on loopback and on elsewhere.")
    ] = "auto"
    admin_key: Annotated[
        str | None,
        Variable(
            "DTI_ADMIN_KEY",
            "Admin key, at least 32 characters; it has all scopes and mints the other keys.",
            secret=True,
        ),
    ] = field(default=None, repr=False)
    cors_origins: Annotated[
        str | None,
        Variable("DTI_CORS_ORIGINS", "Origins allowed by CORS, separated by commas; `*` for all."),
    ] = None
    lease_s: Annotated[
        float, Variable("DTI_LEASE_S", "Seconds without a heartbeat after which a job's lease expires.")
    ] = 15.0
    max_attempts: Annotated[
        int, Variable("DTI_MAX_ATTEMPTS", "Lost attempts in a row, without progress, after which a job fails.")
    ] = 5
    step_limit_s: Annotated[
        float,
        Variable(
            "DTI_STEP_LIMIT_S",
            "Seconds that one step of a worker may take, loading a model included; then the worker ends itself.",
        ),
    ] = 900.0
    job_limit_s: Annotated[
        float, Variable("DTI_JOB_LIMIT_S", "Seconds that an attempt of a job may run; 0 is unlimited.", True)
    ] = 0.0
    max_trainings: Annotated[
        int,
        Variable("DTI_MAX_TRAININGS", "Trainings of a worker at once; 0 for two, or one if an update is slow.", True),
    ] = 0
    tf32: Annotated[
        Switch, Variable("DTI_TF32", "Whether a GPU rounds factors of float32 products to TF32: `off` or `on`.")
    ] = "off"
    deterministic: Annotated[
        Switch,
        Variable("DTI_DETERMINISTIC", "Whether a GPU uses deterministic kernels where there are any: `off` or `on`."),
    ] = "off"
    renotify_s: Annotated[
        float, Variable("DTI_RENOTIFY_S", "Seconds in the queue after which workers are notified of a job again.")
    ] = 5.0
    rpc_timeout_s: Annotated[
        float, Variable("DTI_RPC_TIMEOUT_S", "Seconds that a request waits for a worker to import, export or blend.")
    ] = 30.0
    openai_timeout_s: Annotated[
        float, Variable("DTI_OPENAI_TIMEOUT_S", "Seconds that a request of OpenAI's images API waits for its images.")
    ] = 300.0
    webhook_private_networks: Annotated[
        PrivateNetworks,
        Variable(
            "DTI_WEBHOOK_PRIVATE_NETWORKS",
            "Whether webhooks may be sent to http:// addresses and into private networks: `off` or `on`.",
        ),
    ] = "off"
    limits: Limits = field(default_factory=Limits)
    quotas: Quotas = field(default_factory=Quotas)
    retention: Retention = field(default_factory=Retention)
    safety: Safety = field(default_factory=Safety)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings of an environment; an empty variable counts as unset.

        Raises:
            SettingsError: a value cannot be read, or is a known default of a secret.
        """
        environ = _with_secret_files(environ)
        settings = cls(
            **_read(cls, environ),
            limits=Limits(**_read(Limits, environ)),
            quotas=Quotas(**_read(Quotas, environ)),
            retention=Retention(**_read(Retention, environ)),
            safety=_safety(environ),
        )
        settings._check_secrets()
        return settings

    def _check_secrets(self) -> None:
        """Refuse known defaults of secrets where other machines reach the port."""
        if is_loopback(self.host):
            return
        secrets = {
            "DTI_S3_SECRET_KEY": self.s3_secret_key,
            "DTI_DATABASE_URL": _password(self.database_url),
            "DTI_BROKER_URL": _password(self.broker_url),
        }
        for name, secret in secrets.items():
            if secret in KNOWN_SECRETS:
                raise SettingsError(
                    f"{name} holds {secret!r}, a known default, and DTI_HOST is {self.host}. Set a secret of your own, "
                    "such as one made by `openssl rand -hex 24`, in the store and here."
                )

    @property
    def database_address(self) -> str:
        """The database's address, as set or in the home folder."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'dti.db'}"

    @property
    def auth_required(self) -> bool:
        """Whether requests need a key.

        Raises:
            SettingsError: they would not, and the port is reachable from other machines.
        """
        if self.auth == "off" and not is_loopback(self.host):
            raise SettingsError(
                f"DTI_AUTH is off and DTI_HOST is {self.host}: every machine that reaches the port could use it, web "
                "pages included. Set DTI_AUTH to on and mint keys with `dti keys mint`, or DTI_HOST to 127.0.0.1."
            )
        return self.auth == "on" or not is_loopback(self.host)


def _password(address: str | None) -> str | None:
    try:
        return urlsplit(address or "").password
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def variables() -> tuple[Variable, ...]:
    """All environment variables."""
    return tuple(
        variable for kind in (Settings, Limits, Quotas, Retention, Safety) for _, variable in _hints(kind).values()
    )


def secret_names() -> frozenset[str]:
    """The variables that hold secrets, and those that name their files."""
    names = [variable.name for variable in variables() if variable.secret]
    return frozenset(names) | frozenset(f"{name}_FILE" for name in names)


def _with_secret_files(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with the content of the files that `{name}_FILE` names."""
    found = {}
    for variable in variables():
        file = environ.get(f"{variable.name}_FILE") if variable.secret else None
        if not file:
            continue
        if environ.get(variable.name):
            raise SettingsError(f"{variable.name} and {variable.name}_FILE are both set. Set one of them.")
        try:
            found[variable.name] = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{variable.name}_FILE, {file}, cannot be read.") from error
    return {**environ, **found}


def _safety(environ: Mapping[str, str]) -> Safety:
    safety = Safety(**_read(Safety, environ))
    if safety.policy != "allow" and safety.checker == "none":
        raise SettingsError(f"DTI_SAFETY_POLICY is {safety.policy}, but there is no checker. Set DTI_SAFETY_CHECKER.")
    if safety.threshold > 1:
        raise SettingsError(f"DTI_SAFETY_THRESHOLD is {safety.threshold:g}. Scores end at 1: nothing would be flagged.")
    return safety


def _hints(kind: type[Any]) -> dict[str, tuple[Any, Variable]]:
    """Per field of a dataclass: its type and its variable; fields without a variable are left out."""
    annotated = get_type_hints(kind, include_extras=True)
    return {name: get_args(hint)[:2] for name, hint in annotated.items() if hasattr(hint, "__metadata__")}


_OTHER_PROGRAMS = frozenset({"DTI_URL", "DTI_API_KEY"})
"""Variables of the client."""


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Variables that begin with DTI_ and are no setting, each with the nearest setting, or None if none is near."""
    known = {variable.name for variable in variables()} | secret_names() | _OTHER_PROGRAMS
    found = sorted(name for name in environ if name.startswith("DTI_") and name not in known)
    return {name: next(iter(difflib.get_close_matches(name, known, 1)), None) for name in found}


# `Any`: arguments of a dataclass, each of its own type.
def _read(kind: type[Any], environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: _parse(variable, hint, environ[variable.name])
        for name, (hint, variable) in _hints(kind).items()
        if environ.get(variable.name)
    }


def _parse(variable: Variable, hint: Any, raw: str) -> str | int | float | Path:  # noqa: ANN401 - a type hint has no type
    if hint is int or hint is float:
        return _number(variable, hint, raw)
    if get_origin(hint) is Literal and raw not in get_args(hint):
        raise SettingsError(f"{variable.name} is {raw!r}. Choose one of: {', '.join(get_args(hint))}.")
    return Path(raw) if hint is Path or Path in get_args(hint) else raw


def _number(variable: Variable, kind: type[int] | type[float], raw: str) -> int | float:
    try:
        value = kind(raw)
    except ValueError as error:
        raise SettingsError(f"{variable.name} is {raw!r}, which is not a number.") from error
    if value == 0 and variable.may_be_zero:
        return value
    if not 0 < value < float("inf"):
        raise SettingsError(f"{variable.name} is {raw!r}. It has to be greater than 0.")
    if variable.name == "DTI_PORT" and value > _LAST_PORT:
        raise SettingsError(f"{variable.name} is {raw!r}. Ports end at {_LAST_PORT}.")
    return value
