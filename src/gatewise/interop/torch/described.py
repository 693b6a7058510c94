"""From a pickle of PyTorch's to a flat dictionary of the tensors it describes, by their paths.

The layouts follow `torch._utils`: of tensors and parameters, and NumPy's of arrays.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from gatewise.errors import FileError, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers import pickled_arrays, pickles
from gatewise.interop.containers.pickles import Global, Object, Persistent, as_bytes
from gatewise.interop.containers.tensors import Storage, Tensor, is_count, itemsize, unreadable
from gatewise.interop.torch.storages import TYPES, is_storage, storage_kind
from gatewise.showing import counted

MAGIC = 0x1950A86A20F9469CFC6C  # how a stream of pickles from before 1.6 begins
REBUILD = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
COPIES = 4  # of a name, in parts and as a whole
DEEPEST = 100  # levels of dictionaries and modules within each other


def flatten(
    content: Any, storage: Callable[[Any], Storage | None], budget: Budget
) -> tuple[dict[str, Tensor], dict[str, str], dict[str, bool]]:
    """Return the tensors by their paths, the classes of the objects that hold them, and their batch_first.

    Each path counts, and each entry of what is looked through: one object may be held by thousands.
    """
    tensors: dict[str, Tensor] = {}
    classes: dict[str, str] = {}
    batch_first: dict[str, bool] = {}
    seen: set[int] = set()
    ahead: list[tuple[str, int, Any]] = [("", 0, content)]
    while ahead:
        path, depth, one = ahead.pop()
        if isinstance(one, Object) and (tensor := _tensor(one, storage, budget)) is not None:
            tensors[path or "tensor"] = tensor
            continue
        if not isinstance(one, (dict, list, tuple, Object)) or id(one) in seen or depth > DEEPEST:
            continue
        seen.add(id(one))  # what is shared, or holds itself, is gone through once
        pairs: dict[Any, Any] = {}
        if isinstance(one, Object):
            if isinstance(one.maker, Global):
                classes[path] = ".".join(one.maker)
                budget.hold(len(classes[path]), 1, "the names of its classes")
            state = one.state[0] if isinstance(one.state, tuple) and len(one.state) == 2 else one.state
            for source in (state, one.pairs):
                if isinstance(source, dict):
                    budget.count(len(source), "entries")
                    pairs |= source
            for inner in ("_buffers", "_parameters", "_modules"):  # a whole module, with its weights inside
                if isinstance(held := pairs.pop(inner, None), dict):
                    pairs |= held
            pairs |= dict(enumerate(one.items))
            if isinstance(said := pairs.get("batch_first"), bool):
                batch_first[path] = said
        elif isinstance(one, dict):
            pairs = one
        else:
            pairs = dict(enumerate(one))
        budget.count(len(pairs), "entries")
        for key, value in reversed(pairs.items()):
            if _is_name(key) and isinstance(value, (dict, list, tuple, Object)):
                inner = f"{path}.{key}" if path else str(key)
                budget.hold(len(inner), COPIES, "its names")
                ahead.append((inner, depth + 1, value))
    return tensors, classes, batch_first


def kind_of(content: Any) -> str:
    """Return what the content of a pickle is, in a few words."""
    if isinstance(content, Object):
        maker = ".".join(content.maker) if isinstance(content.maker, Global) else "a class that is made in it"
        return f"an object of {maker}"
    if isinstance(content, Global):
        return f"the name {'.'.join(content)}"
    if isinstance(content, dict):
        some = ", ".join(shown(key, 40) for key in list(content)[:3] if isinstance(key, str))
        more = " …" if len(content) > 3 else ""
        return f"a dictionary of {counted(len(content), 'key')}" + (f" ({some}{more})" if some else "")
    if isinstance(content, (list, tuple)):
        return f"a list of {counted(len(content), 'item')}"
    return {str: "a text", bytes: "bytes", type(None): "nothing"}.get(type(content), f"a {type(content).__name__}")


def _is_name(key: Any) -> bool:
    return isinstance(key, str) or (isinstance(key, int) and is_count(abs(key)))


def _tensor(one: Object, storage: Callable[[Any], Storage | None], budget: Budget) -> Tensor | None:
    """Return the tensor or array that an object stands for, or None."""
    for _ in range(4):  # a parameter holds its tensor
        if not one.made_by(*PARAMETER):
            break
        if not (isinstance(one.args, tuple) and one.args and isinstance(one.args[0], Object)):
            return unreadable("its parameter is incomplete")
        one = one.args[0]
    if (array := pickled_arrays.described(one, budget)) is not None:
        return array
    if isinstance(one.maker, Global) and one.maker.module == "torch._utils" and "_rebuild" in one.maker.name:
        if not one.made_by(*REBUILD):
            kind = one.maker.name.removeprefix("_rebuild_").replace("qtensor", "quantised tensor").replace("_", " ")
            return unreadable(f"it is a {kind}")
        return _dense(one, storage, budget)
    return None


def _dense(one: Object, storage: Callable[[Any], Storage | None], budget: Budget) -> Tensor:
    args = one.args if isinstance(one.args, tuple) else ()
    if len(args) < 4:
        return unreadable("its description is incomplete")
    held, offset, shape, strides = args[:4]
    found = storage(held.identity) if isinstance(held, Persistent) else _inner_storage(held, budget)
    if found is None:
        return unreadable(f"it depends on {_said(held)}")
    whole = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 32
    if not whole or not all(map(is_count, (offset, *shape, *strides))):
        return unreadable("its shape or its strides are invalid")
    kind, named = found.kind, held.identity[1] if isinstance(held, Persistent) else None
    if one.made_by("torch._utils._rebuild_tensor_v3"):
        named = args[6] if len(args) > 6 else None
        kind = TYPES.get(named.name) if isinstance(named, Global) else None
        if kind is not None:
            found = Storage(kind, found.count // itemsize(kind), found.read)
    if kind is None:
        name = ".".join(named) if isinstance(named, Global) else "of an unknown type"
        return unreadable(f"its numbers are {name}, which is not supported")
    return Tensor(shape, strides, offset, kind, found, budget)


def _said(held: Any) -> str:
    if isinstance(held, Object) and isinstance(held.maker, Global):
        return ".".join(held.maker)[:100]
    return "a storage that is not described" if isinstance(held, Persistent) else f"a {type(held).__name__}"


def _inner_storage(held: Any, budget: Budget) -> Storage | None:
    """Return a storage that was pickled by itself: as bytes which are a file of PyTorch's in turn."""
    if not (isinstance(held, Object) and held.made_by("torch.storage._load_from_bytes") and held.args):
        return None
    data = as_bytes(held.args[0], budget)
    if data is None:
        return None
    file = io.BytesIO(data)
    try:
        parts = [pickles.read(file, budget) for _ in range(5)]
    except FileError:
        return None
    identity: Any = getattr(parts[3], "identity", None)
    if parts[0] != MAGIC or not is_storage(identity):
        return None
    begin = file.tell() + 8
    return Storage(storage_kind(identity[1]), identity[4], lambda size: memoryview(data)[begin : begin + size])
