"""Keys in the database: stored hashes, owners, expiry and revocation."""

import threading
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import event, func, select

from service.accounts import keys
from service.accounts.authentication import LOCAL, Authenticator
from service.accounts.key_format import is_well_formed, new_secret
from service.accounts.keys import NewKey
from service.database import engine
from service.database.tables import LOCAL_OWNER_ID, Key, Owner
from service.errors import (
    InvalidInputError,
    KeyExpiredError,
    KeyMalformedError,
    KeyMissingError,
    KeyRevokedError,
    KeyUnknownError,
    NotFoundError,
    ScopeMissingError,
    SettingsError,
)
from service.settings import Limits, Quotas, Settings
from tests.support.queue_driver import NOON, at_time, moment

ADMIN_KEY = "0123456789abcdef" * 2


@pytest.fixture
def authenticator(database):
    return Authenticator(database, Settings())


@pytest.fixture
def authenticator_at(database):
    return lambda moment: Authenticator(at_time(database, moment), Settings())


@pytest.fixture
def mint(queue):
    def minted(*scopes, owner="ada", **more):
        return queue.write(keys.mint, NewKey(owner=owner, name="laptop", scopes=scopes or ("read",), **more))

    return minted


def test_a_secret_is_shown_once_and_only_its_digest_is_kept(database, mint):
    key, secret = mint()
    with database.reading() as session:
        row = session.get(Key, key.id)
        kept = {column.name: getattr(row, column.name) for column in Key.__table__.columns}
    assert secret not in str(kept)
    assert secret.startswith(kept["prefix"])
    assert len(kept["prefix"]) <= 12


def test_a_key_gives_the_owner_and_the_scopes(authenticator, mint):
    key, secret = mint("read", "train", quotas={"stored_bytes": 5})
    identity = authenticator.identify(secret)
    assert (identity.owner_id, identity.key_id, identity.scopes) == (key.owner_id, key.id, {"read", "train"})
    identity.check(["train"])
    identity.check(["generate", "read"])
    with pytest.raises(ScopeMissingError):
        identity.check(["generate", "admin"])


def test_admin_may_do_everything(authenticator, mint):
    _, secret = mint("admin")
    for scope in keys.SCOPES:
        authenticator.identify(secret).check([scope])


def test_keys_of_one_owner_name_share_the_owner_and_the_local_owner_can_be_named(queue, mint):
    (first, _), (second, _), (other, _), (local, _) = mint(), mint(), mint(owner="bob"), mint(owner="local")
    assert first.owner_id == second.owner_id != other.owner_id
    assert local.owner_id == LOCAL_OWNER_ID


