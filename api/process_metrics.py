"""Metrics of one API process: requests, refusals, uploads, waits for RPCs. Those of the service are in service.metrics.

Each process counts its own, so that the sum over all replicas is the total.
"""

from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
"""Other methods share one label, since clients choose them."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class ProcessMetrics:
    """The metrics of one process; thread-safe."""

    def __init__(self) -> None:
        # Times of creation would double the number of series.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the package has no type for it
        self._registry = CollectorRegistry()
        self._requests = self._histogram("dti_http_request_seconds", "Requests.", "method", "route", "status")
        self._uploads = self._histogram("dti_upload_seconds", "Sanitizing and storing the pictures of a request.")
        self._rpcs = self._histogram("dti_rpc_wait_seconds", "Waits of requests for the result of an RPC.", "outcome")
        self._refusals = Counter(
            "dti_refusals", "Requests refused by a quota or limit.", ["code"], registry=self._registry
        )
        Info("dti_build", "The version of this process.", registry=self._registry).info(
            {"version": version("dti-service")}
        )

    def observe_request(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count an answered request."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).observe(duration_s)

    def observe_upload(self, duration_s: float) -> None:
        """Count the pictures of one request."""
        self._uploads.observe(duration_s)

    def observe_rpc(self, outcome: str, duration_s: float) -> None:
        """Count a wait for an RPC."""
        self._rpcs.labels(outcome).observe(duration_s)

    def count_refusal(self, code: str) -> None:
        """Count a request that a quota or limit refused."""
        self._refusals.labels(code).inc()

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _histogram(self, name: str, description: str, *labels: str) -> Histogram:
        return Histogram(name, description, labels, buckets=_SECONDS, registry=self._registry)
