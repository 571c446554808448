"""Claims during recovery, and the end of the loop."""

from itertools import count

from dti.planning.plans import MAX_PICTURES


def break_denoiser_at(worker, *forwards, above_rows):
    """Has the given forwards of more than `above_rows` rows fail, counted from 0, as a bug would."""
    number = count()

    def fail(_module, arguments, keywords):
        sample = keywords.get("sample", arguments[0] if arguments else None)
        if len(sample) > above_rows and next(number) in forwards:
            raise ValueError("broken")

    unet = worker.model_cache.get("noise").family._unet
    return unet.register_forward_pre_hook(fail, with_kwargs=True)


def test_no_job_joins_the_last_quarantined_one(client, worker):
    # Unguided pictures take a row each; only the training's forwards have more than sixteen.
    hook = break_denoiser_at(worker, 0, 30, above_rows=16)
    batch, bad = client.generate(num_images=16, guidance_scale=1.0), client.train("bad", batch_size=20, steps=1000)
    late = client.generate(guidance_scale=1.0)
    worker.work()
    hook.remove()
    assert [client.job(job).status for job in (batch, bad, late)] == ["succeeded", "failed", "succeeded"]
    assert client.job(late).started_at >= client.job(bad).finished_at


def test_the_loop_goes_on_when_all_claimed_jobs_failed_at_once_and_others_are_queued(client, worker):
    failing = [client.generate(model="missing") for _ in range(MAX_PICTURES + 1)]
    worker.work()
    assert {client.job(job).status for job in failing} == {"failed"}
