"""Files as clients send them: names in every encoding, files beside pictures, captions checked at the POST."""

import io
import json

import pytest
from dti_client import calls
from dti_client.files import zip_folder
from PIL import Image

from cli.offline import folder_files
from service import workers
from service.database.tables import Picture
from service.settings import Limits, Settings
from service.uploads.budget import PixelBudget
from service.uploads.pictures import sanitize
from service.uploads.reading import iter_pictures
from tests.service import test_generations
from tests.service.test_training_files import EXPECTED, FOLDER, folder_of
from tests.support.pictures_as_found import case
from tests.support.upload_samples import archive, encoded, jpeg, png


def part(disposition, data):
    return b"--xyz\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + data + b"\r\n"


@pytest.fixture
def post_parts(client):
    """Posts a form of raw parts."""

    def post(*parts):
        fields = [part(b'name="name"', b"my-dog"), part(b'name="class_word"', b"dog")]
        body = b"".join([*fields, *(part(*pair) for pair in parts)]) + b"--xyz--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=xyz"}
        return client.post("/v1/concepts", content=body, headers=headers)

    return post


@pytest.fixture
def stored_names(service):
    """Names and captions of the newest concept's training pictures."""

    def read():
        with service.database.reading() as session:
            return [(row.filename, row.caption) for row in session.query(Picture).order_by(Picture.position)]

    return read


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b"name=\"images\"; filename*=UTF-8''f%C3%BCchse.png", "füchse.png"),
        (b"name=images; filename*=iso-8859-1'en'%A3.png", "£.png"),
        (b'name="images"; filename="plain.png"; filename*=UTF-8\'\'f%C3%BCchse.png', "füchse.png"),
        (b'name="images"; filename="=?UTF-8?B?ZsO8Y2hzZS5wbmc=?="', "füchse.png"),
        (b'name="images"; filename="=?utf-8?q?f=C3=BCchse.png?="', "füchse.png"),
        (b'name="images"; filename*0="long"; filename*1="name.png"', "longname.png"),
        ('name="images"; filename="füchse.png"'.encode(), "füchse.png"),
        (b'name="images"; filename="a\\"b.png"', 'a"b.png'),
        (b'name="images"; filename="C:\\\\pictures\\\\a.png"', "a.png"),
        (b'name="images"; filename="folder/a.png"', "a.png"),
        (b'name="images"; filename=""', "(unnamed)"),
    ],
)
def test_file_names_are_read_in_every_encoding(post_parts, stored_names, disposition, name):
    response = post_parts((disposition, png()))
    assert response.status_code == 202, response.text
    assert stored_names() == [(name, None)]


def by_form(_):
    return {"files": [("images", item) for item in FOLDER.items()]}


def by_archive(_):
    return {"files": {"archive": ("pictures.zip", archive(FOLDER))}}


def by_client(folder):
    return {"files": calls.create_concept("x", "dog", archive=zip_folder(folder)).files}


@pytest.fixture
def folder(tmp_path):
    """The files in a folder."""
    folder_of(FOLDER, tmp_path / "my-pictures")
    return tmp_path / "my-pictures"


@pytest.mark.parametrize("way", [by_form, by_archive, by_client])
def test_the_same_files_by_every_way_are_the_same_training_set_and_words(client, folder, way):
    """The page's way is tested in a browser."""
    response = client.post("/v1/concepts", data={"name": "my-dog", "class_word": "dog"}, **way(folder))
    assert response.status_code == 202, response.text
    found = folder_files(folder, Settings())
    expected = list(iter_pictures(found.pictures, Limits(), sanitize, PixelBudget(10**9)))
    images = [(image["filename"], image["sha256"], image["caption"]) for image in response.json()["concept"]["images"]]
    assert sorted(images) == sorted((item.filename, item.sha256, item.caption) for item in expected)
    assert [name for name, _, _ in sorted(images)] == [name for name, _, _ in EXPECTED[0]]
    assert sorted(response.json()["skipped"]) == EXPECTED[1]
    messages = {warning["message"] for warning in response.json()["job"]["warnings"]}
    assert len(messages) == len(found.warnings)


def test_files_passed_over_are_warnings_of_the_job_too(client, post_concept):
    response = post_concept(images=[], archive=case("jupyter-hidden.zip")).json()
    (warning,) = client.get(f"/v1/jobs/{response['job']['id']}").json()["warnings"]
    assert warning["code"] == "files_skipped"
    assert (
        warning["subjects"]
        == response["skipped"]
        == [
            ".ipynb_checkpoints/1-checkpoint.png",
            ".Trash-1000/files/old.png",
        ]
    )


def test_a_picture_of_one_colour_is_a_warning(post_concept):
    plain = encoded(Image.new("RGB", (64, 64), (200, 60, 60)), "PNG")
    (warning,) = post_concept(images=[plain, png()]).json()["job"]["warnings"]
    assert (warning["code"], warning["subjects"]) == ("picture_uniform", ["0.png"])


# --- captions


@pytest.fixture
def published(service):
    """The tokenizer of a model that takes ten tokens."""
    with service.database.writing() as session:
        workers.publish_card(session, "tiny", test_generations.card.__wrapped__())


