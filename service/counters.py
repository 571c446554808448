"""Counters of the metrics that outlive the rows that they count, such as ended jobs by code.

A transaction appends an increment; the maintenance adds increments to totals. So transactions never wait for each other
at a total, nothing is counted twice or lost, and reading costs the same however much was ever counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, func, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.database.tables import CounterIncrement, CounterTotal

_BATCH = 5000
"""Increments that one transaction of the maintenance adds up."""

_LABELS = ("name", "model", "kind", "code")


@dataclass(frozen=True, kw_only=True)
class Counter:
    """A counter with its labels.

    Args:
        code: the label of its own, such as an error code or the upper bound of a bucket.
        count: increments.
        value: sum of their values.
    """

    name: str
    model: str
    kind: str
    code: str
    count: int
    value: float


def increment(session: Session, name: str, *, model: str, kind: str, code: str = "", value: float = 0.0) -> None:
    """Count an occurrence, and add its value, when the transaction is committed."""
    session.add(CounterIncrement(name=name, model=model, kind=kind, code=code, value=value))


def fold(session: Session) -> int:
    """Add a batch of increments to the totals; returns their number.

    Increments that another process adds at the same time are skipped.
    """
    oldest = select(CounterIncrement.id).order_by(CounterIncrement.id).limit(_BATCH)
    ids = session.scalars(oldest.with_for_update(skip_locked=True)).all()
    if not ids:
        return 0
    chosen = CounterIncrement.id.in_(ids)
    labels, sums = _sums()
    # In the order of the key: two processes lock the totals in the same order.
    for row in session.execute(sums.where(chosen).group_by(*labels).order_by(*labels)).mappings().all():
        _add(session, **row)
    session.execute(delete(CounterIncrement).where(chosen))
    return len(ids)


def read(session: Session) -> Sequence[Counter]:
    """All counters, with the increments that are not added up yet."""
    totals = select(*(getattr(CounterTotal, name) for name in _LABELS), CounterTotal.count, CounterTotal.value)
    labels = [getattr(CounterIncrement, name) for name in _LABELS]
    new = select(*labels, func.count().label("count"), func.sum(CounterIncrement.value).label("value")).group_by(
        *labels
    )
    both = union_all(totals, new).subquery()
    keys = [both.c[name] for name in _LABELS]
    query = select(*keys, func.sum(both.c["count"]).label("count"), func.sum(both.c["value"]).label("value"))
    rows = session.execute(query.group_by(*keys).order_by(*keys)).mappings()
    return [Counter(**{**row, "count": int(row["count"])}) for row in rows]


def _sums() -> tuple[list[InstrumentedAttribute[str]], Select[Any]]:
    """The labels of increments, and the selection of their sums, to be grouped by the labels."""
    labels = [getattr(CounterIncrement, name) for name in _LABELS]
    return labels, select(*labels, func.count().label("count"), func.sum(CounterIncrement.value).label("value"))


def _add(session: Session, **values: object) -> None:
    insert = (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert
    more = insert(CounterTotal).values(**values)
    total = {
        "count": CounterTotal.count + more.excluded["count"],
        "value": CounterTotal.value + more.excluded["value"],
    }
    session.execute(more.on_conflict_do_update(index_elements=list(_LABELS), set_=total))
