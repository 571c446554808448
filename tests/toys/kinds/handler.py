"""Would stand in worker/handlers/toys.py."""

from service import jobs
from tests.toys.kinds.listing import OwnToyInput, ToyInput
from worker.handlers.base import Handler


class ToyHandler(Handler[ToyInput]):
    slots = 1

    def start(self):
        assert self.claim.input.text

    def collect(self, updates):  # noqa: ARG002 - the common interface
        self._persistence.write(lambda session: jobs.succeed(session, self.claim))
        return True

    def abort(self):
        pass

    def checkpoint(self):
        pass


class OwnToyHandler(Handler[OwnToyInput]):
    slots = 1
    start, collect, abort, checkpoint = ToyHandler.start, ToyHandler.collect, ToyHandler.abort, ToyHandler.checkpoint
