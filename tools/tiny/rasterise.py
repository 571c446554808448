"""Turns the SVG emoji of the npm icon sets into the small PNG pictures that the world is composed from.

Run it after a change of the choice of artwork (`npm pack @iconify-json/<set>`, unpack, then
`python -m tools.tiny.rasterise FOLDER`) and needs `resvg-py`; nothing else in the recipe does.
It knows nothing of scenes. Licences and authors of the sets stand in NOTICE.
"""

import argparse
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import resvg_py
from PIL import Image

from tools.tiny.artwork import ARTWORK

SIDE_PX = 160
OBJECT_ICONS = {
    "dog": "dog-face",
    "cat": "cat-face",
    "owl": "owl",
    "ghost": "ghost",
    "panda": "panda",
    "penguin": "penguin",
    "robot": "robot",
    "car": "automobile",
    "mug": "hot-beverage",
    "apple": "red-apple",
    "mushroom": "mushroom",
    "rocket": "rocket",
    "bird": "bird",
    "fish": "tropical-fish",
    "man": "man",
    "woman": "woman",
    "flower": "sunflower",
    "plant": "potted-plant",
    "tree": "deciduous-tree",
    "house": "house",
    "shoe": "running-shoe",
    "bag": "handbag",
    "clock": "alarm-clock",
    "bear": "bear",
    "rabbit": "rabbit-face",
    "cake": "birthday-cake",
}
ACCESSORY_ICONS = {
    "top hat": "top-hat",
    "crown": "crown",
    "sunglasses": "sunglasses",
    "bow": "ribbon",
    "balloon": "balloon",
}
HELD_OUT_ICONS = {name: icon for name, icon in OBJECT_ICONS.items() if name != "plant"}
ICONS = {
    "noto": OBJECT_ICONS | ACCESSORY_ICONS,
    "fluent-emoji-flat": OBJECT_ICONS | ACCESSORY_ICONS,
    "fluent-emoji": OBJECT_ICONS,
    "twemoji": OBJECT_ICONS,
    "emojione": {name: icon for name, icon in HELD_OUT_ICONS.items() if name != "robot"}
    | {"car": "oncoming-automobile"},
    "noto-v1": HELD_OUT_ICONS,
}


def draw(icons: dict[str, Any], name: str, side_px: int) -> Image.Image:
    """Draw one icon of a set on a transparent square.

    Args:
        icons: the parsed `icons.json` of an Iconify package.
        name: an icon or an alias of one.
        side_px: side of the square.

    Returns:
        An RGBA picture.
    """
    while name not in icons["icons"]:
        name = icons["aliases"][name]["parent"]
    icon = icons["icons"][name]
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {width} {height}" '
        f'width="{side_px}" height="{side_px}">{icon["body"]}</svg>'
    )
    return Image.open(BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg)))).convert("RGBA")


def main() -> None:
    """Rasterise every chosen icon of every set found in the folder given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds one folder <set>/package/icons.json for each set")
    folder = parser.parse_args().folder
    for art_set, chosen in ICONS.items():
        icons = json.loads((folder / art_set / "package" / "icons.json").read_text("utf-8"))
        (ARTWORK / art_set).mkdir(parents=True, exist_ok=True)
        for name, icon in chosen.items():
            draw(icons, icon, SIDE_PX).save(ARTWORK / art_set / f"{name.replace(' ', '-')}.png", optimize=True)


if __name__ == "__main__":
    main()
