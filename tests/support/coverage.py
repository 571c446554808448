"""Line and branch coverage over all processes of pytest-xdist: `python -m pytest -p tests.support.coverage`.

Python 3.11 has no cheap tracing: coverage.py takes a third of the suite's time. slipcover instruments each module at
its import and removes the instrumentation of lines that have been executed.
"""

import json

import pytest
import slipcover

PACKAGES = ["api", "worker", "service", "stack", "dti", "cli"]
FLOOR_PERCENT = 94.0
"""Never lowered; commands and worker processes of the end-to-end tests are not counted."""

# Here and not in a hook: conftest.py already imports what is measured.
measured = slipcover.Slipcover(branch=True, source=PACKAGES)
slipcover.ImportManager(measured, slipcover.FileMatcher(sources=PACKAGES)).__enter__()
reports = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Keep the coverage of a process that has ended."""
    output = getattr(node, "workeroutput", {})
    if "coverage" in output:
        reports.append(json.loads(output["coverage"]))


def pytest_sessionfinish(session):
    """Send this process's coverage to the first one, which merges all of it and fails below the floor."""
    own = measured.get_coverage()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["coverage"] = json.dumps(own)
        return
    for report in reports:
        slipcover.merge_coverage(own, report)
    reports[:] = [own]
    if own["summary"]["percent_covered"] < FLOOR_PERCENT and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    """Print the lines and branches that no test has reached."""
    slipcover.print_coverage(reports[0], outfile=terminalreporter, skip_covered=True)
    percent = reports[0]["summary"]["percent_covered"]
    terminalreporter.write_line(f"Coverage: {percent:.1f} %, at least {FLOOR_PERCENT:g} % are required.")
