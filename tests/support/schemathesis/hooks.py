"""Files that schemathesis sends where the document asks for one: good ones, so that what follows is reached too."""

import io
import zipfile

import schemathesis
from hypothesis import strategies as st
from PIL import Image


def picture(kind, colour):
    out = io.BytesIO()
    Image.new("RGB", (48, 40), colour).save(out, kind)
    return out.getvalue()


def archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        opened.writestr("a.png", picture("PNG", "green"))
    return out.getvalue()


for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF"):
    pictures = [picture(kind, colour) for colour in ("red", "blue")]
    # A list, because the field that holds them is repeated.
    schemathesis.openapi.media_type(
        f"image/{kind.lower()}", st.lists(st.sampled_from(pictures), min_size=1, max_size=2)
    )
schemathesis.openapi.media_type("application/zip", st.just(archive()))