def test_a_caption_that_does_not_fit_is_refused_by_the_name_of_its_file(published, post_concept):
    files = archive({"a.png": png(), "a.txt": b"one two three four five six seven eight nine"})
    response = post_concept(images=[], archive=files)
    assert (response.status_code, response.json()["code"]) == (422, "prompt_too_long")
    assert "The caption of a.txt" in response.json()["detail"]


@pytest.mark.parametrize(
    "caption", ["one two three four", "one two three four five six", "a {} on grass", "a <my-dog> on grass", "<My Dog>"]
)
def test_a_caption_that_fits_is_accepted_though_templates_do_not(published, post_concept, caption):
    response = post_concept(images=[], archive=archive({"a.png": png(), "a.txt": caption.encode()}))
    assert response.status_code == 202, response.text


@pytest.mark.parametrize("caption", ["a dog and <my-cat>", "{} with <lora:x:1>", "＜my-cat＞"])
def test_a_caption_with_another_name_is_refused_by_the_name_of_its_file(post_concept, caption):
    response = post_concept(images=[], archive=archive({"a.png": png(), "a.txt": caption.encode()}))
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")
    assert "The caption of a.txt names <" in response.json()["detail"]


def test_vectors_that_leave_no_room_are_refused(published, post_concept):
    response = post_concept(training={"num_vectors": 9})
    assert response.status_code == 422, response.text
    assert "num_vectors" in json.dumps(response.json())


def test_captions_are_checked_again_for_another_training(published, client, create_trained):
    files = archive({"a.png": png(), "a.txt": b"a {} one two three four five"})
    create_trained(images=[], archive=files)
    assert client.post("/v1/concepts/my-dog/train", json={"training": {"steps": 1}}).status_code == 202
    response = client.post("/v1/concepts/my-dog/train", json={"training": {"num_vectors": 4}})
    assert (response.status_code, "The caption of a.png" in response.text) == (422, True)


@pytest.fixture
def add_images(client, create_trained):
    """Adds files to a trained concept; returns the response."""
    concept_id = create_trained()

    def add(files, **headers):
        parts = [("images", item) for item in files.items()]
        return client.post(f"/v1/concepts/{concept_id}/images", files=parts, headers=headers)

    return add


def test_pictures_added_later_follow_the_same_rule(client, add_images):
    plain = encoded(Image.new("RGB", (64, 64), (200, 60, 60)), "PNG")
    files = {"a.png": png((70, 50)), "a.txt": b"{} [cat|dog]", "b.png": plain, ".DS_Store": b"x", "film.mp4": b"x" * 99}
    response = add_images(files)
    assert response.status_code == 201, response.text
    added = response.json()
    assert [image["caption"] for image in added["images"]] == [None, "{} [cat|dog]", None]
    assert added["skipped"] == [".DS_Store", "film.mp4"]
    codes = [warning["code"] for warning in added["warnings"]]
    assert codes == ["files_skipped", "files_skipped", "picture_uniform", "foreign_syntax"]


def test_pictures_sent_again_under_one_key_are_answered_with_the_same_skipped_files(add_images):
    key = {"Idempotency-Key": "one"}
    first, again = (add_images({"a.png": png((70, 50)), ".DS_Store": b"x"}, **key).json() for _ in range(2))
    assert first["skipped"] == again["skipped"] == [".DS_Store"]
    assert len(again["images"]) == len(first["images"])


@pytest.mark.parametrize(
    ("caption", "code"),
    [("a dog and <my-cat>", "invalid_input"), ("one two three four five six seven eight nine", "prompt_too_long")],
)
def test_captions_of_later_pictures_are_checked_at_once(published, client, add_images, caption, code):
    response = add_images({"a.png": png(), "a.txt": caption.encode()})
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert "The caption of a.txt" in response.json()["detail"]
    image = client.get("/v1/concepts/my-dog").json()["images"][0]
    response = client.patch(f"/v1/concepts/my-dog/images/{image['id']}", json={"caption": caption})
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert f"The caption of {image['filename']}" in response.json()["detail"]
    assert client.get("/v1/concepts/my-dog").json()["images"][0]["caption"] is None


def test_a_changed_caption_with_syntax_of_other_tools_is_a_warning(client, create_trained):
    image = client.get(f"/v1/concepts/{create_trained()}").json()["images"][0]
    path = f"/v1/concepts/my-dog/images/{image['id']}"
    warnings = client.patch(path, json={"caption": "a ({}:1.3) on grass"}).json()["warnings"]
    assert [warning["code"] for warning in warnings] == ["foreign_syntax"]
    assert client.patch(path, json={"caption": "a {} on grass"}).json()["warnings"] == []


def test_transparent_and_raw_files_are_refused_by_name(client, post_concept):
    for name, code in (("transparent.png", "image_unreadable"), ("raw-96px-thumb-160x120.dng", "image_unsupported")):
        files = [("images", (name, io.BytesIO(case(name)))), ("images", ("b.jpg", jpeg()))]
        response = client.post("/v1/concepts", data={"name": "x", "class_word": "dog"}, files=files)
        assert response.json()["code"] == code
        assert name in response.json()["detail"]
