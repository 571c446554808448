"""`make demo`: train, generate and interpolate end to end, on this machine alone.

Starts the whole stack in a new folder, trains two concepts of examples/ over HTTP, generates images of each,
interpolates between them, and saves everything in demo-output/.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dti.pictures import contact_sheet
from stack.processes import LOOPBACK, Child, Program, free_port, responds

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
CONCEPTS = ("purple-owl", "pink-mushroom")
OUTPUT = ROOT / "demo-output"
PROMPTS = (
    "a photo of {}",
    "a photo of {} on the beach",
    "a photo of {} in the snow",
    "a photo of {} wearing a crown",
    "a sketch of {}",
)
PICTURES_A_PROMPT = 2
FRAMES = 12
SEED = 7
POLL_INTERVAL_S = 0.25
SHEET_CELL_PX = (192, 192)

console = Console()


@dataclass(frozen=True)
class Example:
    """A concept of examples/: a folder of pictures and a class word."""

    folder: Path

    @property
    def name(self) -> str:
        """Its name in prompts."""
        return self.folder.name

    @property
    def class_word(self) -> str:
        """Its class."""
        return str(json.loads((self.folder / "concept.json").read_text())["class_word"])

    @property
    def pictures(self) -> list[Path]:
        """Its training pictures."""
        return sorted(self.folder.glob("*.png"))


def main() -> None:
    """Run the demo."""
    started_at = time.monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="dti-demo-") as folder, running_stack(Path(folder)) as address:
        with httpx.Client(base_url=address, timeout=90, trust_env=False) as client:
            run(client)
        console.print("Stopping …")
    console.print(f"Done in {time.monotonic() - started_at:.0f} s. The images are in [bold]{OUTPUT}[/]")


def run(client: httpx.Client) -> None:
    """Train, generate and interpolate on a running service."""
    examples = [Example(EXAMPLES / name) for name in CONCEPTS]
    train(client, examples)
    for example in examples:
        generate(client, example)
    interpolate(client, *examples)


@contextmanager
def running_stack(home: Path) -> Iterator[str]:
    """The whole stack, with its data in a folder; yields its URL."""
    port = free_port()
    unset = {name: "" for name in os.environ if name.startswith("DTI_")}
    program = Program(
        name="serve",
        argv=[sys.executable, "-P", "-m", "cli", "serve"],
        environment={**unset, "DTI_HOME": str(home), "DTI_PORT": str(port)},
        ready=lambda: responds(port),
        start_timeout_s=120,
        stop_timeout_s=60,
    )
    console.print("Starting the stores, the API and a worker …")
    with Child(program, home / "logs"):
        yield f"http://{LOOPBACK}:{port}"


def train(client: httpx.Client, examples: list[Example]) -> None:
    """Create and train the concepts, with progress bars."""
    jobs = {}
    for example in examples:
        files = [("images", (path.name, path.read_bytes(), "image/png")) for path in example.pictures]
        fields = {"name": example.name, "class_word": example.class_word}
        response = check_response(client.post("/v1/concepts", data=fields, files=files))
        jobs[f"training <{example.name}>"] = response["job"]["id"]
        copy_pictures(OUTPUT / example.name / "training", example.pictures)
    follow(client, jobs)


def generate(client: httpx.Client, example: Example) -> None:
    """Generate images of a concept from several prompts."""
    jobs: dict[str, str] = {}
    for prompt in PROMPTS:
        request = {"prompt": prompt.format(f"<{example.name}>"), "num_images": PICTURES_A_PROMPT, "seed": SEED}
        jobs[str(request["prompt"])] = check_response(client.post("/v1/generations", json=request))["id"]
    for prompt, job in follow(client, jobs).items():
        for number, image in enumerate(job["output"]["images"]):
            save(client, image, OUTPUT / example.name / f"{filename(prompt, example)}-{number}.png")
    overview(OUTPUT / example.name)


def overview(folder: Path) -> None:
    """Save one sheet of training pictures and generated images."""
    training_pictures, generated = sorted((folder / "training").glob("*.png")), sorted(folder.glob("*.png"))
    pictures = [Image.open(path).convert("RGB").resize(SHEET_CELL_PX) for path in (*training_pictures, *generated)]
    labels = ["training"] * len(training_pictures) + [path.stem.replace("-", " ") for path in generated]
    contact_sheet(pictures, len(training_pictures), labels).save(folder / "overview.png")


def interpolate(client: httpx.Client, first: Example, second: Example) -> None:
    """Interpolate between two concepts."""
    request = {
        "from": first.name,
        "to": second.name,
        "prompt": "a photo of {}",
        "frames": FRAMES,
        "animation": "gif",
        "contact_sheet": True,
        "seed": SEED,
    }
    title = f"from <{first.name}> to <{second.name}>"
    job = follow(client, {title: check_response(client.post("/v1/interpolations", json=request))["id"]})[title]
    folder = OUTPUT / f"{first.name}-to-{second.name}"
    for number, image in enumerate(job["output"]["images"]):
        save(client, image, folder / f"frame-{number:02}.png")
    save(client, job["output"]["contact_sheet"], folder / "contact-sheet.png")
    save(client, job["output"]["animation"], folder / "animation.gif")


def follow(client: httpx.Client, jobs: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Show a progress bar for each job until all have ended; returns the ended jobs by title."""
    ended: dict[str, dict[str, Any]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks = {title: bars.add_task(title.replace("[", r"\["), total=None) for title in jobs}
        while len(ended) < len(jobs):
            time.sleep(POLL_INTERVAL_S)
            for title in jobs.keys() - ended.keys():
                job = check_response(client.get(f"/v1/jobs/{jobs[title]}"))
                bars.update(tasks[title], completed=job["progress"]["step"], total=job["progress"]["total"])
                if job["finished_at"]:
                    bars.stop_task(tasks[title])
                    ended[title] = check_succeeded(job)
    return ended


def check_succeeded(job: dict[str, Any]) -> dict[str, Any]:
    """The job itself; exits where it has not succeeded."""
    if job["status"] != "succeeded":
        raise SystemExit(f"{job['kind']} {job['id']} {job['status']}: {job['error']}")
    return job


def check_response(response: httpx.Response) -> dict[str, Any]:
    """The JSON of a response; exits on an error."""
    if response.is_error:
        raise SystemExit(
            f"{response.request.method} {response.request.url} responded {response.status_code}: {response.text}"
        )
    content: dict[str, Any] = response.json()
    return content


def save(client: httpx.Client, image: dict[str, Any], path: Path) -> None:
    """Download an image by its signed URL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(client.get(image["url"]).raise_for_status().content)


def copy_pictures(folder: Path, pictures: list[Path]) -> None:
    """Copy pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in pictures:
        shutil.copy(path, folder)


def filename(prompt: str, example: Example) -> str:
    """A prompt as a file name."""
    return prompt.replace(f"<{example.name}>", example.class_word).replace(" ", "-")


if __name__ == "__main__":
    main()
