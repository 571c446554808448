"""The files of the page and their headers."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import api

FILES = Path(api.__file__).parent / "page"
URLS = sorted(f"/page/{path.relative_to(FILES).as_posix()}" for path in FILES.rglob("*") if path.is_file())


def directives(response):
    return dict(directive.split(" ", 1) for directive in response.headers["content-security-policy"].split("; "))


def test_the_root_serves_the_page_and_its_links_exist(read_only_client):
    page = read_only_client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for link in re.findall(r"(?:src|href)=\"(/[^\"]+)\"", page.text):
        assert read_only_client.get(link).status_code == 200, link


IMPORTS = re.compile(r"^(?:import|\}) [^']*?from \"(\./[^\"]+)\"", re.MULTILINE)
"""Imports, and none in code that the page shows."""


def test_every_imported_script_exists():
    for script in FILES.rglob("*.js"):
        for imported in IMPORTS.findall(script.read_text(encoding="utf-8")):
            assert (script.parent / imported).is_file(), f"{script.name} imports {imported}"


@pytest.mark.parametrize("url", ["/", "/page/scripts/main.js", "/page/styles/tokens.css"])
def test_the_policy_forbids_foreign_scripts_styles_and_requests(read_only_client, url):
    policy = directives(read_only_client.get(url))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "set-cookie" not in read_only_client.get(url).headers


def test_the_policy_allows_images_from_the_object_store(client, post_concept):
    image_url = urlsplit(post_concept().json()["concept"]["images"][0]["url"])
    assert f"{image_url.scheme}://{image_url.netloc}" in directives(client.get("/"))["img-src"].split()


@pytest.mark.parametrize("url", ["/", *URLS])
def test_an_unchanged_file_is_revalidated_with_304(read_only_client, url):
    first = read_only_client.get(url)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-cache"
    revalidated = read_only_client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (revalidated.status_code, revalidated.content) == (304, b"")


def test_a_missing_file_is_answered_with_a_problem(read_only_client):
    response = read_only_client.get("/page/scripts/missing.js")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_files_outside_of_the_folder_are_not_served(read_only_client):
    assert read_only_client.get("/page/%2e%2e/app.py").status_code == 404
