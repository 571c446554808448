"""The synchronous and the asynchronous client against the whole stack: the main job and its errors."""

import asyncio

import pytest
from dti_client import AsyncClient, Client
from dti_client.errors import ConceptNotReadyError, JobCancelledError, NameTakenError, NotFoundError, WaitTimeoutError

from tests.support.stack import drawings

QUICK = {"steps": 20, "batch_size": 2, "seed": 3}


@pytest.fixture
def dti(stack):
    with Client(stack.url) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    for number, data in enumerate(drawings("teal")):
        (tmp_path / f"{number}.png").write_bytes(data)
    (tmp_path / "0.txt").write_text("a photo of {}")
    return tmp_path


def test_the_main_job_from_a_folder_to_files(dti, folder, tmp_path):
    steps = []
    job = dti.wait(
        dti.train_from_folder("from-folder", "dog", folder, training=QUICK),
        on_progress=lambda now: steps.append(now.progress.step),
    )
    assert job.status == "succeeded"
    assert steps == sorted(steps)
    assert len(set(steps)) > 2
    concept = dti.read_concept("from-folder")
    assert (concept.trigger, concept.ready, len(concept.images)) == ("<from-folder>", True, 4)
    generation = dti.wait(dti.create_generation("a <from-folder>", num_images=2, steps=4, seed=5))
    files = dti.download(generation, tmp_path / "results")
    assert [path.name for path in files] == ["00.png", "01.png"]
    assert [path.stat().st_size for path in files] == [image.bytes for image in generation.output.images]
    assert dti.list_jobs(concept="from-folder", kind="generate").items[0].id == generation.id
    assert dti.read_embedding("from-folder")[:8] != b""
    with pytest.raises(NameTakenError):
        dti.train_from_folder("from-folder", "dog", folder)
    dti.delete_concept("from-folder")
    with pytest.raises(NotFoundError):
        dti.read_concept("from-folder")


def test_waiting_times_out_and_a_cancelled_job_ends(dti, folder):
    job = dti.train_from_folder("endless", "dog", folder, training={**QUICK, "steps": 5000})
    with pytest.raises(WaitTimeoutError):
        dti.wait(job, timeout_s=0.5)
    with pytest.raises(ConceptNotReadyError):
        dti.create_generation("a <endless>")
    dti.cancel_job(job.id)
    with pytest.raises(JobCancelledError):
        dti.wait(job)


def test_events_are_streamed_after_any_event(dti):
    job = dti.wait(dti.create_generation("a dog", steps=2))
    events = list(dti.follow_job(job))
    assert [events[0].event, events[-1].event] == ["status", "done"]
    # Addresses are signed anew for each stream, so events are compared without their data.
    later = dti.follow_job(job, last_event_id=events[1].id)
    assert [(event.id, event.event) for event in later] == [(event.id, event.event) for event in events[2:]]
    assert list(dti.follow_job(job, last_event_id=events[-1].id)) == []


def test_the_async_client_does_the_same(stack, folder, tmp_path):
    async def main():
        async with AsyncClient(stack.url) as dti:
            await dti.wait(await dti.train_from_folder("async", "dog", folder, training=QUICK))
            first, other = await asyncio.gather(*(dti.create_generation("a <async>", steps=2, seed=n) for n in (1, 2)))
            ended = await asyncio.gather(dti.wait(first), dti.wait(other))
            return [await dti.download(job, tmp_path / job.id) for job in ended]

    assert [[path.name for path in files] for files in asyncio.run(main())] == [["00.png"], ["00.png"]]
