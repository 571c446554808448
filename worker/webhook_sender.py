"""Who brings webhooks' messages to their addresses, beside the other maintenance, which wait for no receiver.

It takes as many messages as it has hands free, and gives each to a thread. Whatever a receiver does, a hand is free
again within seconds. Several couriers at once do no harm: a message is one's own until a minute has passed.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

from service.context import Service
from service.errors import UnavailableError
from service.webhooks import deliveries, sending
from service.webhooks.deliveries import ClaimedDelivery

HANDS = 16

_TALKATIVE = ("httpx", "httpcore")
"""Who would write every address down, which may hold a secret of its owner."""

log = logging.getLogger(__name__)


class WebhookSender:
    """Delivers; one a process."""

    def __init__(self, service: Service) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._service = service
        self._hands = ThreadPoolExecutor(HANDS, thread_name_prefix="courier")
        self._busy: set[Future[None]] = set()

    def deliver(self, now: datetime) -> int:
        """Take what is due and send it; returns how many messages were taken, without waiting for them.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        self._busy = {sending for sending in self._busy if not sending.done()}
        free = HANDS - len(self._busy)
        if not free or not self._is_waited_for(now):
            return 0
        with self._service.database.writing() as session:
            letters = deliveries.claim(session, free, now)
        self._busy |= {self._hands.submit(self._bring, letter) for letter in letters}
        return len(letters)

    def close(self) -> None:
        """Let messages on their way arrive, for some seconds at most; those that have not begun are another's later."""
        self._hands.shutdown(wait=True, cancel_futures=True)

    def _is_waited_for(self, now: datetime) -> bool:
        with self._service.database.reading() as session:
            return deliveries.waiting(session, now)

    def _bring(self, letter: ClaimedDelivery) -> None:
        outcome = sending.post(letter, self._service.settings.webhook_private_networks, datetime.now(UTC))
        if not outcome.delivered:
            log.info("Attempt %s of %s failed.", letter.attempt, letter.id)
        try:
            with self._service.database.writing() as session:
                deliveries.record(session, letter, outcome, datetime.now(UTC))
        except UnavailableError as error:
            log.warning("What came of %s could not be written; it is sent again: %s", letter.id, error)
