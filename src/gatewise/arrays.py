"""Arrays: their types, checks of arguments, and the memory that they take."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gatewise.errors import CapacityError, OptionError, ShapeError, reason, shown

Array = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")
DTYPES = ("float32", "float64")
_FOUND = {np.dtype(name): np.dtype(name) for name in DTYPES}  # the quick way: asked at every call
MOST = 2**62  # of anything: no machine has so many
SMALL = 2**24  # bytes for which nobody asks how much memory there is
AXES = ("time", "batch", "feature")
SEQUENCE = (AXES, ("time", "feature"))  # the orders in which an input or an output is read
LINE = 64  # bytes of a line of the processor's caches
quiet = np.errstate(all="ignore")  # NaN and infinity go through as they are, and without a word


def float_type(dtype: npt.DTypeLike) -> np.dtype[np.floating[Any]]:
    """Return `dtype` as a NumPy type; only float32 and float64 are allowed."""
    try:
        known: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)  # None would be float64 to NumPy
    except TypeError:
        known = None
    if known in _FOUND:
        return _FOUND[known]
    if known is None or known.name not in DTYPES:
        raise OptionError(f"the dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    return np.dtype(known.name)  # in the machine's own byte order


def size(name: str, value: object, *, least: int = 1, most: int | None = MOST) -> int:
    """Return `value` as an integer from `least` to `most`, or of any size; `name` is the subject of the error."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise OptionError(f"{name} must be an integer of at least {least}, not {value!r}")
    number = int(value)
    if number < least:
        raise OptionError(f"{name} must be at least {least}, not {number if number > -MOST else 'a longer number'}")
    if most is not None and number > most:
        raise OptionError(f"{name} must be at most 2^{most.bit_length() - 1}")
    return number


def finite_number(
    name: str, value: object, allowed: str = "a finite number", fits: Callable[[float], bool] = lambda value: True
) -> float:
    """Return `value` as a finite float that fits; `name` and `allowed`, what fits, are words of the error."""
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    try:
        number = float(value) if known else math.nan  # type: ignore[arg-type]
    except OverflowError:
        raise OptionError(f"{name} must be {allowed}, not an integer of more digits than a float has") from None
    if not math.isfinite(number) or not fits(number):
        raise OptionError(f"{name} must be {allowed}, not {value!r}")
    return number


def array_of(name: str, value: npt.ArrayLike, orders: Iterable[Sequence[str]] = ()) -> npt.NDArray[Any]:
    """Return a value as a NumPy array; `name` is the subject of the error.

    Raise ShapeError if its rows have different lengths. Raise OptionError if `require_order` refuses the order of its
    dimensions, if entries of it are masked, since what lies under a mask is no number to compute with, or if NumPy
    cannot take it, such as a PyTorch tensor on another device.
    """
    if type(value) is np.ndarray:
        return value
    require_order(name, value, orders)
    torch = sys.modules.get("torch")  # imported by whoever has one of its tensors
    ma = sys.modules.get("numpy.ma")  # imported, which takes a while, by whoever has masked arrays
    if ma is not None and isinstance(value, ma.MaskedArray):
        if ma.is_masked(value):
            raise OptionError(f"{name} has masked entries: fill them, or give the valid steps as mask=")
        return np.asarray(value.data)
    try:
        return np.asarray(value) if torch is None else _without_tensor(name, value, torch)
    except OptionError:  # which is a ValueError
        raise
    except ValueError:
        raise ShapeError(f"{name} must be an array whose rows have equal lengths") from None
    except (RuntimeError, TypeError) as problem:
        # Its words, and not the type of `value`: tensors are given in lists, too.
        tensor = "; of a PyTorch tensor give .detach().float()" if re.search("Tensor|ScalarType", str(problem)) else ""
        raise OptionError(f"{name} cannot be read as an array ({reason(problem)}){tensor}") from None


def _without_tensor(name: str, value: Any, torch: Any) -> npt.NDArray[Any]:
    """Return a value as a NumPy array; a PyTorch tensor without its gradient, in float32 where NumPy lacks its type."""
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        raise OptionError(
            f"{name} is a PackedSequence. Call torch.nn.utils.rnn.pad_packed_sequence, and pass the array that it"
            " returns, with its lengths as lengths="
        )
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    if value.device.type != "cpu":
        way = "which has no numbers" if value.is_meta else "where NumPy cannot read it. Pass its .cpu()."
        raise OptionError(f"{name} is a PyTorch tensor on the device {value.device}, {way}")
    tensor = value.detach() if value.layout == torch.strided else value.detach().to_dense()
    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    if tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32, torch.float64):
        tensor = tensor.float()
    return np.asarray(tensor.numpy(force=True))


