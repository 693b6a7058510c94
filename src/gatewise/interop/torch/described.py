"""The tensors that a PyTorch pickle describes, as a flat dictionary by their paths, and the storages of their numbers.

The layouts follow `torch._utils`: of tensors and parameters, and NumPy's of arrays.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

from gatewise.errors import FileError, join_names, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers import pickled_arrays, pickles
from gatewise.interop.containers.pickles import GlobalName, PersistentId, PickledObject, as_bytes, full_name
from gatewise.interop.containers.tensors import Storage, Tensor, bytes_per_number, is_count, unreadable_tensor
from gatewise.interop.torch.content import DICTIONARY, ModuleFacts, TorchFile
from gatewise.interop.torch.names import DEEPEST
from gatewise.showing import counted

MAGIC = 0x1950A86A20F9469CFC6C  # how a stream of pickles from before 1.6 begins
REBUILD = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
WEIGHT_HOOKS = ("torch.nn.utils.weight_norm.WeightNorm", "torch.nn.utils.spectral_norm.SpectralNorm")  # told by weights
SETTINGS = ("mode", "input_size", "hidden_size", "num_layers", "bias", "bidirectional", "proj_size")  # of an LSTM
PLAIN = (int, str)  # the types of these
COPIES = 4  # of a name, in parts and as a whole
TYPES = {  # by the names of storages and of dtypes
    "untyped": "<u1", "char": "<i1", "byte": "<u1", "complexfloat": "<c8", "complexdouble": "<c16",
    "float32": "<f4", "float64": "<f8", "float16": "<f2", "bfloat16": "bf16", "int64": "<i8", "int32": "<i4",
    "int16": "<i2", "int8": "<i1", "uint8": "<u1", "bool": "<u1", "complex64": "<c8", "complex128": "<c16",
    "float": "<f4", "double": "<f8", "half": "<f2", "long": "<i8", "int": "<i4", "short": "<i2",
}  # fmt: skip


def describe_file(
    kind: str, content: Any, storage: Callable[[Any], Storage | None], budget: Budget, calls: Iterable[str] = ()
) -> TorchFile:
    """Return the content of a file of PyTorch's from the object in its pickle: tensors by their paths, and classes.

    Each path and each visited entry counts: thousands may hold one object.
    """
    tensors: dict[str, Tensor] = {}
    classes: dict[str, str] = {}
    facts: dict[str, ModuleFacts] = {}
    visited: set[int] = set()
    pending: list[tuple[str, int, Any]] = [("", 0, content)]
    while pending:
        path, depth, node = pending.pop()
        if isinstance(node, PickledObject) and (tensor := describe_tensor(node, storage, budget)) is not None:
            tensors[path or "tensor"] = tensor
            continue
        if not isinstance(node, (dict, list, tuple, PickledObject)) or id(node) in visited or depth > DEEPEST:
            continue
        visited.add(id(node))  # an object that is shared, or holds itself, is visited once
        if isinstance(node, PickledObject):
            if kind_of_object := full_name(node):
                classes[path] = kind_of_object
                budget.hold(len(classes[path]), 1, "the names of its classes")
            pairs, fact = _describe_object(node, budget)
            if fact != ModuleFacts():
                facts[path] = fact
        elif isinstance(node, dict):
            pairs = node
            if any(isinstance(key, str) and key.startswith("weight_ih") for key in node):
                classes[path] = DICTIONARY
        else:
            pairs = dict(enumerate(node))
        budget.count(len(pairs), "entries")
        for key, value in reversed(pairs.items()):
            if _is_path_part(key) and isinstance(value, (dict, list, tuple, PickledObject)):
                inner = f"{path}.{key}" if path else str(key)
                budget.hold(len(inner), COPIES, "its names")
                pending.append((inner, depth + 1, value))
    epoch = content.get("epoch") if isinstance(content, dict) else None  # as Lightning and many programs store it
    words = describe_content(content)
    return TorchFile(kind, tensors, classes, facts, tuple(calls), words, epoch if is_count(epoch) else None)


def _describe_object(node: PickledObject, budget: Budget) -> tuple[dict[Any, Any], ModuleFacts]:
    """Return what an object in a PyTorch pickle holds, a module's weights and modules among it, and facts about it."""
    pairs: dict[Any, Any] = {}
    state = node.state[0] if isinstance(node.state, tuple) and len(node.state) == 2 else node.state
    for source in (state, node.pairs):
        if isinstance(source, dict):
            budget.count(len(source), "entries")
            pairs |= source
    hooks = []
    own = pairs.pop("forward", None) if "_modules" in pairs else None  # of the instance, in the place of its class's
    code = {"_forward_": {0: own}} if own is not None else {}
    for name, members in (code | {name: pairs.pop(name, None) for name in HOOKS}).items():
        for hook in members.values() if isinstance(members, dict) else ():
            if full_name(hook) not in WEIGHT_HOOKS:
                hooks.append(f"{name[1:-1].replace('_', ' ')} ({full_name(hook) or 'code'})")
    for inner in ("_buffers", "_parameters", "_modules"):  # a whole module, with its weights inside
        if isinstance(members := pairs.pop(inner, None), dict):
            pairs |= members
    pairs |= dict(enumerate(node.items))
    pairs.pop("_flat_weights", None)  # an LSTM's weights once more
    batch_first = pairs.get("batch_first")
    settings = {name: pairs[name] for name in SETTINGS if "hidden_size" in pairs and isinstance(pairs.get(name), PLAIN)}
    known = batch_first if isinstance(batch_first, bool) else None
    return pairs, ModuleFacts(known, hooks=tuple(hooks), settings=settings)


