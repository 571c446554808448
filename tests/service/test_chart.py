"""The Helm chart: it renders for every example, fits the Kubernetes schemas, and scales by the right number."""

import warnings
from pathlib import Path

import helm_python
import kubernetes_validate
import pytest
import yaml
from sqlalchemy import text

from service import jobs

CHART = Path(__file__).resolve().parents[2] / "deploy" / "chart" / "dti"
EXAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
KUBERNETES = "1.30"
OPERATORS = {"keda.sh", "monitoring.coreos.com"}
"""Groups whose schemas come with their operators."""


def rendered(example):
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(yaml.safe_load(example.read_text()), name="dti", namespace="dti")
    return [document for file in files.values() for document in yaml.safe_load_all(file) if document]


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.name)
def documents(request):
    return rendered(request.param)


def pods(documents):
    return [
        (document["metadata"]["name"], document["spec"]["template"]["spec"])
        for document in documents
        if document["kind"] in {"Deployment", "Job"}
    ]


def test_there_are_three_examples_and_helm_lints_the_chart():
    assert len(EXAMPLES) == 3
    for example in EXAMPLES:
        report = helm_python.lint(CHART, yaml.safe_load(example.read_text()))
        assert [message for message in report["messages"] if message["severity"] > 1] == []
        assert not report["errors"]


def test_every_object_of_kubernetes_fits_its_schema(documents):
    checked = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for document in documents:
            if document["apiVersion"].partition("/")[0] not in OPERATORS:
                kubernetes_validate.validate(document, KUBERNETES, strict=True)
                checked += 1
    assert checked >= 10


def test_no_container_is_root_writes_its_root_has_a_capability_or_lacks_a_memory_limit(documents):
    for name, pod in pods(documents):
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"], name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert security["allowPrivilegeEscalation"] is False, name
            if name != "dti-worker-small":
                assert container["resources"]["limits"]["memory"], name


def test_every_process_that_stays_has_a_liveness_probe_and_the_api_a_readiness_probe(documents):
    probes = {
        name: {probe for probe in ("livenessProbe", "readinessProbe") if probe in pod["containers"][0]}
        for name, pod in pods(documents)
        if name != "dti-migrate"
    }
    assert probes.pop("dti-api") == {"livenessProbe", "readinessProbe"}
    assert set(map(frozenset, probes.values())) == {frozenset({"livenessProbe"})}


def test_every_selector_finds_pods_and_every_mount_has_its_volume(documents):
    labels = [
        document["spec"]["template"]["metadata"]["labels"]
        for document in documents
        if document["kind"] in {"Deployment", "Job"}
    ]
    for document in documents:
        if document["kind"] in {"Deployment", "PodDisruptionBudget"}:
            wanted = document["spec"]["selector"]["matchLabels"]
            assert any(wanted.items() <= pod.items() for pod in labels), document["metadata"]["name"]
    for name, pod in pods(documents):
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} <= volumes, name


def test_the_migration_runs_before_the_new_processes_with_its_settings(documents):
    (job,) = [document for document in documents if document["kind"] == "Job"]
    settings = next(document for document in documents if document["metadata"]["name"] == "dti-settings")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    hooks = [document["metadata"]["annotations"]["helm.sh/hook-weight"] for document in (settings, job)]
    assert int(hooks[0]) < int(hooks[1])


def test_wrong_values_are_refused_by_the_schema():
    with helm_python.Chart.load(CHART) as chart, pytest.raises(helm_python.HelmError):
        chart.validate_schema({"pools": [{"name": "Not A Name", "models": [], "replicas": 1}]})


@pytest.fixture
def database_url(postgres_url):
    return postgres_url


def test_the_query_of_the_autoscaler_counts_the_unfinished_slots_of_the_pools_models(queue):
    documents = rendered(CHART / "ci" / "keda-values.yaml")
    scaled = [document for document in documents if document["kind"] == "ScaledObject"]
    queries = {
        document["metadata"]["name"]: document["spec"]["triggers"][0]["metadata"]["query"] for document in scaled
    }
    assert set(queries) == {"dti-worker-sdxl", "dti-worker-small"}
    assert _counts(queue, queries) == {"dti-worker-sdxl": 0, "dti-worker-small": 0}
    queue.submit(model="sdxl", slots=4)
    queue.submit("train", model="sdxl")
    queue.submit(model="tiny", slots=2)
    queue.submit(model="sd15", slots=3)
    queue.submit(model="other", slots=9)
    assert _counts(queue, queries) == {"dti-worker-sdxl": 5, "dti-worker-small": 5}
    for claim in queue.claim(models=("sdxl", "tiny")):
        if claim.model == "tiny":
            queue.write(jobs.succeed, claim)
    assert _counts(queue, queries) == {"dti-worker-sdxl": 5, "dti-worker-small": 3}


def _counts(queue, queries):
    with queue.database.reading() as session:
        return {name: int(session.execute(text(query)).scalar()) for name, query in queries.items()}
