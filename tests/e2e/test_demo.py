"""`make demo` on a stack that runs already, with fewer pictures; tests/e2e/test_serve.py starts stacks."""

import pytest
from PIL import Image

from tools import demo


@pytest.fixture
def output(tmp_path, monkeypatch):
    for name, value in {"OUTPUT": tmp_path, "PROMPTS": demo.PROMPTS[:2], "PICTURES_A_PROMPT": 1, "FRAMES": 2}.items():
        monkeypatch.setattr(demo, name, value)
    return tmp_path


def test_the_demo_leaves_pictures_of_both_concepts_and_of_the_way_between_them(stack, output):
    demo.run(stack.client)
    for name in demo.CONCEPTS:
        assert len(list((output / name).glob("a-photo-of-*.png"))) == len(demo.PROMPTS)
        with Image.open(output / name / "overview.png") as sheet:
            assert sheet.height > demo.SHEET_CELL_PX[1]
    between = output / f"{demo.CONCEPTS[0]}-to-{demo.CONCEPTS[1]}"
    assert len(list(between.glob("frame-*.png"))) == demo.FRAMES
    with Image.open(between / "animation.gif") as animation:
        assert animation.is_animated
