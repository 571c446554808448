"""A webhook receiver on loopback: it records requests and answers as the test sets."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stack.processes import LOOPBACK


class WebhookReceiver(ThreadingHTTPServer):
    """Requests received, as (path, headers, body) in order; `answers` are statuses, the last one repeated."""

    daemon_threads = True

    def __init__(self):
        super().__init__((LOOPBACK, 0), _Handler)
        self.answers = [200]
        self.headers = {}
        self.body = b"thanks"
        self.dawdle_s = 0.0
        self.got = []
        self._lock = threading.Lock()

    @property
    def port(self):
        return self.server_address[1]

    def url(self, path="/hook", host=LOOPBACK):
        return f"http://{host}:{self.port}{path}"

    def take(self, path, headers, body):
        with self._lock:
            self.got.append((path, headers, body))
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.take(self.path, dict(self.headers), body)
        time.sleep(self.server.dawdle_s)
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def listening():
    receiver = WebhookReceiver()
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()
