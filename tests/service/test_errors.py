"""The tree of errors: every class has its own code and stands in the drawing."""

from collections import Counter

import service.errors
from service.errors import ServiceError


def classes(root=ServiceError):
    return [root, *(leaf for child in root.__subclasses__() for leaf in classes(child))]


def test_every_class_has_a_code_of_its_own():
    assert [code for code, count in Counter(kind.code for kind in classes()).items() if count > 1] == []


def test_every_class_is_drawn_under_its_parent():
    drawn = {}
    path = []
    for line in service.errors.__doc__.splitlines():
        name = line.strip("│├└─ ").split(" ")[0]
        if name.endswith("Error"):
            depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
            path[depth - 1 :] = [name]
            drawn[name] = path[depth - 2] if depth > 1 else None
    assert drawn == {kind.__name__: None if kind is ServiceError else kind.__mro__[1].__name__ for kind in classes()}
