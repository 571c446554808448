"""docker-compose.yml: valid, complete, and its services do the main job together.

No container engine is needed: every command runs here with its own environment, host names led to loopback, against
the same PostgreSQL, Valkey and S3 servers, which come from wheels.
"""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy
import yaml

from service.database.engine import Database
from service.database.tables import Worker
from stack import stores
from stack.processes import LOOPBACK, Child, Program, free_port, responds
from tests.support.stack import CLI, ROOT, TRAINING, ApiClient, drawings
from tests.support.worker_driver import until

COMPOSE = ROOT / "docker-compose.yml"
OWN = {"migrate", "api", "worker", "worker-cpu", "maintenance"}


SECRETS = {"POSTGRES_PASSWORD": "pg-hush", "VALKEY_PASSWORD": "valkey-hush", "DTI_S3_SECRET_KEY": "s3-hush"}


def described():
    """The services as compose reads them with the required secrets set and no other variable."""
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: SECRETS[found[1]], COMPOSE.read_text())
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")
    return yaml.safe_load(text)["services"]


@pytest.fixture(scope="module")
def services():
    return described()


def test_the_file_fits_the_compose_schema():
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:]], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_compose_refuses_to_start_without_secrets_which_a_script_makes():
    names = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    assert names == SECRETS.keys()
    assert not [name for name, default in re.findall(r"\$\{(\w+):-([^}]+)\}", COMPOSE.read_text()) if "SECRET" in name]
    made = subprocess.run(
        ["sh", ROOT / "tools" / "compose_secrets.sh"], check=True, capture_output=True, text=True
    ).stdout
    values = dict(line.split("=") for line in made.splitlines())
    assert values.keys() == names
    assert {len(value) for value in values.values()} == {48}


def test_every_image_of_ours_is_a_stage_of_the_dockerfile_whose_sources_exist(services):
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))
    assert {services[name]["build"]["target"] for name in OWN} <= stages
    sources = [source for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for source in line.split()]
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert [source for source in sources if not (ROOT / source).exists() or f"!{source}" not in allowed] == []


def test_every_long_running_service_has_a_health_check(services):
    staying = services.keys() - {"migrate", "worker", "worker-cpu", "maintenance"}
    assert [name for name in staying if "healthcheck" not in services[name]] == []


def test_the_gpu_and_the_cpu_worker_differ_in_nothing_but_the_device(services):
    gpu, cpu = services["worker"], services["worker-cpu"]
    assert {name for name in gpu if gpu.get(name) != cpu.get(name)} == {"profiles", "deploy"}


def test_every_service_of_ours_reads_the_catalogue_and_workers_keep_their_downloads(services):
    for name in OWN:
        assert services[name]["environment"]["DTI_MODELS"] == "/catalogue/models.toml"
        assert "./catalogue:/catalogue:ro" in services[name]["volumes"]
    assert (ROOT / "catalogue" / "models.toml").exists()
    for name in ("worker", "worker-cpu"):
        assert "HF_TOKEN" in services[name]["environment"]
        assert "models:/data" in services[name]["volumes"]
    assert "ENV HF_HOME=/data/huggingface" in (ROOT / "Dockerfile").read_text()


