"""Unfinished jobs: shown, cancelled, and watched across a restart of the server."""

from playwright.sync_api import expect

from tests.support.stack import drawings, fail_afterwards

RESTART_MS = 120_000
"""A restarted worker loads its model and waits for the lease of the killed one before it resumes."""
LONG_TRAINING = {"steps": 5000, "batch_size": 1}


def test_a_training_is_cancelled_in_the_queue(visit, stack, concepts, screenshot):
    job = stack.client.train("endless", drawings("gold"), **LONG_TRAINING)
    page = visit(stack, "activity")
    unfinished = page.get_by_role("region", name="Unfinished")
    expect(unfinished).to_contain_text("of 5,000 steps")
    screenshot(page, "activity-light-wide")
    unfinished.get_by_role("button", name="Cancel: Training endless").click()
    expect(unfinished).to_contain_text("No unfinished jobs")
    expect(page.get_by_role("region", name="Finished").get_by_role("listitem").first).to_contain_text("Cancelled")
    assert stack.client.get(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled"
    stack.client.delete("/v1/concepts/endless")


def test_a_failed_job_is_run_again_from_the_list_and_from_its_own_view(visit, stack, concepts):
    job = stack.client.succeeded(stack.client.generate("a <ball> on ice", steps=2))
    fail_afterwards(stack, job, "The worker vanished.")
    page = visit(stack, "activity")
    row = page.get_by_role("region", name="Finished").get_by_role("listitem").first
    expect(row).to_contain_text("The worker vanished.")
    row.get_by_role("button", name="Run again: Generation ball").click()
    expect(row).to_contain_text("Succeeded")
    expect(page.get_by_role("button", name="Run again")).to_have_count(0)
    fail_afterwards(stack, job, "The worker vanished.")
    page = visit(stack, "create")
    result = page.get_by_role("article").filter(has_text="on ice")
    expect(result.get_by_role("alert")).to_contain_text("The worker vanished.")
    result.get_by_role("button", name="Run again").click()
    expect(result.get_by_role("button", name="New seed")).to_be_visible()
    expect(result.get_by_role("button", name="Run again")).to_have_count(0)
    expect(result.get_by_text("The worker vanished.")).to_have_count(0)
    assert stack.client.get(f"/v1/jobs/{job['id']}").json()["status"] == "succeeded"


def test_a_training_is_watched_across_a_restart_of_the_server(visit, stack, concepts):
    stack.client.train("patient", drawings("gold"), steps=150, batch_size=1)
    page = visit(stack, "concepts/patient")
    page.monitor.expect("ERR_|503")
    training = page.get_by_role("region", name="Training", exact=True)
    expect(training).to_contain_text("of 150 steps")
    stack.kill()
    banner = page.get_by_role("status").filter(has_text="Connection lost")
    expect(banner).to_be_visible()
    stack.start()
    expect(banner).to_be_hidden()
    expect(training).to_contain_text("Succeeded", timeout=RESTART_MS)
    expect(page.get_by_role("link", name="Generate")).to_be_visible()
    assert len(training.locator(".loss-chart .smooth").get_attribute("d").split("L")) == 150
    stack.client.delete("/v1/concepts/patient")
