"""What can be set from outside: every setting's name, default and sentence, once.

It reads an environment and opens nothing.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from service.errors import SettingsError
from service.safety import Checker, Policy

Auth = Literal["auto", "on", "off"]
WebhookPrivate = Literal["refuse", "allow"]

_LAST_PORT = 65535


class Variable(NamedTuple):
    """An environment variable, and what it means; whether 0 can be meant by it."""

    name: str
    sentence: str
    may_be_zero: bool = False


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client may ask for at most."""

    pictures: Annotated[int, Variable("DTI_LIMIT_PICTURES", "Pictures a concept.")] = 64
    picture_bytes: Annotated[int, Variable("DTI_LIMIT_PICTURE_BYTES", "Bytes of an uploaded picture.")] = 20_000_000
    picture_pixels: Annotated[int, Variable("DTI_LIMIT_PICTURE_PIXELS", "Pixels of an uploaded picture.")] = 50_000_000
    picture_side_px: Annotated[int, Variable("DTI_LIMIT_PICTURE_SIDE_PX", "A picture's shorter side at least.")] = 32
    kept_side_px: Annotated[int, Variable("DTI_LIMIT_KEPT_SIDE_PX", "Longer side at which pictures are kept.")] = 2048
    embedding_bytes: Annotated[int, Variable("DTI_LIMIT_EMBEDDING_BYTES", "Bytes of an imported file.")] = 16_000_000
    body_bytes: Annotated[int, Variable("DTI_LIMIT_BODY_BYTES", "Bytes of a request, before parsing.")] = 100_000_000
    json_bytes: Annotated[
        int, Variable("DTI_LIMIT_JSON_BYTES", "Of those, where no files are sent: parsed, they take forty times that.")
    ] = 1_000_000
    prompt_characters: Annotated[int, Variable("DTI_LIMIT_PROMPT_CHARACTERS", "Characters of a prompt.")] = 1000
    training_steps: Annotated[int, Variable("DTI_LIMIT_TRAINING_STEPS", "Updates of a training.")] = 5000
    denoising_steps: Annotated[int, Variable("DTI_LIMIT_DENOISING_STEPS", "Denoising steps of a picture.")] = 150
    unfinished_jobs: Annotated[int, Variable("DTI_LIMIT_UNFINISHED_JOBS", "Unfinished jobs of an owner.")] = 100
    webhooks: Annotated[int, Variable("DTI_LIMIT_WEBHOOKS", "Standing webhooks of an owner.")] = 20


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """What callers may use up at most, unless their key says otherwise; 0 is no bound."""

    requests_per_minute: Annotated[
        int, Variable("DTI_QUOTA_REQUESTS_PER_MINUTE", "Requests a minute with one key; 0 for any number.", True)
    ] = 1200
    device_s_per_day: Annotated[
        int, Variable("DTI_QUOTA_DEVICE_S_PER_DAY", "Seconds of a device that an owner gets a day (UTC).", True)
    ] = 0
    stored_bytes: Annotated[
        int, Variable("DTI_QUOTA_STORED_BYTES", "Bytes of an owner's pictures, images and embeddings.", True)
    ] = 0


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """For how many days things are kept; 0 for ever. Checkpoints and files of RPCs go when they are done with."""

    uploads_days: Annotated[
        float, Variable("DTI_KEEP_UPLOADS_DAYS", "Days that uploaded pictures are kept; 0 for ever.", True)
    ] = 0.0
    images_days: Annotated[
        float, Variable("DTI_KEEP_IMAGES_DAYS", "Days that pictures and animations are kept; 0 for ever.", True)
    ] = 0.0
    previews_days: Annotated[
        float, Variable("DTI_KEEP_PREVIEWS_DAYS", "Days that trainings' previews are kept; 0 for ever.", True)
    ] = 0.0