def require_order(name: str, value: object, orders: Iterable[Sequence[str]] = ()) -> None:
    """Raise OptionError for an array of xarray's whose dimensions are named in another order than it is read in.

    `orders` has the names of the axes as they are read, for each number of axes. A dimension called time, batch or
    feature must be at its own place then; without an order, time comes before batch, and batch before feature.
    """
    xarray = sys.modules.get("xarray")  # imported by whoever has one of its arrays
    if xarray is None or not isinstance(value, (xarray.DataArray, xarray.Variable)):
        return
    dims = [str(dim).lower() for dim in value.dims]
    known = [dim for dim in dims if dim in AXES]
    if order := next((tuple(order) for order in orders if len(order) == len(dims)), ()):
        fits = all(dim == axis for dim, axis in zip(dims, order, strict=True) if dim in AXES)
    else:
        first_and_last = "time" not in dims[1:] and "feature" not in dims[:-1]
        fits, order = first_and_last and known == sorted(known, key=AXES.index), AXES
    if not fits:
        raise OptionError(
            f"{name} has the dimensions {', '.join(shown(str(dim), 40) for dim in value.dims)}, but gatewise reads it"
            f" by position, as {', '.join(order)}. Put them in order with .transpose(…)."
        )


def numbers(
    name: str,
    value: npt.ArrayLike,
    dtype: npt.DTypeLike | None = None,
    orders: Iterable[Sequence[str]] = (),
) -> Array:
    """Return `value` as an array of real floating-point numbers, of `dtype` if given; `name` is the error's subject.

    `orders` are those of `require_order`.
    """
    array = array_of(name, value, orders)
    if array.dtype.kind not in "fiub":
        raise OptionError(f"{name} must hold real numbers, not {array.dtype}")
    if dtype is None:
        dtype = array.dtype if array.dtype in _FOUND or array.dtype.name in DTYPES else np.float64
    if array.dtype != (wanted := float_type(dtype)):
        with np.errstate(over="ignore"):  # a number beyond float32 becomes infinity, as in NumPy
            array = array.astype(wanted)
    return array if array.flags.aligned else array.copy()


class Unshared(np.ndarray[Any, Any]):
    """Memory that only its maker has had; once `settled`, it needs no copy."""

    def settled(self) -> Array:
        """Return the array, which stays as it is from now on."""
        self.setflags(write=False)
        return self.view(np.ndarray)


def frozen(array: Array, shape: tuple[int, ...], name: str) -> Array:
    """Return `array` as a read-only, C-ordered array of the given `shape`.

    The caller's array stays writable and is never shared: a later change of it must not reach parameters in use.
    """
    if array.shape != shape:
        raise ShapeError(f"{name} has shape {array.shape}; it must be {shape}")
    memory = array.base
    if type(memory) is Unshared and not memory.flags.writeable and array.flags.c_contiguous:
        return array
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy[...]  # a view of what is locked cannot be unlocked


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array whose numbers are not set; a large one begins where a line of the processor's caches does.

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
    """Return whether an array has its memory for itself, as far as can be seen; the arrays of `empty` have."""
    base = array.base
    return array.flags.owndata or (
        type(base) is np.ndarray
        and base.flags.owndata
        and base.dtype == np.uint8
        and base.nbytes == array.nbytes + LINE
    )


def index(noun: str, place: object, count: int, owner: str) -> int:
    """Return a place from 0 to `count` - 1; negative counts from the end. `noun` and `owner` are words of the error."""
    if isinstance(place, bool) or not isinstance(place, (int, np.integer)) or not -count <= place < count:
        allowed = f"{noun}s 0 to {count - 1}" if count else f"no {noun}s"
        raise OptionError(f"there is no {noun} {place!r}; {owner} has {allowed}")
    return int(place) % count


def in_words(index: Sequence[int]) -> str:
    """Return a place (step, sequence, unit) or (sequence, unit) in words."""
    names = ("step", "sequence", "unit")[-len(index) :]
    return ", ".join(f"{name} {n}" for name, n in zip(names, index, strict=True))