def test_an_owner_named_by_concurrent_requests_is_created_once(database, mint):
    threads = [threading.Thread(target=mint, kwargs={"owner": "team"}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with database.reading() as session:
        assert session.scalars(select(func.count()).select_from(Owner).where(Owner.name == "team")).one() == 1
        assert session.scalars(select(func.count()).select_from(Key)).one() == 8


def test_a_revoked_key_is_refused_and_stays_revoked(queue, authenticator, mint):
    key, secret = mint()
    queue.write(keys.revoke, key.id)
    assert queue.write(keys.revoke, key.id, at=moment(60)).revoked_at == NOON
    with pytest.raises(KeyRevokedError):
        authenticator.identify(secret)
    with pytest.raises(NotFoundError):
        queue.write(keys.revoke, "key_nobodys")


def test_a_key_is_valid_until_it_expires(authenticator_at, mint):
    _, secret = mint(expires_at=moment(10))
    assert authenticator_at(moment(9.9)).identify(secret)
    with pytest.raises(KeyExpiredError):
        authenticator_at(moment(10)).identify(secret)


def test_last_use_is_written_once_a_minute(database, authenticator_at, mint):
    key, secret = mint()

    def last_used():
        with database.reading() as session:
            return session.get(Key, key.id).last_used_at

    assert last_used() is None
    for after_s, noted in ((0, NOON), (59, NOON), (60, moment(60)), (61, moment(60)), (200, moment(200))):
        authenticator_at(moment(after_s)).identify(secret)
        assert last_used() == noted


def test_a_long_write_transaction_delays_no_authentication(sqlite_url, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 50)
    database = engine.Database(sqlite_url)
    with database.writing() as session:
        key, secret = keys.mint(session, NewKey(owner="ada", name="laptop", scopes=["read"]))
    with database.writing() as session:
        keys.get_or_create_owner(session, "bob")
        assert Authenticator(database, Settings()).identify(secret).key_id == key.id
    database.close()


def test_every_changed_or_missing_character_makes_a_key_malformed(authenticator):
    secret = new_secret()
    wrong = [secret[:index] + ("a" if secret[index] != "a" else "b") + secret[index + 1 :] for index in range(4, 53)]
    wrong += [secret[:-1], secret + "a", secret[4:], secret.upper(), f" {secret}", "dti_", "x"]
    for text in wrong:
        assert not is_well_formed(text), text
        with pytest.raises(KeyMalformedError):
            authenticator.identify(text)
    with pytest.raises(KeyUnknownError):
        authenticator.identify(secret)
    for nothing in (None, ""):
        with pytest.raises(KeyMissingError):
            authenticator.identify(nothing)


def test_secrets_differ_and_have_one_format():
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {53}
    assert all(is_well_formed(secret) for secret in secrets)


def test_an_admin_key_from_the_environment_has_every_scope_of_the_local_owner(database):
    assert Authenticator(database, Settings(admin_key=ADMIN_KEY)).identify(ADMIN_KEY) == LOCAL
    with pytest.raises(KeyMalformedError):
        Authenticator(database, Settings(admin_key=ADMIN_KEY)).identify(ADMIN_KEY[:-1])


@pytest.mark.parametrize(
    "wrong",
    [{"admin_key": "short"}, {"admin_key": ADMIN_KEY + " x"}, {"admin_key": ADMIN_KEY + "ä"}, {"admin_key": ""}],
)
def test_an_admin_key_that_is_weak_or_cannot_be_sent_is_refused(database, wrong):
    with pytest.raises(SettingsError, match="DTI_ADMIN_KEY"):
        Authenticator(database, Settings(**wrong))


def test_limits_of_a_key_replace_those_of_the_service_and_zero_is_unlimited(authenticator, mint):
    settings = Settings(limits=Limits(unfinished_jobs=5), quotas=Quotas(requests_per_minute=9, stored_bytes=7))
    _, plain = mint()
    assert authenticator.identify(plain).effective_settings(settings) == settings
    _, own = mint(quotas={"unfinished_jobs": 0, "stored_bytes": 0, "device_s_per_day": 3})
    effective = authenticator.identify(own).effective_settings(settings)
    assert effective.limits.unfinished_jobs > 1_000_000
    assert effective.quotas == Quotas(requests_per_minute=9, stored_bytes=0, device_s_per_day=3)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("owner", {"owner": ""}),
        ("name", {"name": "x" * 101}),
        ("scopes", {"scopes": ["everything"]}),
        ("scopes", {"scopes": []}),
        ("expires_at", {"expires_at": NOON - timedelta(seconds=1)}),
        ("expires_at", {"expires_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))}),
        ("quotas.pictures", {"quotas": {"pictures": 1}}),
        ("quotas.stored_bytes", {"quotas": {"stored_bytes": -1}}),
    ],
)
def test_an_invalid_key_is_refused_and_not_stored(queue, database, field, wrong):
    fields = {"owner": "nobody-yet", "name": "laptop", "scopes": ["read"], **wrong}
    with pytest.raises(InvalidInputError) as caught:
        queue.write(keys.mint, NewKey(**fields))
    assert caught.value.field == field
    with database.reading() as session:
        assert session.scalars(select(Owner).where(Owner.name == "nobody-yet")).one_or_none() is None


def test_a_request_takes_one_connection_at_a_time(database, mint):
    _, secret = mint()
    pool, most = database.engine.pool, []
    event.listen(pool, "checkout", lambda *_: most.append(pool.checkedout()))
    # By the database's own clock, which has to be asked for.
    Authenticator(database.with_clock(None), Settings()).identify(secret)
    assert most
    assert max(most) == 1
    assert pool.checkedout() == 0