@dataclass(frozen=True, kw_only=True)
class Safety:
    """Who looks at pictures, and what is done about those that are flagged."""

    policy: Annotated[
        Policy,
        Variable("DTI_SAFETY_POLICY", "What is done about flagged pictures: `allow`, `tag`, `blur` or `refuse`."),
    ] = "allow"
    checker: Annotated[
        Checker, Variable("DTI_SAFETY_CHECKER", "Who looks at pictures: `none`, `opennsfw` or `diffusers`.")
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
    """Where the service stands and how it behaves; an address that is not given is started by `dti serve` itself."""

    home: Annotated[Path, Variable("DTI_HOME", "Folder for data and caches.")] = Path("dti-home")
    database_url: Annotated[
        str | None,
        Variable("DTI_DATABASE_URL", "PostgreSQL or SQLite address; unset, an SQLite file in the home folder."),
    ] = field(default=None, repr=False)
    broker_url: Annotated[
        str | None,
        Variable("DTI_BROKER_URL", "Valkey or Redis address; unset, `dti serve` starts a Valkey of its own."),
    ] = field(default=None, repr=False)
    s3_endpoint: Annotated[
        str | None, Variable("DTI_S3_ENDPOINT", "S3 address; unset, `dti serve` starts an S3 server of its own.")
    ] = None
    s3_public_endpoint: Annotated[
        str | None,
        Variable("DTI_S3_PUBLIC_ENDPOINT", "S3 address as clients reach it; unset, the same as DTI_S3_ENDPOINT."),
    ] = None
    s3_access_key: Annotated[str | None, Variable("DTI_S3_ACCESS_KEY", "S3 access key.")] = None
    s3_secret_key: Annotated[str | None, Variable("DTI_S3_SECRET_KEY", "S3 secret key.")] = field(
        default=None, repr=False
    )
    s3_bucket: Annotated[str, Variable("DTI_S3_BUCKET", "S3 bucket; made at the start where it is missing.")] = "dti"
    s3_region: Annotated[str, Variable("DTI_S3_REGION", "S3 region.")] = "us-east-1"
    url_expires_s: Annotated[int, Variable("DTI_URL_EXPIRES_S", "How long the address of a picture works.")] = 3600
    host: Annotated[str, Variable("DTI_HOST", "Address that the API listens on.")] = "127.0.0.1"
    port: Annotated[int, Variable("DTI_PORT", "Port that the API listens on.")] = 8000
    models: Annotated[
        Path | None, Variable("DTI_MODELS", "TOML file that names text-to-image models beside `tiny`.")
    ] = None
    auth: Annotated[
        Auth, Variable("DTI_AUTH", "Whether callers need a key: `auto` is off on loopback and on elsewhere.")
    ] = "auto"
    admin_key: Annotated[
        str | None,
        Variable("DTI_ADMIN_KEY", "A key that may do everything, of at least 32 characters; it mints the others."),
    ] = field(default=None, repr=False)
    admin_key_file: Annotated[
        Path | None, Variable("DTI_ADMIN_KEY_FILE", "File that holds DTI_ADMIN_KEY instead, such as a mounted secret.")
    ] = None
    cors_origins: Annotated[
        str | None,
        Variable("DTI_CORS_ORIGINS", "Origins, by commas, whose pages may call with a key; `*` for all of them."),
    ] = None
    lease_s: Annotated[
        float, Variable("DTI_LEASE_S", "How long a worker may be silent before its jobs are taken away.")
    ] = 15.0
    attempts: Annotated[
        int, Variable("DTI_MAX_ATTEMPTS", "Attempts in a row that a job may lose without a new checkpoint.")
    ] = 3
    renotify_s: Annotated[
        float, Variable("DTI_RENOTIFY_S", "How long a job is queued before workers are rung for again.")
    ] = 5.0
    rpc_timeout_s: Annotated[
        float, Variable("DTI_RPC_TIMEOUT_S", "How long a request waits for a worker to import, export or blend.")
    ] = 30.0
    openai_timeout_s: Annotated[
        float, Variable("DTI_OPENAI_TIMEOUT_S", "How long OpenAI's clients are kept waiting for pictures.")
    ] = 300.0
    webhook_private_networks: Annotated[
        WebhookPrivate,
        Variable(
            "DTI_WEBHOOK_PRIVATE_NETWORKS",
            "Whether webhooks may go to http:// addresses and into networks that are not public: `refuse` or `allow`.",
        ),
    ] = "refuse"
    limits: Limits = field(default_factory=Limits)
    quotas: Quotas = field(default_factory=Quotas)
    keeping: Keeping = field(default_factory=Keeping)
    safety: Safety = field(default_factory=Safety)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings that an environment gives; an empty variable counts as unset.

        Raises:
            SettingsError: a value cannot be read.
        """
        return cls(
            **_read(cls, environ),
            limits=Limits(**_read(Limits, environ)),
            quotas=Quotas(**_read(Quotas, environ)),
            keeping=Keeping(**_read(Keeping, environ)),
            safety=_safety(environ),
        )

    @property
    def database_address(self) -> str:
        """The database that is used, given or in the home folder."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'dti.db'}"

    @property
    def keyed(self) -> bool:
        """Whether callers need a key.

        Raises:
            SettingsError: nobody would need one, and more than this machine reaches the port.
        """
        if self.auth == "off" and not is_loopback(self.host):
            raise SettingsError(
                f"DTI_AUTH is off and DTI_HOST is {self.host}: everybody who reaches the port could use it, web pages "
                "included. Set DTI_AUTH to on and mint keys with `dti keys mint`, or DTI_HOST to 127.0.0.1."
            )
        return self.auth == "on" or not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def variables() -> tuple[Variable, ...]:
    """Every environment variable that is read."""
    return tuple(
        variable for kind in (Settings, Limits, Quotas, Keeping, Safety) for _, variable in _hints(kind).values()
    )


def _safety(environ: Mapping[str, str]) -> Safety:
    safety = Safety(**_read(Safety, environ))
    if safety.policy != "allow" and safety.checker == "none":
        raise SettingsError(f"DTI_SAFETY_POLICY is {safety.policy}, and nobody looks. Set DTI_SAFETY_CHECKER.")
    if safety.threshold > 1:
        raise SettingsError(f"DTI_SAFETY_THRESHOLD is {safety.threshold:g}. Scores end at 1: nothing would be flagged.")
    return safety


def _hints(kind: type[Any]) -> dict[str, tuple[Any, Variable]]:
    """Per setting of a dataclass: its type and its variable; a field that no variable sets is left out."""
    annotated = get_type_hints(kind, include_extras=True)
    return {name: get_args(hint)[:2] for name, hint in annotated.items() if hasattr(hint, "__metadata__")}


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
