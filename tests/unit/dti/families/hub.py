"""A Hugging Face Hub on loopback that serves snapshots from folders of checkpoints."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 40


class Hub(ThreadingHTTPServer):
    """Serves folders as public repositories.

    Args:
        repositories: folders by id.
        gated: ids with a licence that is not accepted yet.
    """

    def __init__(self, repositories, gated):
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories, self.gated, self.fetched = repositories, gated, []


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = self.path.partition("?")[0].strip("/").split("/")
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        if name not in self.server.repositories:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif parts[0] == "api":
            self._tell(self.server.repositories[name], parts[4])
        elif name in self.server.gated:
            self._send(403, b"", {"X-Error-Code": "GatedRepo"})
        else:
            self._give(self.server.repositories[name], "/".join(parts[4:]))

    def do_HEAD(self):
        self.do_GET()

    def _tell(self, folder, about):
        files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
        responses = {
            "revision": {"id": folder.name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]},
            "tree": [{"type": "file", "path": file, "size": 1, "oid": COMMIT} for file in files],
        }
        self._send(200, json.dumps(responses[about]).encode(), {"Content-Type": "application/json"})

    def _give(self, folder, file):
        data = (folder / file).read_bytes()
        if self.command == "GET":
            self.server.fetched.append(file)
        self._send(200, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def _send(self, status, data, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def hub(repositories, gated=()):
    """A Hub, serving; gives its address and the paths of the files that were fetched."""
    with Hub(repositories, gated) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server.fetched
        finally:
            server.shutdown()
            thread.join()