def describe_content(content: Any) -> str:
    """Return the content of a PyTorch pickle in a few words."""
    if isinstance(content, PickledObject):
        return f"an object of {full_name(content) or 'a class that is made in it'}"
    if isinstance(content, GlobalName):
        return f"the name {full_name(content)}"
    if isinstance(content, dict):
        some = ", ".join(shown(key, 40) for key in list(content)[:3] if isinstance(key, str))
        more = " …" if len(content) > 3 else ""
        return f"a dictionary of {counted(len(content), 'key')}" + (f" ({some}{more})" if some else "")
    if isinstance(content, (list, tuple)):
        return f"a list of {counted(len(content), 'item')}"
    return {str: "a text", bytes: "bytes", type(None): "nothing"}.get(type(content), f"a {type(content).__name__}")


def _is_path_part(key: Any) -> bool:
    return isinstance(key, str) or (isinstance(key, int) and is_count(abs(key)))


def describe_tensor(node: PickledObject, storage: Callable[[Any], Storage | None], budget: Budget) -> Tensor | None:
    """Return the PyTorch tensor or NumPy array that an object in a pickle describes, or None."""
    for _ in range(4):  # a parameter holds its tensor
        if not node.made_by(*PARAMETER):
            break
        if not (isinstance(node.args, tuple) and node.args and isinstance(node.args[0], PickledObject)):
            return unreadable_tensor("its parameter is incomplete")
        node = node.args[0]
    if (array := pickled_arrays.describe_array(node, budget)) is not None:
        return array
    if node.made_by(*REBUILD):
        return _describe_rebuilt_tensor(node, storage, budget)
    module, _, name = full_name(node).rpartition(".")
    if module not in ("torch._utils", "torch._tensor") or "_rebuild" not in name:
        return None
    kind = name.removeprefix("_rebuild_").replace("qtensor", "quantised tensor").replace("_", " ")
    if "from_type" in name and isinstance(node.args, tuple) and (subclass := full_name([*node.args, None, None][1])):
        kind = f"tensor of the class {subclass[:100]}"
    return unreadable_tensor(f"it is a {kind}")


def _describe_rebuilt_tensor(node: PickledObject, storage: Callable[[Any], Storage | None], budget: Budget) -> Tensor:
    """Return the tensor that a call of torch._utils._rebuild_tensor in a pickle describes."""
    args = node.args if isinstance(node.args, tuple) else ()
    if len(args) < 4:
        return unreadable_tensor("its description is incomplete")
    storage_node, offset, shape, strides = args[:4]
    is_persistent = isinstance(storage_node, PersistentId)
    stored = None if is_persistent else _nested_storage(storage_node, budget)
    if is_persistent and is_storage(storage_node.identity):
        stored = storage(storage_node.identity)
    if stored is None:
        kind_of_node = "storage that is not described" if is_persistent else type(storage_node).__name__
        made_by = full_name(storage_node)[:100] if isinstance(storage_node, PickledObject) else ""
        return unreadable_tensor(f"it depends on {made_by or f'a {kind_of_node}'}")
    is_consistent = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 32
    if not is_consistent or not all(map(is_count, (offset, *shape, *strides))):
        return unreadable_tensor("its shape or its strides are invalid")
    is_v3 = node.made_by("torch._utils._rebuild_tensor_v3")
    metadata = args[7:8] if is_v3 else args[6:7]
    views = (
        {key for key, value in metadata[0].items() if value} if metadata and isinstance(metadata[0], dict) else set()
    )
    if views - {"neg"}:  # of a conjugated one, complex numbers
        return unreadable_tensor(f"it is a view whose numbers are {join_names(sorted(map(str, views)))}")
    kind, type_name = stored.kind, storage_node.identity[1] if is_persistent else None
    if is_v3:
        type_name = args[6] if len(args) > 6 else None
        kind = storage_kind(type_name)
        if kind is not None:
            stored = Storage(kind, stored.count // bytes_per_number(kind), stored.read)
    if kind is None:
        return unreadable_tensor(
            f"its numbers are {full_name(type_name) or 'of an unknown type'}, which is not supported"
        )
    return Tensor(shape, strides, offset, kind, stored, budget, negated="neg" in views)


def is_storage(identity: Any) -> bool:
    """Return whether an identity in a PyTorch pickle is a storage's: (storage, class, key, device, count, …)."""
    if not (isinstance(identity, tuple) and len(identity) >= 5):
        return False
    return identity[0] == "storage" and isinstance(identity[2], str) and is_count(identity[4])


def storage_kind(kind: Any) -> str | None:
    """Return the NumPy type of the numbers in a class of PyTorch's storages, or of a dtype; None if it is unknown."""
    return TYPES.get(full_name(kind).rpartition(".")[2].removesuffix("Storage").lower())


def _nested_storage(node: Any, budget: Budget) -> Storage | None:
    """Return a storage of PyTorch's that was pickled by itself, as the bytes of another PyTorch file."""
    if not (isinstance(node, PickledObject) and node.made_by("torch.storage._load_from_bytes") and node.args):
        return None
    data = as_bytes(node.args[0], budget)
    if data is None:
        return None
    file = io.BytesIO(data)
    try:
        parts = [pickles.read_pickle(file, budget) for _ in range(5)]
    except FileError:
        return None
    identity: Any = getattr(parts[3], "identity", None)
    if parts[0] != MAGIC or not is_storage(identity):
        return None
    begin = file.tell() + 8
    return Storage(storage_kind(identity[1]), identity[4], lambda size: memoryview(data)[begin : begin + size])
