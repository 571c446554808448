"""A page on which people compare pictures of two arms without knowing which is which.

Answers stay in the browser and are saved as a file; nothing is sent. Sides and order are shuffled with a fixed seed,
and the arms' names are in the answers only.
"""

import json
import random
from pathlib import Path

from PIL import Image

from dti.pictures import data_address
from dti.study.items import PictureItem, pictures
from dti.study.manifest import CLASS_WORD, Manifest
from dti.study.training import open_picture

PAIRS, SHOWN_REFERENCES, SIDE_PX = 40, 3, 256

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Blind comparison</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
img{width:12rem;height:12rem;object-fit:contain;background:#eee}#references img{width:6rem;height:6rem}
button{font:inherit;padding:.4rem 1rem;margin:.2rem}</style>
<h1>Blind comparison</h1><p id="state"></p><div id="references"></div><p>Prompt: <b id="prompt"></b></p>
<div id="pair"></div>
<p>Closer to the pictures above: <button data-question="likeness" data-answer="0">left</button>
<button data-question="likeness" data-answer="1">right</button>
<button data-question="likeness" data-answer="">neither</button></p>
<p>Closer to the prompt: <button data-question="obedience" data-answer="0">left</button>
<button data-question="obedience" data-answer="1">right</button>
<button data-question="obedience" data-answer="">neither</button></p>
<p><button id="save">Save the answers</button></p>
<script>
const pairs = DATA, key = "study-" + pairs.manifest;
const answers = JSON.parse(localStorage.getItem(key) || "{}");
const at = () => pairs.pairs.findIndex((pair, i) => Object.keys(answers[i] || {}).length < 2);
const image = (source) => { const made = new Image(); made.src = source; made.alt = ""; return made; };
function show() {
  const i = at(), pair = pairs.pairs[i];
  const state = i < 0 ? "All pairs are answered." : `Pair ${i + 1} of ${pairs.pairs.length}`;
  document.querySelector("#state").textContent = state;
  if (!pair) return;
  document.querySelector("#prompt").textContent = pair.prompt;
  document.querySelector("#references").replaceChildren(...pairs.references[pair.concept].map(image));
  document.querySelector("#pair").replaceChildren(...pair.pictures.map(image));
}
document.addEventListener("click", (event) => {
  const { question, answer } = event.target.dataset, i = at();
  if (!question || i < 0) return;
  (answers[i] ||= {})[question] = answer === "" ? null : pairs.pairs[i].arms[Number(answer)];
  localStorage.setItem(key, JSON.stringify(answers));
  show();
});
document.querySelector("#save").addEventListener("click", () => {
  const rows = pairs.pairs.map(({ concept, prompt, arms }, i) => ({ concept, prompt, arms, ...answers[i] }));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(rows, null, 1)], { type: "application/json" }));
  link.download = "answers.json";
  link.click();
});
show();
</script></html>"""


def blind_page(manifest: Manifest, folder: Path) -> str:
    """The page.

    Args:
        manifest: the study.
        folder: of the study, rendered.
    """
    chosen = random.Random(0)  # noqa: S311 - an order, no secret
    items = {
        (item.arm, item.concept.name, item.prompt_index, item.seed): item
        for item in pictures(manifest)
        if item.mix is None and item.arm != CLASS_WORD and item.concept.split == "report"
    }
    own = [item for item in items.values() if item.arm == manifest.reference_arm]
    others = [arm.name for arm in manifest.arms if arm.name != manifest.reference_arm]
    pairs = [
        _pair(item, items[chosen.choice(others), item.concept.name, item.prompt_index, item.seed], folder, chosen)
        for item in chosen.sample(own, min(PAIRS, len(own)) if others else 0)
    ]
    shown = {pair["concept"] for pair in pairs}
    references = {
        concept.name: [
            data_address(open_picture(Path(manifest.pictures), picture), SIDE_PX // 2)
            for picture in concept.references[:SHOWN_REFERENCES]
        ]
        for concept in manifest.concepts
        if concept.name in shown
    }
    data = {"manifest": manifest.digest, "references": references, "pairs": pairs}
    # "</" would end the script element early.
    return PAGE.replace("DATA", json.dumps(data).replace("</", "<\\/"))


def _pair(a: PictureItem, b: PictureItem, folder: Path, chosen: random.Random) -> dict[str, object]:
    sides = chosen.sample([a, b], 2)
    shown = []
    for item in sides:
        with Image.open(item.file(folder)) as picture:
            shown.append(data_address(picture, SIDE_PX))
    return {
        "concept": a.concept.name,
        "prompt": a.asked,
        "arms": [item.arm for item in sides],
        "pictures": shown,
    }
