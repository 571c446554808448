"""A GPU in pretence: tensors that say they are on `cuda:0` and compute on the CPU, and a count of the host's waits.

The host waits for a GPU when it reads a value from it, when it copies from memory that is not pinned, and when the
shape of a result depends on values. Everything else is queued.
"""

import sys
from collections import Counter
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from dti.families.sources import load_part
from dti.spec.registry import FAMILIES

CUDA = torch.device("cuda", 0)
MATH = 0
"""The backend of attention that both devices have."""

_VALUE_DEPENDENT = {"nonzero", "masked_select", "equal", "is_nonzero", "_unique2", "unique_dim", "_local_scalar_dense"}


class DeviceTensor(torch.Tensor):
    """A tensor on the pretended GPU; `host` holds its values."""

    @staticmethod
    def __new__(cls, host):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            host.shape,
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            device="meta",
        )

    def __init__(self, host):
        self.host = host

    # Autograd asks the real device of a tensor for its stream; a build of torch without CUDA has one for "meta" only.
    @property
    def device(self):
        return CUDA

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.Tensor.tolist:
            FakeCuda.active.wait("tolist")
            return args[0].host.tolist()
        if func is torch.Tensor.new_tensor:
            return _tensor(*args[1:], **{"dtype": args[0].dtype, "device": CUDA} | (kwargs or {}))
        if func in {torch.Tensor.__getitem__, torch.Tensor.__setitem__}:
            args = (args[0], _index(args[1]), *args[2:])
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return FakeCuda.active.run(func, args, kwargs or {})

    def __repr__(self):
        return f"DeviceTensor({self.host!r})"


class FakeCuda(TorchDispatchMode):
    """Runs every operation, on either device, and counts the waits.

    Attributes:
        waits: by cause.
    """

    active = None

    def __init__(self):
        super().__init__()
        self.waits = Counter()
        self.pinned = set()

    def __enter__(self):
        FakeCuda.active = self
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.run(func, args, kwargs or {})

    def wait(self, cause):
        self.waits[cause] += 1

    def run(self, func, args, kwargs):
        name = func._schema.name.partition("::")[2]
        if name == "_fused_sdp_choice":
            return MATH
        if name == "is_pinned":
            return self.is_pinned(args[0])
        if name == "_pin_memory":
            return self.pin(args[0].clone())
        onto = self._target(kwargs)
        on_device = _mentions_device(args) or _mentions_device(kwargs)
        self._count(name, args, kwargs, onto, on_device)
        pin = kwargs.pop("pin_memory", None)
        result = func(*_hosts(args), **_hosts(kwargs))
        if pin:
            self.pin(result)
        return _wrapped(result, args) if onto == CUDA.type or (onto is None and on_device) else result

    def _target(self, kwargs):
        """The device that an operation names, if any."""
        if kwargs.get("device") is None:
            return None
        named = torch.device(kwargs["device"]).type
        return CUDA.type if named == "meta" else named

    def pin(self, tensor):
        self.pinned.add(tensor.untyped_storage().data_ptr())
        return tensor

    def is_pinned(self, tensor):
        return not isinstance(tensor, DeviceTensor) and tensor.untyped_storage().data_ptr() in self.pinned

    def _count(self, name, args, kwargs, onto, on_device):
        if name == "_to_copy":
            self._count_copy(args[0], onto, non_blocking=kwargs.get("non_blocking", False))
        elif name == "copy_":
            target = "cuda" if isinstance(args[0], DeviceTensor) else "cpu"
            self._count_copy(args[1], target, non_blocking=len(args) > 2 and args[2])
        elif on_device and name in _VALUE_DEPENDENT:
            self.wait(name)
        elif on_device and name.startswith("index") and isinstance(args[1], list | tuple):
            for index in args[1]:
                if index is not None and index.dtype in {torch.bool, torch.uint8}:
                    self.wait("index by a mask")
                elif index is not None and not isinstance(index, DeviceTensor):
                    self.wait("index from the host")

    def _count_copy(self, source, onto, *, non_blocking):
        from_device = isinstance(source, DeviceTensor)
        if from_device and onto == "cpu":
            self.wait("copy to the host")
        elif not from_device and onto == "cuda" and source.numel() and not (non_blocking and self.is_pinned(source)):
            self.wait("copy to the device")


def _index(index):
    """An index whose tensors are on the device; torch would move them there unseen."""
    if isinstance(index, tuple):
        return tuple(_index(part) for part in index)
    if isinstance(index, list):
        index = _host_tensor(index)
    if not isinstance(index, torch.Tensor) or isinstance(index, DeviceTensor):
        return index
    FakeCuda.active.wait("index from the host")
    return DeviceTensor(index)


def _mentions_device(values):
    found = False

    def see(_tensor):
        nonlocal found
        found = True
        return _tensor

    tree_map_only(DeviceTensor, see, values)
    return found


def _hosts(values):
    values = tree_map_only(DeviceTensor, lambda tensor: tensor.host, values)
    return tree_map_only(torch.device, _host_device, values)


def _host_device(device):
    return torch.device("cpu") if FakeCuda.active._target({"device": device}) == "cuda" else device


def _wrapped(result, args):
    """Results as tensors of the device; an operation in place returns the tensor it was given."""
    given = {}

    def remember(tensor):
        given[id(tensor.host)] = tensor
        return tensor

    tree_map_only(DeviceTensor, remember, args)

    def wrap(host):
        return given[id(host)] if id(host) in given else DeviceTensor(host)

    return tree_map_only(torch.Tensor, wrap, result)


_host_tensor = torch.tensor


def _tensor(*args, device=None, **kwargs):
    """As `torch.tensor`, whose copy to the device no dispatch mode sees."""
    if device is None or torch.device(device).type != CUDA.type:
        return _host_tensor(*args, device=device, **kwargs)
    return _host_tensor(*args, **kwargs).to(device)


def load(monkeypatch, family, folder):
    """A model on the pretended GPU; call it within the context.

    Its networks are read outside of the context, because the libraries' readers use the device "meta" for themselves.
    """
    read = []
    kind = FAMILIES[family].load()
    users = [module for name, module in sys.modules.items() if name.startswith("dti.families.")]
    users = [module for module in users if hasattr(module, "load_part")]
    with monkeypatch.context() as patched, _outside():
        for module in users:
            patched.setattr(
                module, "load_part", lambda *args, **kwargs: read.append(load_part(*args, **kwargs)) or read[-1]
            )
        kind.load(folder, device=torch.device("cpu"))
    with monkeypatch.context() as patched:
        networks = iter(read)
        for module in users:
            patched.setattr(module, "load_part", lambda *_args, **_kwargs: next(networks))
        return kind.load(folder, device=CUDA, dtype=torch.float32)


@contextmanager
def _outside():
    mode = FakeCuda.active
    mode.__exit__(None, None, None)
    torch.tensor, patched = _host_tensor, torch.tensor
    try:
        yield
    finally:
        torch.tensor = patched
        mode.__enter__()


@contextmanager
def fake_cuda(monkeypatch):
    """Pretend a GPU within the context; yields the counter."""
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch, "tensor", _tensor)
    with FakeCuda() as mode:
        yield mode
