"""`make demo`: the main job from end to end, on this machine alone.

Starts the whole stack in a fresh folder, teaches it two concepts from examples/ over HTTP, makes pictures with each,
walks from one to the other, and leaves everything in demo-output/.
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
from stack.processes import LOOPBACK, Child, Program, answers, free_port

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
POLL_S = 0.25
SHEET_CELL_PX = (192, 192)

console = Console()


@dataclass(frozen=True)
class Example:
    """A concept of examples/: a folder of pictures, and what they show in one word."""

    folder: Path

    @property
    def name(self) -> str:
        """What it is called in prompts."""
        return self.folder.name

    @property
    def class_word(self) -> str:
        """What it is a kind of."""
        return str(json.loads((self.folder / "concept.json").read_text())["class_word"])

    @property
    def pictures(self) -> list[Path]:
        """The pictures to learn from."""
        return sorted(self.folder.glob("*.png"))


def main() -> None:
    """Run the demo."""
    begun = time.monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="dti-demo-") as folder, running_stack(Path(folder)) as address:
        with httpx.Client(base_url=address, timeout=90, trust_env=False) as client:
            examples = [Example(EXAMPLES / name) for name in CONCEPTS]
            teach(client, examples)
            for example in examples:
                picture(client, example)
            walk(client, *examples)
        console.print("Stopping …")
    console.print(f"Done in {time.monotonic() - begun:.0f} s. The pictures are in [bold]{OUTPUT}[/]")


@contextmanager
def running_stack(home: Path) -> Iterator[str]:
    """The whole stack, with its data in a folder; yields its address."""
    port = free_port()
    unset = {name: "" for name in os.environ if name.startswith("DTI_")}
    program = Program(
        name="serve",
        argv=[sys.executable, "-P", "-m", "cli", "serve"],
        environment={**unset, "DTI_HOME": str(home), "DTI_PORT": str(port)},
        ready=lambda: answers(port),
        ready_s=120,
        stop_s=60,
    )
    console.print("Starting the stores, the API and a worker …")
    with Child(program, home / "logs"):
        yield f"http://{LOOPBACK}:{port}"


def teach(client: httpx.Client, examples: list[Example]) -> None:
    """Create the concepts and show how their trainings go."""
    jobs = {}
    for example in examples:
        files = [("images", (path.name, path.read_bytes(), "image/png")) for path in example.pictures]
        fields = {"name": example.name, "class_word": example.class_word}
        answer = checked(client.post("/v1/concepts", data=fields, files=files))
        jobs[f"learning <{example.name}>"] = answer["job"]["id"]
        keep(OUTPUT / example.name / "learned-from", example.pictures)
    follow(client, jobs)


def picture(client: httpx.Client, example: Example) -> None:
    """Make pictures of a concept from several prompts."""
    jobs: dict[str, str] = {}
    for prompt in PROMPTS:
        request = {"prompt": prompt.format(f"<{example.name}>"), "num_images": PICTURES_A_PROMPT, "seed": SEED}
        jobs[str(request["prompt"])] = checked(client.post("/v1/generations", json=request))["id"]
    for prompt, job in follow(client, jobs).items():
        for number, image in enumerate(job["output"]["images"]):
            save(client, image, OUTPUT / example.name / f"{file_name(prompt, example)}-{number}.png")
    overview(OUTPUT / example.name)


def overview(folder: Path) -> None:
    """Lay what was learned from, and what was made, out on one sheet."""
    learned_from, made = sorted((folder / "learned-from").glob("*.png")), sorted(folder.glob("*.png"))
    pictures = [Image.open(path).convert("RGB").resize(SHEET_CELL_PX) for path in (*learned_from, *made)]
    labels = ["learned from"] * len(learned_from) + [path.stem.replace("-", " ") for path in made]
    contact_sheet(pictures, len(learned_from), labels).save(folder / "overview.png")


def walk(client: httpx.Client, first: Example, second: Example) -> None:
    """Go from one concept to the other in small steps."""
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
    job = follow(client, {title: checked(client.post("/v1/interpolations", json=request))["id"]})[title]
    folder = OUTPUT / f"{first.name}-to-{second.name}"
    for number, image in enumerate(job["output"]["images"]):
        save(client, image, folder / f"frame-{number:02}.png")
    save(client, job["output"]["contact_sheet"], folder / "contact-sheet.png")
    save(client, job["output"]["animation"], folder / "animation.gif")


def follow(client: httpx.Client, jobs: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Show a bar for each job until all have ended; returns the ended jobs by their titles."""
    ended: dict[str, dict[str, Any]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks = {title: bars.add_task(title.replace("[", r"\["), total=None) for title in jobs}
        while len(ended) < len(jobs):
            time.sleep(POLL_S)
            for title in jobs.keys() - ended.keys():
                job = checked(client.get(f"/v1/jobs/{jobs[title]}"))
                bars.update(tasks[title], completed=job["progress"]["step"], total=job["progress"]["total"])
                if job["finished_at"]:
                    bars.stop_task(tasks[title])
                    ended[title] = succeeded(job)
    return ended


def succeeded(job: dict[str, Any]) -> dict[str, Any]:
    """The job itself; ends the demo where it did not succeed."""
    if job["status"] != "succeeded":
        raise SystemExit(f"{job['kind']} {job['id']} {job['status']}: {job['error']}")
    return job


def checked(answer: httpx.Response) -> dict[str, Any]:
    """An answer's content; ends the demo where the service refused."""
    if answer.is_error:
        raise SystemExit(f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text}")
    content: dict[str, Any] = answer.json()
    return content


def save(client: httpx.Client, image: dict[str, Any], path: Path) -> None:
    """Fetch a picture by its address, as a browser would, and write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(client.get(image["url"]).raise_for_status().content)


def keep(folder: Path, pictures: list[Path]) -> None:
    """Copy pictures beside what is made of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in pictures:
        shutil.copy(path, folder)


def file_name(prompt: str, example: Example) -> str:
    """A prompt as a file's name."""
    return prompt.replace(f"<{example.name}>", example.class_word).replace(" ", "-")


if __name__ == "__main__":
    main()