def axis_names(axes: str | Iterable[str], title: str = "axes") -> tuple[str, ...]:
    """Return the names of an array's axes in their order; `title` begins the error."""
    names = split_names(axes)
    if len(set(names)) != len(names) or not {"time"} <= set(names) <= set(AXES):
        text = axes if isinstance(axes, str) else ",".join(names)
        raise OptionError(f"{title} must be time,batch,feature in the order of the array's axes, not {text!r}")
    return names


def split_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names from a text with commas, or as they are given."""
    parts = names.split(",") if isinstance(names, str) else names if isinstance(names, Iterable) else [names]
    return tuple(str(name).strip() for name in parts)


def time_first(array: npt.NDArray[Any], axes: Sequence[str], title: str = "x") -> npt.NDArray[Any]:
    """Return an array on the axes (time, batch, feature), whatever their order was, as a view.

    The axes are a permutation of ``time, batch, feature``, or of ``time, batch``. The array has as many, or all but the
    one called batch, which is then put in. `title` is the subject of the errors.
    """
    names = [*axis_names(axes)]
    order = [name for name in AXES if name in names]
    if array.ndim == len(names) - 1 and "batch" in names:
        names.remove("batch")
        array, names = array[None], ["batch", *names]
    if array.ndim != len(names):
        raise ShapeError(f"{title} has shape {array.shape}; its axes must be {', '.join(axes)}")
    return array.transpose([names.index(name) for name in order])


@quiet
def distances(first: Array, second: Array) -> Array:
    """Return |first - second| in float64: 0 where both are NaN or the same infinity, infinite where only one is."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    apart = np.abs(a - b)
    apart[(a == b) | (np.isnan(a) & np.isnan(b))] = 0
    apart[np.isnan(apart)] = np.inf
    return apart


def lock(*arrays: npt.NDArray[Any] | None) -> None:
    """Make arrays read-only, where there are any."""
    for array in arrays:
        if array is not None:
            array.setflags(write=False)


class ReadOnlyArrays:
    """A record whose arrays are read-only, also once it is unpickled or copied."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        lock(*(value for value in state.values() if isinstance(value, np.ndarray)))


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
    expected: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]],
    arrays: Mapping[str, Array],
    kind: str,
    *,
    locked: bool = False,
) -> None:
    """Raise ShapeError unless the arrays of an earlier result have the expected shapes and dtypes and are writable.

    Locked arrays pass as well if they are `locked` by gatewise: the caller unlocks them.
    """
    actual = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    if actual != expected:
        for name in sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name)):
            texts = [f"{form[0]} of {form[1]}" if form else "none" for form in (actual.get(name), expected.get(name))]
            raise ShapeError(f"out does not fit: {name} of its {kind} is {texts[0]}; this run needs {texts[1]}")
    for name, array in arrays.items():
        flags = array.flags
        if not (flags.c_contiguous and (flags.writeable or (locked and owns_memory(array)))):
            raise OptionError(f"out cannot be reused: its {kind} has {name} in a file, or as a slice. Leave out out=.")


def available_memory() -> int | None:
    """Return the bytes that are available on this machine, or None if the system does not report them.

    The smaller of the memory that the kernel calls available and the rest of the control group's limit.
    """
    bounds = []
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            bounds += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        try:
            bounds.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        except (AttributeError, OSError, ValueError):
            return None
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
        with open("/sys/fs/cgroup/memory.current", encoding="ascii") as file:
            used = int(file.read())
        if limit != "max":
            bounds.append(max(int(limit) - used, 0))
    except (OSError, ValueError):
        pass
    return min(bounds, default=None)


def require_memory(elements: int, itemsize: int, purpose: str) -> None:
    """Raise CapacityError before more memory is taken than is available; below `SMALL` bytes nothing is checked.

    `purpose` is the subject of the error: "a run of 10 × 2 (steps × sequences)".
    """
    needed = elements * itemsize
    available = None if needed < SMALL else available_memory()
    if available is not None and needed > available:
        raise CapacityError(f"{purpose} would take {in_bytes(needed)} of memory; {in_bytes(available)} are available")


def chunks(count: int, numbers: int, most: int, *, reverse: bool = False) -> Iterator[slice]:
    """Yield slices of `count` rows of `numbers` each that hold at most `most` numbers, but one row at least."""
    size = max(1, most // max(numbers, 1))
    starts = range(0, count, size)
    for start in reversed(starts) if reverse else starts:
        yield slice(start, min(start + size, count))


def in_bytes(count: float) -> str:
    """Return a number of bytes in words: 2 GiB."""
    if count > 2**1000:  # what a file says, and no float holds
        return "countless bytes"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:,.0f} PiB"
