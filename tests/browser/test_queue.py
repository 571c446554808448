"""Unfinished jobs: shown, cancelled, and watched across a restart of the server."""

from playwright.sync_api import expect

from tests.support.stack import drawings

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
