"""Placement: which models a worker claims jobs of, so that models are loaded rarely and no queue starves.

A worker prefers the models that it has loaded. It loads another one for its jobs

- when it has no job of a loaded model, and no other active worker has loaded that model; or
- when the first job of that model has waited for `load_after_s`, however much other work there is, and the worker has
  worked for as long since it last loaded a model. It then takes the model that has waited longest, one at a time.

So each worker loads a model at most once in `load_after_s` while all queues are full, and no model waits for more than
one such turn of each other model.
"""

import math
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import literal, select, union_all
from sqlalchemy.orm import Session

from service import workers
from service.database.clock import now
from service.database.tables import Job, Utc
from service.kinds.jobs import PRIORITY_CLASSES


def claimable_models(
    session: Session,
    *,
    served: Collection[str],
    loaded: Collection[str],
    load_after_s: float,
    since_load_s: float = math.inf,
) -> frozenset[str]:
    """The models whose jobs a worker claims now.

    Args:
        session: reads.
        served: the models that the worker serves.
        loaded: those that it has loaded.
        load_after_s: seconds after which the first job of another model is claimed all the same.
        since_load_s: seconds since the worker last loaded a model.
    """
    own = frozenset(loaded) & frozenset(served)
    others = frozenset(served) - own
    if not others:
        return own
    waiting = _first_queued(session, served)
    since = now(session) - timedelta(seconds=load_after_s)
    overdue = {model: waiting[model] for model in others if model in waiting and waiting[model] <= since}
    if overdue and (since_load_s >= load_after_s or not own & waiting.keys()):
        return own | {min(overdue, key=lambda model: (overdue[model], model))}
    if own & waiting.keys():
        return own
    elsewhere = workers.loaded_models(session)
    fresh = {model: waiting[model] for model in others - elsewhere if model in waiting}
    return own | ({min(fresh, key=lambda model: (fresh[model], model))} if fresh else frozenset())


def _first_queued(session: Session, models: Collection[str]) -> Mapping[str, datetime]:
    """Since when the first job of each model waits; models without one are missing."""
    firsts = [
        select(literal(model).label("model"), Job.queued_at)
        .where(Job.status == "queued", Job.model == model, Job.priority_class == priority_class.number)
        .order_by(Job.rank, Job.id)
        .limit(1)
        .subquery()
        for model in sorted(models)
        for priority_class in PRIORITY_CLASSES.values()
    ]
    rows = session.execute(union_all(*map(select, firsts)))
    found: dict[str, datetime] = {}
    for model, raw in rows:
        queued_at = Utc().process_result_value(raw, session.get_bind().dialect) if raw.tzinfo is None else raw
        if queued_at is not None:
            found[model] = min(queued_at, found.get(model, queued_at))
    return found
