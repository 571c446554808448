"""The alert rules: each fires in a unit test and stops, and its metrics exist; so do those of the dashboard."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from api.process_metrics import ProcessMetrics
from service import metrics

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yaml"
TESTS = DEPLOY / "prometheus" / "alerts_test.yaml"
DASHBOARD = DEPLOY / "grafana" / "dti.json"


def rules():
    return {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}


def promtool(*arguments):
    found = shutil.which("promtool") or str(Path(sys.executable).with_name("promtool"))
    assert Path(found).exists(), "There is no promtool. `make promtool` gets it."
    return subprocess.run([found, *map(str, arguments)], check=False, capture_output=True, text=True)


def names_in(expression):
    return set(re.findall(r"\bdti_\w+", expression))


@pytest.fixture
def known(queue):
    """The names of all metrics, those of histograms with their series."""
    process = ProcessMetrics()
    process.observe_request("GET", "/v1/jobs", 200, 0.1)
    process.observe_rpc("succeeded", 0.1)
    process.observe_upload(0.1)
    process.count_refusal("too_many_requests")
    text = process.exposition().decode() + queue.read(metrics.exposition, ["tiny"]).decode()
    families = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    series = {name for name, _ in families}
    return series | {
        f"{name}_{end}" for name, kind in families if kind == "histogram" for end in ("bucket", "count", "sum")
    }


def test_every_rule_fires_while_its_cause_lasts_and_stops_after_it():
    checked = promtool("test", "rules", TESTS)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fired == silent == set(rules())


def test_promtool_accepts_the_rules():
    assert promtool("check", "rules", RULES).returncode == 0


def test_every_rule_has_a_severity_and_a_recipe_in_the_documentation():
    recipes = (DEPLOY.parent / "docs" / "operations.md").read_text()
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"].endswith(".")
        assert f"`{name}`" in recipes, name


def test_every_metric_of_a_rule_exists(known):
    for name, rule in rules().items():
        assert names_in(rule["expr"]), name
        assert names_in(rule["expr"]) <= known, name


def test_every_metric_of_the_dashboard_exists(known):
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(expressions) >= 12
    assert {name for expression in expressions for name in names_in(expression)} <= known
    positions = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(positions)) == len(positions)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(positions)


def test_every_metric_is_in_the_documentation(known):
    described = (DEPLOY.parent / "docs" / "operations.md").read_text()
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name in known}
    assert [name for name in sorted(names) if f"`{name}" not in described] == []