class Composed:
    """The services of the file as processes of this machine."""

    def __init__(self, services, folder, postgres):
        self.services = services
        self.folder = folder
        self.api_port = free_port()
        self.valkey_port = free_port()
        self.s3_port = free_port()
        self.places = {
            "@postgres:5432": "@" + postgres.partition("@")[2],
            "@valkey:6379": f"@{LOOPBACK}:{self.valkey_port}",
            "s3:9000": f"{LOOPBACK}:{self.s3_port}",
            "0.0.0.0": LOOPBACK,
            "8000": str(self.api_port),
            "/data": str(folder),
            "/catalogue": str(ROOT / "catalogue"),
        }

    def program(self, service, argv=None, name=None, **more):
        """A service's command with its environment and nothing else of ours."""
        described = self.services[service]
        unset = {name: "" for name in os.environ if name.startswith("DTI_")}
        # A variable without a value is that of the machine, where it has one.
        given = {
            name: os.environ.get(name, "") if value is None else value
            for name, value in described.get("environment", {}).items()
        }
        environment = {name: self.here(value) for name, value in given.items()}
        return Program(
            name=name or service,
            argv=argv or [*CLI, *described["command"][1:]],
            environment={**unset, "OMP_NUM_THREADS": "1", **environment},
            start_timeout_s=120,
            stop_timeout_s=30,
            **more,
        )

    def valkey(self):
        shell, option, script = self.services["valkey"]["command"]
        script += f" --port {self.valkey_port} --dir {self.folder}"
        argv = [shell, option, script.replace("docker-entrypoint.sh valkey-server", stores.valkey_binary())]
        auth = f"AUTH {SECRETS['VALKEY_PASSWORD']}\r\n".encode()
        return self.program("valkey", argv, ready=lambda: responds(self.valkey_port, request=auth, expected=b"+OK"))

    def s3(self):
        options = [self.here(option) for option in self.services["s3"]["command"]]
        options = [f"{LOOPBACK}:{self.s3_port}" if option == ":9000" else option for option in options]
        return self.program("s3", [stores.rclone_binary(), *options], ready=lambda: responds(self.s3_port))

    def here(self, value):
        """A value of the file with its places led to this machine."""
        for container_path, local_path in self.places.items():
            value = value.replace(container_path, local_path)
        return value

    def api(self):
        return self.program("api", ready=lambda: responds(self.api_port))

    def steps_by_worker(self):
        """The log of each worker's work so far."""
        database = Database(self.here(self.services["api"]["environment"]["DTI_DATABASE_URL"]))
        with database.reading() as session:
            steps = [
                worker.training_steps + worker.picture_steps for worker in session.scalars(sqlalchemy.select(Worker))
            ]
        database.close()
        return steps

    def mint(self):
        """The command for the first key that the file's comment names."""
        command = [*CLI, "keys", "mint", "--owner", "team"]
        environment = {**os.environ, **self.program("api").environment}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    def is_healthy(self, service):
        command = [self.here(part) for part in self.services[service]["healthcheck"]["test"][1:]]
        return subprocess.run([sys.executable, *command[1:]], check=False, timeout=30).returncode == 0


@pytest.fixture(scope="module")
def composed(services, tmp_path_factory, postgres_server):
    engine = sqlalchemy.create_engine(f"{postgres_server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE ROLE dti LOGIN PASSWORD 'pg-hush'"))
        connection.execute(sqlalchemy.text("CREATE DATABASE dti OWNER dti"))
    engine.dispose()
    running = Composed(services, tmp_path_factory.mktemp("composed"), postgres_server)
    logs = tmp_path_factory.mktemp("composed-logs")
    with ExitStack() as children:
        for program in (running.valkey(), running.s3()):
            children.enter_context(Child(program, logs))
        migration = Child(running.program("migrate"), logs)
        migration.start()
        migration.wait_finished()
        for name in ("first-worker", "second-worker"):
            children.enter_context(Child(running.program("worker-cpu", name=name), logs))
        for program in (running.program("maintenance"), running.api()):
            children.enter_context(Child(program, logs))
        yield running


def test_two_workers_execute_every_job_once_with_the_same_result(composed, untroubled):
    assert composed.is_healthy("api")
    with ApiClient(f"http://localhost:{composed.api_port}", composed.mint()) as client:
        until(lambda: len(composed.steps_by_worker()) == 2)
        client.succeeded(client.train("ball", drawings("crimson"), **TRAINING))
        assert client.embedding("ball")["sha256"] == untroubled

        # More images than one worker renders at once: the other one is notified of the rest.
        jobs = [client.train("cube", drawings("navy"), **TRAINING | {"steps": 20})]
        jobs += [client.generate("a photo of <ball>", seed=seed, num_images=2, steps=8) for seed in range(24)]
        ended = [client.succeeded(job) for job in jobs]
        assert {job["attempt"] for job in ended} == {1}
        assert [len(job["output"]["images"]) for job in ended[1:]] == [2] * 24
        until(lambda: all(composed.steps_by_worker()))

        interpolation = client.succeeded(client.interpolate("ball", "cube", frames=3, steps=4, animation="webp"))
        assert client.fetch(interpolation["output"]["animation"])
        assert client.fetch(interpolation["output"]["images"][1])
