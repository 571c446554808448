"""Whom a shift takes, and when it ends."""

from itertools import count

from worker.loaded_model import PICTURE_ROOM


def break_denoiser_at(worker, *forwards, above_rows):
    """Has some of the denoiser's forwards of more rows than some fail, counted from 0, as a bug would."""
    number = count()

    def complain(_module, arguments, keywords):
        sample = keywords.get("sample", arguments[0] if arguments else None)
        if len(sample) > above_rows and next(number) in forwards:
            raise ValueError("broken")

    unet = worker.model_cache.station("noise").family._unet
    return unet.register_forward_pre_hook(complain, with_kwargs=True)


def test_nobody_joins_the_last_suspect(client, worker):
    # Unguided pictures take a row each; only the training's forwards have more than sixteen.
    hook = break_denoiser_at(worker, 0, 30, above_rows=16)
    crowd, bad = client.generate(num_images=16, guidance_scale=1.0), client.train("bad", batch_size=20, steps=1000)
    late = client.generate(guidance_scale=1.0)
    worker.work()
    hook.remove()
    assert [client.job(job).status for job in (crowd, bad, late)] == ["succeeded", "failed", "succeeded"]
    assert client.job(late).started_at >= client.job(bad).finished_at


def test_a_shift_goes_on_while_jobs_that_fail_at_once_keep_others_out(client, worker):
    doomed = [client.generate(model="missing") for _ in range(PICTURE_ROOM + 1)]
    worker.work()
    assert {client.job(job).status for job in doomed} == {"failed"}
