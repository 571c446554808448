"""The synchronous and the asynchronous client: one line a route, and helpers of several calls.

Requests, decoding and retries are in modules of their own; here are the connections.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Generic, ParamSpec, Self, TypeVar

import httpx

from dti_client import calls, files, job_stream
from dti_client.calls import Call
from dti_client.errors import QuotaError, UnavailableError, from_response
from dti_client.job_stream import JobStream
from dti_client.models import Job, JobEvent, Page
from dti_client.retry import RetriedCall

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"
OnProgress = Callable[[Job], object]

_TIMEOUT = httpx.Timeout(90.0, connect=10.0)
"""Longer than the 60 s that `Prefer: wait` may take."""


class _Sync(Generic[P, T]):
    """A route as a method."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    def __get__(self, client: "Client", _: type["Client"]) -> Callable[P, T]:
        @wraps(self._call)
        def method(*arguments: P.args, **keywords: P.kwargs) -> T:
            return client.send(self._call(*arguments, **keywords))

        return method


class _Async(Generic[P, T]):
    """A route as an asynchronous method."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    def __get__(self, client: "AsyncClient", _: type["AsyncClient"]) -> Callable[P, Awaitable[T]]:
        @wraps(self._call)
        async def method(*arguments: P.args, **keywords: P.kwargs) -> T:
            return await client.send(self._call(*arguments, **keywords))

        return method


class _SyncItems(Generic[P, T]):
    """A route of pages as a method that iterates over the items of all of them."""

    def __init__(self, call: Callable[P, Call[Page[T]]]) -> None:
        self._call = call
        self.__doc__ = f"Iterate over all pages. {call.__doc__}"

    def __get__(self, client: "Client", _: type["Client"]) -> Callable[P, Iterator[T]]:
        @wraps(self._call)
        def method(*arguments: P.args, **keywords: P.kwargs) -> Iterator[T]:
            call: Call[Page[T]] | None = self._call(*arguments, **keywords)
            while call is not None:
                page = client.send(call)
                yield from page.items
                call = calls.next_page(call, page)

        return method


class _AsyncItems(Generic[P, T]):
    """A route of pages as a method that iterates asynchronously over the items of all of them."""

    def __init__(self, call: Callable[P, Call[Page[T]]]) -> None:
        self._call = call
        self.__doc__ = f"Iterate over all pages. {call.__doc__}"

    def __get__(self, client: "AsyncClient", _: type["AsyncClient"]) -> Callable[P, AsyncIterator[T]]:
        @wraps(self._call)
        async def method(*arguments: P.args, **keywords: P.kwargs) -> AsyncIterator[T]:
            call: Call[Page[T]] | None = self._call(*arguments, **keywords)
            while call is not None:
                page = await client.send(call)
                for item in page.items:
                    yield item
                call = calls.next_page(call, page)

        return method


class Client:
    """A client with blocking methods.

    Args:
        url: of the service; default: DTI_URL, or this machine's port 8000.
        key: `dti_…`; default: DTI_API_KEY, or none.
    """

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        self._http = httpx.Client(**_http_settings(url, key))
        # Without the key: signed URLs may lead to another host.
        self._files = httpx.Client(timeout=_TIMEOUT, follow_redirects=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self._files.close()

    def send(self, call: Call[T]) -> T:
        """Send a call, with retries where they are safe, and decode its response.

        Raises:
            ResponseError: the service responded with an error.
            ConnectionFailedError: there was no response.
        """
        attempts = RetriedCall(call)
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(**attempts.request())
            except httpx.TransportError as error:
                outcome = error
            delay_s = attempts.delay_s(outcome)
            if delay_s is None:
                return attempts.result(outcome)
            time.sleep(delay_s)

    create_concept = _Sync(calls.create_concept)
    list_concepts = _Sync(calls.list_concepts)
    read_concept = _Sync(calls.read_concept)
    change_concept = _Sync(calls.change_concept)
    list_versions = _Sync(calls.list_versions)
    add_concept_images = _Sync(calls.add_concept_images)
    change_concept_image = _Sync(calls.change_concept_image)
    remove_concept_image = _Sync(calls.remove_concept_image)
    delete_concept = _Sync(calls.delete_concept)
    train_concept = _Sync(calls.train_concept)
    read_embedding = _Sync(calls.read_embedding)
    read_neighbours = _Sync(calls.read_neighbours)
    import_concept = _Sync(calls.import_concept)
    blend_concepts = _Sync(calls.blend_concepts)
    create_generation = _Sync(calls.create_generation)
    create_interpolation = _Sync(calls.create_interpolation)
    create_images = _Sync(calls.create_images)
    list_images = _Sync(calls.list_images)
    download_images = _Sync(calls.download_images)
    read_image = _Sync(calls.read_image)
    change_image = _Sync(calls.change_image)
    delete_image = _Sync(calls.delete_image)
    list_jobs = _Sync(calls.list_jobs)
    read_job = _Sync(calls.read_job)
    cancel_job = _Sync(calls.cancel_job)
    retry_job = _Sync(calls.retry_job)
    delete_job = _Sync(calls.delete_job)
    read_metrics = _Sync(calls.read_metrics)
    list_models = _Sync(calls.list_models)
    read_model = _Sync(calls.read_model)
    count_tokens = _Sync(calls.count_tokens)
    read_usage = _Sync(calls.read_usage)
    read_liveness = _Sync(calls.read_liveness)
    read_readiness = _Sync(calls.read_readiness)
    read_process_metrics = _Sync(calls.read_process_metrics)
    read_service_metrics = _Sync(calls.read_service_metrics)
    create_key = _Sync(calls.create_key)
    list_keys = _Sync(calls.list_keys)
    revoke_key = _Sync(calls.revoke_key)
    list_audit_entries = _Sync(calls.list_audit_entries)
    create_webhook = _Sync(calls.create_webhook)
    list_webhooks = _Sync(calls.list_webhooks)
    read_webhook = _Sync(calls.read_webhook)
    change_webhook = _Sync(calls.change_webhook)
    delete_webhook = _Sync(calls.delete_webhook)
    read_default_secret = _Sync(calls.read_default_secret)
    rotate_secret = _Sync(calls.rotate_secret)
    test_webhook = _Sync(calls.test_webhook)
    list_deliveries = _Sync(calls.list_deliveries)
    redeliver = _Sync(calls.redeliver)
    iter_concepts = _SyncItems(calls.list_concepts)
    iter_images = _SyncItems(calls.list_images)
    iter_jobs = _SyncItems(calls.list_jobs)
    iter_keys = _SyncItems(calls.list_keys)
    iter_audit_entries = _SyncItems(calls.list_audit_entries)
    iter_webhooks = _SyncItems(calls.list_webhooks)
    iter_deliveries = _SyncItems(calls.list_deliveries)

    def follow_job(self, job: Job | str, *, last_event_id: str = "") -> Iterator[JobEvent]:
        """Stream past and future events of a job after an event, until it ends or the stream breaks."""
        yield from self._stream(JobStream(job_stream.id_of(job), last_event_id=last_event_id))

    def wait(self, job: Job | str, *, on_progress: OnProgress | None = None, timeout_s: float | None = None) -> Job:
        """Wait for a job to succeed; `on_progress` is called with it at every event.

        Raises:
            JobUnsuccessfulError: it failed or was cancelled.
            WaitTimeoutError: it has not ended within the timeout.
        """
        stream = JobStream(job_stream.id_of(job), timeout_s=timeout_s)
        while True:
            for state in self._states(stream):
                if on_progress is not None:
                    on_progress(state)
                if state.ended:
                    # Read again for new signed URLs.
                    return job_stream.check_succeeded(self.read_job(state.id))
            stream.check_timeout()
            time.sleep(job_stream.POLL_INTERVAL_S)

    def train_from_folder(self, name: str, class_word: str, folder: Path, **fields: Any) -> Job:  # noqa: ANN401 - see create_concept
        """Train a new concept on a folder of pictures, with captions (`NAME.txt`) and masks (`NAME.mask.png`)."""
        return self.create_concept(name, class_word, archive=files.zip_folder(folder), **fields).job

    def download(self, job: Job, folder: Path) -> list[Path]:
        """Download all images of a job; returns their files, in order."""
        paths = []
        for image, path in files.download_paths(job, folder):
            path.write_bytes(_bytes_of(self._files.get(str(image.url))))
            paths.append(path)
        return paths

    def _states(self, stream: JobStream) -> Iterator[Job]:
        if stream.usable:
            with suppress(httpx.TransportError, QuotaError, UnavailableError):
                for event in self._stream(stream):
                    if state := stream.update(event):
                        yield state
        if stream.job is None or not stream.job.ended:
            yield self.read_job(stream.job_id)

    def _stream(self, stream: JobStream) -> Iterator[JobEvent]:
        stream.opened()
        with self._http.stream("GET", **stream.request()) as response:
            if response.is_error:
                response.read()
                raise from_response(response)
            for line in response.iter_lines():
                yield from stream.feed(line)


class AsyncClient:
    """A client with asynchronous methods.

    Args:
        url: of the service; default: DTI_URL, or this machine's port 8000.
        key: `dti_…`; default: DTI_API_KEY, or none.
    """

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        self._http = httpx.AsyncClient(**_http_settings(url, key))
        self._files = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._files.aclose()

    async def send(self, call: Call[T]) -> T:
        """Send a call, with retries where they are safe, and decode its response.

        Raises:
            ResponseError: the service responded with an error.
            ConnectionFailedError: there was no response.
        """
        attempts = RetriedCall(call)
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(**attempts.request())
            except httpx.TransportError as error:
                outcome = error
            delay_s = attempts.delay_s(outcome)
            if delay_s is None:
                return attempts.result(outcome)
            await asyncio.sleep(delay_s)

    create_concept = _Async(calls.create_concept)
    list_concepts = _Async(calls.list_concepts)
    read_concept = _Async(calls.read_concept)
    change_concept = _Async(calls.change_concept)
    list_versions = _Async(calls.list_versions)
    add_concept_images = _Async(calls.add_concept_images)
    change_concept_image = _Async(calls.change_concept_image)
    remove_concept_image = _Async(calls.remove_concept_image)
    delete_concept = _Async(calls.delete_concept)
    train_concept = _Async(calls.train_concept)
    read_embedding = _Async(calls.read_embedding)
    read_neighbours = _Async(calls.read_neighbours)
    import_concept = _Async(calls.import_concept)
    blend_concepts = _Async(calls.blend_concepts)
    create_generation = _Async(calls.create_generation)
    create_interpolation = _Async(calls.create_interpolation)
    create_images = _Async(calls.create_images)
    list_images = _Async(calls.list_images)
    download_images = _Async(calls.download_images)
    read_image = _Async(calls.read_image)
    change_image = _Async(calls.change_image)
    delete_image = _Async(calls.delete_image)
    list_jobs = _Async(calls.list_jobs)
    read_job = _Async(calls.read_job)
    cancel_job = _Async(calls.cancel_job)
    retry_job = _Async(calls.retry_job)
    delete_job = _Async(calls.delete_job)
    read_metrics = _Async(calls.read_metrics)
    list_models = _Async(calls.list_models)
    read_model = _Async(calls.read_model)
    count_tokens = _Async(calls.count_tokens)
    read_usage = _Async(calls.read_usage)
    read_liveness = _Async(calls.read_liveness)
    read_readiness = _Async(calls.read_readiness)
    read_process_metrics = _Async(calls.read_process_metrics)
    read_service_metrics = _Async(calls.read_service_metrics)
    create_key = _Async(calls.create_key)
    list_keys = _Async(calls.list_keys)
    revoke_key = _Async(calls.revoke_key)
    list_audit_entries = _Async(calls.list_audit_entries)
    create_webhook = _Async(calls.create_webhook)
    list_webhooks = _Async(calls.list_webhooks)
    read_webhook = _Async(calls.read_webhook)
    change_webhook = _Async(calls.change_webhook)
    delete_webhook = _Async(calls.delete_webhook)
    read_default_secret = _Async(calls.read_default_secret)
    rotate_secret = _Async(calls.rotate_secret)
    test_webhook = _Async(calls.test_webhook)
    list_deliveries = _Async(calls.list_deliveries)
    redeliver = _Async(calls.redeliver)
    iter_concepts = _AsyncItems(calls.list_concepts)
    iter_images = _AsyncItems(calls.list_images)
    iter_jobs = _AsyncItems(calls.list_jobs)
    iter_keys = _AsyncItems(calls.list_keys)
    iter_audit_entries = _AsyncItems(calls.list_audit_entries)
    iter_webhooks = _AsyncItems(calls.list_webhooks)
    iter_deliveries = _AsyncItems(calls.list_deliveries)

    async def follow_job(self, job: Job | str, *, last_event_id: str = "") -> AsyncIterator[JobEvent]:
        """Stream past and future events of a job after an event, until it ends or the stream breaks."""
        async for event in self._stream(JobStream(job_stream.id_of(job), last_event_id=last_event_id)):
            yield event

    async def wait(
        self, job: Job | str, *, on_progress: OnProgress | None = None, timeout_s: float | None = None
    ) -> Job:
        """Wait for a job to succeed; `on_progress` is called with it at every event.

        Raises:
            JobUnsuccessfulError: it failed or was cancelled.
            WaitTimeoutError: it has not ended within the timeout.
        """
        stream = JobStream(job_stream.id_of(job), timeout_s=timeout_s)
        while True:
            async for state in self._states(stream):
                if on_progress is not None:
                    on_progress(state)
                if state.ended:
                    return job_stream.check_succeeded(await self.read_job(state.id))
            stream.check_timeout()
            await asyncio.sleep(job_stream.POLL_INTERVAL_S)

    async def train_from_folder(self, name: str, class_word: str, folder: Path, **fields: Any) -> Job:  # noqa: ANN401 - see above
        """Train a new concept on a folder of pictures, with captions (`NAME.txt`) and masks (`NAME.mask.png`)."""
        zipped = await asyncio.to_thread(files.zip_folder, folder)
        return (await self.create_concept(name, class_word, archive=zipped, **fields)).job

    async def download(self, job: Job, folder: Path) -> list[Path]:
        """Download all images of a job; returns their files, in order."""
        paths = []
        for image, path in files.download_paths(job, folder):
            content = _bytes_of(await self._files.get(str(image.url)))
            await asyncio.to_thread(path.write_bytes, content)
            paths.append(path)
        return paths

    async def _states(self, stream: JobStream) -> AsyncIterator[Job]:
        if stream.usable:
            with suppress(httpx.TransportError, QuotaError, UnavailableError):
                async for event in self._stream(stream):
                    if state := stream.update(event):
                        yield state
        if stream.job is None or not stream.job.ended:
            yield await self.read_job(stream.job_id)

    async def _stream(self, stream: JobStream) -> AsyncIterator[JobEvent]:
        stream.opened()
        async with self._http.stream("GET", **stream.request()) as response:
            if response.is_error:
                await response.aread()
                raise from_response(response)
            async for line in response.aiter_lines():
                for event in stream.feed(line):
                    yield event


def _http_settings(url: str | None, key: str | None) -> dict[str, Any]:
    key = key or os.environ.get("DTI_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"base_url": url or os.environ.get("DTI_URL") or DEFAULT_URL, "headers": headers, "timeout": _TIMEOUT}


def _bytes_of(response: httpx.Response) -> bytes:
    if response.is_error:
        raise from_response(response)
    return response.content
