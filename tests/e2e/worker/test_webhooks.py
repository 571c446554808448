"""Delivery of webhook messages by several maintenance processes."""

import os
import signal
import subprocess
import time
from collections import Counter

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from service.database.tables import LOCAL_OWNER_ID
from service.webhooks import endpoints
from service.webhooks.endpoints import WebhookParams
from tests.support.stack import CLI
from tests.support.webhook_receiver import listening
from tests.support.worker_driver import until


@pytest.fixture
def environment(environment):
    return {**environment, "DTI_WEBHOOK_PRIVATE_NETWORKS": "on"}


@pytest.fixture
def receiver():
    with listening() as opened:
        yield opened


@pytest.fixture
def two_maintenance_processes(environment, tmp_path):
    with (tmp_path / "maintenance.log").open("wb") as log:
        command, options = (
            [*CLI, "worker", "--maintenance"],
            {"env": os.environ | environment, "stdout": log, "stderr": log},
        )
        processes = [subprocess.Popen(command, **options) for _ in range(2)]
        yield processes
        for process in processes:
            process.kill()
            process.wait()


def test_two_maintenance_processes_deliver_each_message_once_and_log_no_url(
    service, two_maintenance_processes, receiver, tmp_path
):
    with service.database.writing() as session:
        webhook = endpoints.create(service.settings, session, LOCAL_OWNER_ID, WebhookParams(url=receiver.url("/hush")))
    sent = []
    for _ in range(20):
        with service.database.writing() as session:
            sent.append(endpoints.send_test(session, LOCAL_OWNER_ID, webhook.id).id)
    until(lambda: len(receiver.got) >= len(sent))
    time.sleep(2)
    for process in two_maintenance_processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(timeout=30) for process in two_maintenance_processes] == [0, 0]
    assert Counter(headers["webhook-id"] for _, headers, _ in receiver.got) == Counter(sent)
    for _, headers, body in receiver.got:
        Verifier(webhook.secret).verify(body, headers)
    log = (tmp_path / "maintenance.log").read_text()
    assert "hush" not in log
    assert webhook.secret not in log
