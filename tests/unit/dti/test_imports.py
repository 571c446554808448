"""The algorithm is a library of its own: allow-lists of the packages that it imports."""

import ast
import sys
from pathlib import Path

import dti

ROOT = Path(dti.__file__).parent
LIBRARIES = {"PIL", "av", "diffusers", "huggingface_hub", "numpy", "safetensors", "tokenizers", "torch", "transformers"}
OF_SCRIPTS = {"matplotlib", "tqdm"}
"""Of the library for notebooks, and of the extra `study`."""


def imported(folder):
    """Absolute names of the modules that a folder's files import."""
    nodes = [node for file in folder.rglob("*.py") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom)}


def foreign(names):
    """The packages among them that are neither of the standard library nor of the algorithm."""
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"dti"}


def test_the_algorithm_imports_only_the_libraries_of_its_field():
    assert foreign(imported(ROOT)) <= LIBRARIES | OF_SCRIPTS


def test_the_algorithm_reads_no_environment_variable():
    assert "os" not in imported(ROOT)


def test_the_specification_imports_nothing_but_itself_and_the_errors():
    names = imported(ROOT / "spec")
    assert foreign(names) == set()
    own = {name for name in names if name.startswith("dti")}
    assert {name for name in own if not name.startswith("dti.spec.")} <= {"dti.errors"}
