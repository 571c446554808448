"""Two kinds of jobs for pytest: one in an existing priority class, one in a class of its own.

Two plugins make them: `listing`, before anything reads KINDS, and this one. Every module here holds what a real kind
adds to one file of the repository, or to two in this one; FILES names them all.
"""

from pathlib import Path

import dti_client
from dti_client import calls as client_calls
from dti_client import client as client_module

import migrations
from api import app
from tests.toys.kinds import calls, routes

FILES = {
    "service/kinds/jobs.py": "listing.py",
    "migrations/versions/NNNN_toys.py": "versions/toys.py",
    "service/concepts/toys.py": "rules.py",
    "api/schemas/requests.py": "schemas.py",
    "api/routes/toys.py": "routes.py",
    "api/app.py": "plugin.py",
    "worker/handlers/toys.py": "handler.py",
    "client/src/dti_client/calls.py": "calls.py",
    "client/src/dti_client/client.py": "plugin.py",
}
"""The files that a real kind adds or edits, and where the toys have that part; docs/api.md is made by a tool."""

HERE = Path(__file__).parent

# api/app.py: the route's module in the list of resources.
app._RESOURCES = (*app._RESOURCES, routes)

# client.py: a line in each of the two clients.
for name in ("create_toy", "create_own_toy"):
    call = getattr(calls, name)
    setattr(client_calls, name, call)
    setattr(dti_client.Client, name, client_module._Sync(call))
    setattr(dti_client.AsyncClient, name, client_module._Async(call))

# migrations/versions/: a folder more, because the toys are not in the repository's own.
configured = migrations.config


def config(**attributes):
    made = configured(**attributes)
    folders = (Path(migrations.__file__).parent / "versions", HERE / "versions")
    made.set_main_option("version_locations", ":".join(map(str, folders)))
    return made


migrations.config = config
