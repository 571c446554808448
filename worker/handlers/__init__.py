"""The handlers, one for each kind of job; the loop knows only their common interface."""

from collections.abc import Mapping

from service.database.tables import Kind
from worker.handlers.base import Handler
from worker.handlers.generate import GenerateHandler
from worker.handlers.interpolate import InterpolateHandler
from worker.handlers.rpc import RpcHandler
from worker.handlers.train import TrainHandler

HANDLERS: Mapping[Kind, type[Handler]] = {
    "train": TrainHandler,
    "generate": GenerateHandler,
    "interpolate": InterpolateHandler,
    "rpc": RpcHandler,
}

__all__ = ["HANDLERS", "Handler"]
