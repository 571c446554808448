"""The sender of webhook messages: a thread pool beside the maintenance tasks, which wait for no receiver.

It claims as many deliveries as it has idle threads. Timeouts free a thread within seconds, whatever a receiver does.
Several senders may run at once: a claimed delivery is invisible to the others for a minute.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from service import logs
from service.context import Service
from service.errors import UnavailableError
from service.webhooks import deliveries, sending
from service.webhooks.deliveries import ClaimedDelivery

CONCURRENCY = 16

log = logging.getLogger(__name__)


class WebhookSender:
    """Sends due deliveries; one a process."""

    def __init__(self, service: Service) -> None:
        logs.silence_noisy_loggers()
        self._service = service
        self._executor = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="webhook-sender")
        self._in_flight: set[Future[None]] = set()

    def deliver(self) -> int:
        """Claim due deliveries and start to send them; returns how many, without waiting for them.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        self._in_flight = {future for future in self._in_flight if not future.done()}
        idle = CONCURRENCY - len(self._in_flight)
        if not idle or not self._any_due():
            return 0
        with self._service.database.writing() as session:
            claimed = deliveries.claim(session, idle)
        self._in_flight |= {self._executor.submit(self._send, delivery) for delivery in claimed}
        return len(claimed)

    def close(self) -> None:
        """Wait some seconds at most for deliveries in flight; those not started become due again."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _any_due(self) -> bool:
        with self._service.database.reading() as session:
            return deliveries.any_due(session)

    def _send(self, delivery: ClaimedDelivery) -> None:
        outcome = sending.post(delivery, self._service.settings.webhook_private_networks, delivery.claimed_at)
        if not outcome.delivered:
            log.info("Attempt %s of delivery %s failed.", delivery.attempt, delivery.id)
        try:
            with self._service.database.writing() as session:
                deliveries.record(session, delivery, outcome)
        except UnavailableError as error:
            log.warning("The outcome of delivery %s was not recorded; it will be sent again: %s", delivery.id, error)
