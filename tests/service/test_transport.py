"""Messages from a broker that others can write to."""

import pytest
import redis
from kombu import Connection, Consumer, Producer, Queue

from worker import transport

MALFORMED = [
    b"",
    b"not json",
    b"\xff\xfe",
    b"[]",
    b"null",
    b"1",
    b'{"body": 1}',
    b'{"properties": {}}',
    b'{"body": "x", "properties": {"delivery_tag": "a", "delivery_info": 1, "body_encoding": "no such"}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda message: repr(message[:30]))
def test_a_malformed_message_is_dropped_and_the_next_one_is_received(valkey_url, malformed):
    transport.install()
    received = []
    queue = Queue("dti.model.tiny")
    with (
        redis.Redis.from_url(valkey_url) as valkey,
        Connection(valkey_url) as connection,
        Consumer(connection, [queue], callbacks=[lambda body, _: received.append(body)], accept=["json"], no_ack=True),
    ):
        valkey.lpush("dti.model.tiny", malformed)
        Producer(connection).publish({"wake": 1}, routing_key="dti.model.tiny", declare=[queue], serializer="json")
        while not received:
            connection.drain_events(timeout=5)
    assert received == [{"wake": 1}]
