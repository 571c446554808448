"""`python -m bench.chaos`: submit jobs of all kinds, break things, check the books; exits with 1 on a fault."""

import argparse
import io
import json
import random
import secrets
import sys
import threading
import time

from PIL import Image, ImageDraw

from bench.chaos.books import Books, Entry
from bench.chaos.fleet import Fleet, running

TRAINING = {"steps": 60, "batch_size": 2}
RENDERING = {"steps": 8, "width": 64, "height": 64}
OUTAGE_S = 20.0
REVIVE_EVERY_S = 0.3


def main() -> int:
    """Run it; returns the exit code."""
    options = _options()
    chance = random.Random(options.seed)
    with running(options.lease) as fleet:
        books = Books(fleet.url)
        started_at = time.monotonic()
        client = threading.Thread(target=_use, args=(books, options), daemon=True)
        client.start()
        # In this thread: the kernel ends a process with the thread that has started it.
        _break(fleet, options, chance)
        while client.is_alive():
            fleet.revive()
            time.sleep(REVIVE_EVERY_S)
        _report(books, options, time.monotonic() - started_at)
    return 1 if books.faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos")
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--kills", type=int, default=4, help="kill -9 of a random worker, at random moments")
    parser.add_argument("--freezes", type=int, default=0, help="a worker stands still for three leases")
    parser.add_argument("--outages", action="store_true", help="stores vanish for 20 s each, and the broker's messages")
    parser.add_argument("--api-kills", type=int, default=0, help="kill -9 of the API, at random moments")
    parser.add_argument("--between", type=float, default=6.0, help="mean seconds between two faults")
    parser.add_argument("--lease", type=float, default=5.0)
    parser.add_argument("--timeout", type=float, default=1200.0, help="seconds until all jobs have to end")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _use(books: Books, options: argparse.Namespace) -> None:
    """Be a client: submit the jobs, wait for their ends, and check them."""
    try:
        books.request("GET", "/health/live")
        _submit(books, options.jobs, random.Random(options.seed + 1))
        books.settle(options.timeout)
    except Exception as error:  # noqa: BLE001 - a fault of the run, reported as the others
        books.fault(f"the client ended early: {error!r}")


def _submit(books: Books, jobs: int, chance: random.Random) -> None:
    """Submit the jobs: trainings, generations, interpolations, and a poison among them; blends in between."""
    concept = _train(books, 0)
    _wait(books, concept)
    for number in range(1, jobs - 1):
        match chance.randrange(4):
            case 0:
                _train(books, number)
            case 1:
                body = {"from": "thing-0", "to": "thing-0", "prompt": "a photo of {}", **RENDERING}
                job = _accepted(books, "/v1/interpolations", {**body, "shares": [0.0, 0.5, 1.0]})
                books.add(Entry(job, "interpolate", pictures=3))
            case _:
                count = chance.randint(1, 4)
                body = {"prompt": "a photo of <thing-0>", "num_images": count, **RENDERING}
                books.add(Entry(_accepted(books, "/v1/generations", body), "generate", pictures=count))
        if number % 10 == 0:
            _blend(books, number)
    body = {"prompt": "poison", **RENDERING}
    books.add(Entry(_accepted(books, "/v1/generations", body), "generate", poison=True))


def _train(books: Books, number: int) -> str:
    files = [("images", (f"{index}.png", data, "image/png")) for index, data in enumerate(_pictures(number))]
    fields = {"name": f"thing-{number}", "class_word": "dog", "training": json.dumps({**TRAINING, "seed": number})}
    response = books.request("POST", "/v1/concepts", secrets.token_hex(8), data=fields, files=files)
    if response.is_error:
        raise RuntimeError(f"A training was refused: {response.text}")
    job_id = str(response.json()["job"]["id"])
    books.add(Entry(job_id, "train"))
    return job_id


def _blend(books: Books, number: int) -> None:
    body = {"name": f"mixed-{number}", "parts": [{"concept": "thing-0", "weight": 1.0}]}
    response = books.request("POST", "/v1/concepts/blend", secrets.token_hex(8), json=body)
    if response.is_error:
        books.fault(f"a blend was refused: {response.status_code} {response.text[:200]}")


def _accepted(books: Books, path: str, body: dict[str, object]) -> str:
    response = books.request("POST", path, secrets.token_hex(8), json=body)
    if response.is_error:
        raise RuntimeError(f"{path} was refused: {response.text}")
    return str(response.json()["id"])


def _wait(books: Books, job_id: str) -> None:
    while books.request("GET", f"/v1/jobs/{job_id}").json()["status"] in {"queued", "running"}:
        time.sleep(0.5)


def _break(fleet: Fleet, options: argparse.Namespace, chance: random.Random) -> None:
    """Do all faults, in random order and at random moments; processes that end by themselves are started again."""
    faults = [
        *(["kill"] * options.kills),
        *(["kill the API"] * options.api_kills),
        *(["freeze"] * options.freezes),
        *(["broker", "broker", "s3", "s3", "postgresql", "postgresql", "postgresql"] if options.outages else []),
    ]
    chance.shuffle(faults)
    for fault in faults:
        until = time.monotonic() + chance.uniform(0.3, 2 * options.between)
        while time.monotonic() < until:
            fleet.revive()
            time.sleep(REVIVE_EVERY_S)
        _do(fleet, fault, options, chance)


def _do(fleet: Fleet, fault: str, options: argparse.Namespace, chance: random.Random) -> None:
    match fault:
        case "kill":
            fleet.kill(fleet.random_worker(chance))
        case "kill the API":
            fleet.kill("api")
        case "freeze":
            fleet.freeze(fleet.random_worker(chance), 3 * options.lease)
        case "broker":
            fleet.proxies["valkey"].down()
            fleet.empty_broker()
            time.sleep(OUTAGE_S / 4)
            fleet.proxies["valkey"].up()
        case store:
            fleet.proxies[store].down()
            time.sleep(OUTAGE_S)
            fleet.proxies[store].up()


def _pictures(number: int) -> list[bytes]:
    return [_picture(number, shift=8 * index) for index in range(3)]


def _picture(number: int, shift: int) -> bytes:
    picture = Image.new("RGB", (96, 96), (230, 225 - shift, 200))
    colour = (40 + 37 * number % 200, 80, 160)
    ImageDraw.Draw(picture).ellipse((10 + shift, 20, 60 + shift, 70), fill=colour, outline="black", width=3)
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def _report(books: Books, options: argparse.Namespace, elapsed_s: float) -> None:
    kinds = {kind: sum(entry.kind == kind for entry in books.entries) for kind in ("train", "generate", "interpolate")}
    print(f"{len(books.entries)} jobs {kinds} in {elapsed_s:.0f} s; options: {vars(options)}")
    print(f"answers: {dict(sorted(books.statuses.items()))}")
    print(f"faults: {len(books.faults)}")
    for fault in books.faults:
        print(f"  {fault}")


if __name__ == "__main__":
    sys.exit(main())
