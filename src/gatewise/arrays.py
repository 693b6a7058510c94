"""Arrays: their types, the checks of what is given, and whether they fit into memory."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gatewise.errors import CapacityError, OptionError, ShapeError, join_names, one_of, reason

Array = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")
DTYPES = ("float32", "float64")
_FOUND = {np.dtype(name): np.dtype(name) for name in DTYPES}  # the quick way: asked at every call
MOST = 2**62  # of anything: no machine has so many
SMALL = 2**24  # bytes for which nobody asks how much memory there is
AXES = ("time", "batch", "feature")
LINE = 64  # bytes of a line of the processor's caches
quiet = np.errstate(all="ignore")  # NaN and infinity go through as they are, and without a word


def float_type(dtype: npt.DTypeLike) -> np.dtype[np.floating[Any]]:
    """Return `dtype` as a NumPy type; only float32 and float64 are allowed."""
    try:
        found: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)  # None would be float64 to NumPy
    except TypeError:
        found = None
    if found in _FOUND:
        return _FOUND[found]
    if found is None or found.name not in DTYPES:
        raise OptionError(f"the dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    return np.dtype(found.name)  # in the machine's own byte order


def size(what: str, value: object, *, least: int = 1, most: int | None = MOST) -> int:
    """Return `value` as an integer from `least` to `most`, or of any size; `what` names it in the error."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise OptionError(f"{what} must be an integer of at least {least}, not {value!r}")
    found = int(value)
    if found < least:
        raise OptionError(f"{what} must be at least {least}, not {found if found > -MOST else 'a longer number'}")
    if most is not None and found > most:
        raise OptionError(f"{what} must be at most 2^{most.bit_length() - 1}")
    return found


def array_of(what: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return what a caller gave as an array of NumPy's; `what` names it in the error.

    Raises
    ------
    ShapeError
        If its rows have different lengths.
    OptionError
        If entries of it are masked: what lies under a mask is no number to compute with. If NumPy cannot take it, such
        as a tensor of PyTorch's that requires a gradient, or is on another device.
    """
    ma = sys.modules.get("numpy.ma")  # imported, which takes a while, by whoever has masked arrays
    if ma is not None and isinstance(value, ma.MaskedArray):
        if ma.is_masked(value):
            raise OptionError(f"{what} has masked entries: fill them, or give the valid steps as mask=")
        return np.asarray(value.data)
    try:
        return np.asarray(value)
    except ValueError:
        raise ShapeError(f"{what} must be an array whose rows have equal lengths") from None
    except (RuntimeError, TypeError) as problem:
        # Its words, and not the type of `value`: tensors are given in lists, too.
        tensor = "; of a PyTorch tensor give .detach().float()" if re.search("Tensor|ScalarType", str(problem)) else ""
        raise OptionError(f"{what} cannot be read as an array ({reason(problem)}){tensor}") from None


def numbers(what: str, value: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> Array:
    """Return `value` as an array of real floating-point numbers; `what` names it in the error.

    Integers become floats, and where `dtype` is given the result has it.
    """
    array = array_of(what, value)
    if array.dtype.kind not in "fiub":
        raise OptionError(f"{what} must hold real numbers, not {array.dtype}")
    if dtype is None:
        dtype = array.dtype if array.dtype in _FOUND or array.dtype.name in DTYPES else np.float64
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinity, as in NumPy
        found = array.astype(float_type(dtype), copy=False)
    return found if found.flags.aligned else found.copy()


class Unshared(np.ndarray[Any, Any]):
    """Memory that only its maker has had; once `settled`, it needs no copy."""

    def settled(self) -> Array:
        """Return the array, which stays as it is from now on."""
        self.setflags(write=False)
        return self.view(np.ndarray)


def frozen(array: Array, shape: tuple[int, ...], what: str) -> Array:
    """Return `array` as a read-only, C-ordered array of the given `shape`.

    The caller's array stays writable and is never shared: a later change of it must not reach parameters in use.
    """
    if array.shape != shape:
        raise ShapeError(f"{what} has shape {array.shape}; it must be {shape}")
    memory = array.base
    if type(memory) is Unshared and not memory.flags.writeable and array.flags.c_contiguous:
        return array
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy[...]  # a view of what is locked cannot be unlocked


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array that is not set; a large one begins where a line of the caches does.

    The memory of a large one is locked, so that an array that is locked later cannot be opened by way of a view.
    """
    count = math.prod(shape) * dtype.itemsize
    if count < 1024 * LINE:
        return np.empty(shape, dtype)
    memory = np.empty(count + LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % LINE
    array = memory[start : start + count].view(dtype).reshape(shape)
    memory.setflags(write=False)
    return array


def owns_memory(array: Array) -> bool:
    """Return whether an array is all that lies in its memory, as far as can be seen; those of `empty` are."""
    base = array.base
    return array.flags.owndata or (
        type(base) is np.ndarray
        and base.flags.owndata
        and base.dtype == np.uint8
        and base.nbytes == array.nbytes + LINE
    )


def index(what: str, given: object, count: int, owner: str) -> int:
    """Return a place from 0 to `count` - 1; negative counts from the end. `what` and `owner` name it in the error."""
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or not -count <= given < count:
        allowed = f"{what}s 0 to {count - 1}" if count else f"no {what}s"
        raise OptionError(f"there is no {what} {given!r}; {owner} has {allowed}")
    return int(given) % count


def cell_at(layers: Sequence[Mapping[str, T]], key: int | tuple[int, str], owner: str) -> T:
    """Return what belongs to one cell of a stack, out of what each layer has for each direction.

    Parameters
    ----------
    layers : sequence of mapping
        For each layer, by direction.
    key : int or (int, str)
        A layer, or a layer and a direction. A layer alone names a cell only where there is one direction.
    owner : str
        Names what has the layers in the error.

    Raises
    ------
    OptionError
        If there is no such layer or direction, or the layer has two directions and the key names none.
    """
    layer, direction = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
    found = layers[index("layer", layer, len(layers), owner)]
    if direction is None:
        if len(found) > 1:
            either = join_names((f"[{layer}, {name!r}]" for name in found), "or")
            raise OptionError(f"layer {layer} of {owner} has {len(found)} directions: name one, {either}")
        return next(iter(found.values()))
    return found[one_of("direction", direction, tuple(found))]


def by_cell(layers: Sequence[Mapping[str, T]]) -> dict[tuple[int, str], T]:
    """Return what belongs to each cell of a stack, by layer and direction."""
    return {(number, direction): one for number, layer in enumerate(layers) for direction, one in layer.items()}


def in_words(index: Sequence[int]) -> str:
    """Return a place (step, sequence, unit) or (sequence, unit) in words."""
    names = ("step", "sequence", "unit")[-len(index) :]
    return ", ".join(f"{name} {n}" for name, n in zip(names, index, strict=True))


def time_first(array: npt.NDArray[Any], axes: Sequence[str], what: str = "x") -> npt.NDArray[Any]:
    """Return an array on the axes (time, batch, feature), whatever their order was, as a view.

    Parameters
    ----------
    array : array
        With as many axes as are named, or without the one called batch, which is then put in.
    axes : sequence of str
        A permutation of ``time, batch, feature``, or of ``time, batch``.
    what : str
        Names it in the error.

    Raises
    ------
    OptionError
        If the names are others.
    ShapeError
        If there are more axes or fewer.
    """
    names = list(axes)
    if len(set(names)) != len(names) or not {"time"} <= set(names) <= set(AXES):
        raise OptionError(f"the axes must be time, batch and feature in some order, not {','.join(map(str, names))}")
    wanted = [name for name in AXES if name in names]
    if array.ndim == len(names) - 1 and "batch" in names:
        names.remove("batch")
        array, names = array[None], ["batch", *names]
    if array.ndim != len(names):
        raise ShapeError(f"{what} has shape {array.shape}; its axes must be {', '.join(axes)}")
    return array.transpose([names.index(name) for name in wanted])


def lock(*arrays: npt.NDArray[Any] | None) -> None:
    """Make arrays read-only, where there are any."""
    for array in arrays:
        if array is not None:
            array.setflags(write=False)


def unlock(array: Array) -> None:
    """Make an array that owns its memory writable again; one that is writable stays as it is, and its memory too."""
    if array.flags.writeable:
        return
    memory = array if array.base is None else array.base
    memory.setflags(write=True)
    array.setflags(write=True)
    if memory is not array:
        memory.setflags(write=False)


def require_reusable(
    wanted: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]],
    given: Mapping[str, Array],
    what: str,
    *,
    locked: bool = False,
) -> None:
    """Raise ShapeError unless what is `given` as `out` has just the arrays that are wanted, and can be written to.

    They may be `locked` where the lock is our own, which the caller opens then.
    """
    found = {name: (array.shape, array.dtype) for name, array in given.items()}
    if found != wanted:
        for name in sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
            texts = [f"{one[0]} of {one[1]}" if one else "none" for one in (found.get(name), wanted.get(name))]
            raise ShapeError(f"out does not fit: {name} of its {what} is {texts[0]}; this run needs {texts[1]}")
    for name, array in given.items():
        flags = array.flags
        if not (flags.c_contiguous and (flags.writeable or (locked and owns_memory(array)))):
            raise OptionError(f"out cannot be reused: the array {name} of its {what} is in a file, or is a slice")


