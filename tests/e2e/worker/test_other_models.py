"""A concept on other models than the one it was trained on."""

import pytest

from tests.support.worker_driver import MODEL, catalogue_file


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """A model, another checkpoint of its family, and the first one under another name."""
    folder = tmp_path_factory.mktemp("models")
    path = catalogue_file(folder, models=(MODEL, "fine-tune"))
    again = f'[again]\nfamily = "sd"\nsource = "{folder / MODEL}"\nwidth = 32\nheight = 32\nsteps = 4\n'
    path.write_text(f"{path.read_text()}\n{again}")
    return path


def test_a_concept_renders_on_another_checkpoint_with_a_warning_and_on_the_same_weights_without(client, worker):
    client.train("my-dog", steps=2)
    worker.work()
    jobs = {name: client.generate("a photo of <my-dog>", model=name) for name in (MODEL, "again", "fine-tune")}
    refused = client.generate("a photo of <my-dog>", model="fine-tune", strict=True)
    worker.work()
    found = {name: client.job(job_id) for name, job_id in jobs.items()}
    assert {name: job.status for name, job in found.items()} == dict.fromkeys(jobs, "succeeded")
    codes = {name: [warning["code"] for warning in job.warnings] for name, job in found.items()}
    assert codes == {MODEL: [], "again": [], "fine-tune": ["concept_of_another_model"]}
    assert (client.job(refused).status, client.job(refused).error_code) == ("failed", "embedding_mismatch")
