"""What waits and works: seen, stopped, and followed through a server that goes away."""

from playwright.sync_api import expect

from tests.support.stack import drawings

LONG = {"steps": 5000, "batch_size": 1}


def test_a_training_is_cancelled_in_the_queue(visit, stack, concepts, keep):
    job = stack.client.train("endless", drawings("gold"), **LONG)
    page = visit(stack, "activity")
    now = page.get_by_role("region", name="Now")
    expect(now).to_contain_text("of 5,000 steps")
    keep(page, "activity-light-wide")
    now.get_by_role("button", name="Cancel: Learning endless").click()
    expect(now).to_contain_text("Nothing waits")
    expect(page.get_by_role("region", name="Before").get_by_role("listitem").first).to_contain_text("Cancelled")
    assert stack.client.get(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled"
    stack.client.delete("/v1/concepts/endless")


def test_a_training_is_followed_through_a_restart_of_the_server(visit, stack, concepts):
    stack.client.train("patient", drawings("gold"), steps=150, batch_size=1)
    page = visit(stack, "concepts/patient")
    page.watch.expect("ERR_|503")
    training = page.get_by_role("region", name="Training")
    expect(training).to_contain_text("of 150 steps")
    stack.kill()
    banner = page.get_by_role("status").filter(has_text="The server does not answer")
    expect(banner).to_be_visible()
    stack.start()
    expect(banner).to_be_hidden()
    expect(training).to_contain_text("Done")
    expect(page.get_by_role("link", name="Make pictures")).to_be_visible()
    assert len(training.locator(".course .smooth").get_attribute("d").split("L")) == 150
    stack.client.delete("/v1/concepts/patient")