def available_memory() -> int | None:
    """Return the bytes that can still be taken on this machine, or None where the system does not tell.

    The smaller of what the kernel calls available and what the control group leaves.
    """
    found = []
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        try:
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        except (AttributeError, OSError, ValueError):
            return None
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
        with open("/sys/fs/cgroup/memory.current", encoding="ascii") as file:
            used = int(file.read())
        if limit != "max":
            found.append(max(int(limit) - used, 0))
    except (OSError, ValueError):
        pass
    return min(found, default=None)


def require_memory(elements: int, itemsize: int, what: str) -> None:
    """Raise before memory is taken that is not there.

    Parameters
    ----------
    elements, itemsize : int
        How many numbers, and the bytes of each.
    what : str
        What the memory is for; the subject of the error's sentence.

    Raises
    ------
    CapacityError
        If the bytes exceed what `available_memory` reports; it is not asked for less than `SMALL`.
    """
    needed = elements * itemsize
    available = None if needed < SMALL else available_memory()
    if available is not None and needed > available:
        raise CapacityError(f"{what} would take {in_bytes(needed)} of memory; {in_bytes(available)} are available")


def chunks(count: int, numbers: int, most: int, *, reverse: bool = False) -> Iterator[slice]:
    """Go through `count` rows of `numbers` each in slices of at most `most` numbers, but of one row at least."""
    size = max(1, most // max(numbers, 1))
    starts = range(0, count, size)
    for start in reversed(starts) if reverse else starts:
        yield slice(start, min(start + size, count))


def in_bytes(count: float) -> str:
    """Return a number of bytes in words."""
    if count > 2**1000:  # what a file says, and no float holds
        return "countless bytes"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:,.0f} PiB"
