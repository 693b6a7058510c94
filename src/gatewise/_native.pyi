"""The native kernels; gatewise.engine.native calls them."""

from collections.abc import Sequence
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray

def kernels() -> list[str]: ...
def threads() -> int: ...
def set_threads(count: int) -> None: ...

class CellFloat32:
    def __init__(
        self,
        kernel: str,
        weight: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        bias: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        peephole: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)] | None,
        projection: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)] | None,
        activations: Sequence[tuple[str, float, float]],
        coupling: str,
        gate_clip: float,
        cell_clip: float,
        projection_clip: float,
    ) -> None: ...
    def forward(
        self,
        x: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        h0: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        h: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
        c: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
        reverse: bool,
        valid: Annotated[NDArray[numpy.bool_], dict(order="C", device="cpu", writable=False)] | None,
        recurrent_mask: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)] | None,
        zoneout_cell: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)] | None,
        zoneout_hidden: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)] | None,
        every: int,
        places: Sequence[int],
        gates: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")] | None,
        cells: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")] | None,
        unprojected: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")] | None,
        units: Sequence[int] | None,
    ) -> None: ...
    def backward(
        self,
        x: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        h: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        h0: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        c0: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        gates: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        cells: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        unprojected: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        reverse: bool,
        valid: Annotated[NDArray[numpy.bool_], dict(order="C", device="cpu", writable=False)] | None,
        recurrent_mask: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)] | None,
        zoneout_cell: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)] | None,
        zoneout_hidden: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)] | None,
        dhidden: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        dh: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
        dc: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
        dx: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
        dweight: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
        dbias: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
        dpeephole: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")] | None,
        dprojection: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")] | None,
    ) -> None: ...

class StreamFloat32:
    def __init__(self, cells: Sequence[CellFloat32], batch: int, batched: bool, other: object) -> None: ...
    @overload
    def push(self, x: object | None, *, out: object | None = None) -> object: ...
    @overload
    def push(self, x: object | None, *, mask: object | None, out: object | None = None) -> object:
        """See gatewise.Stream.push."""

    def get(
        self,
        layer: int,
        h: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
        c: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
    ) -> None: ...
    def set(
        self,
        layer: int,
        h: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        c: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
    ) -> None: ...

@overload
def apply(
    kernel: str,
    name: str,
    slope: float,
    shift: float,
    a: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
    y: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
) -> None: ...
@overload
def apply(
    kernel: str,
    name: str,
    slope: float,
    shift: float,
    a: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
    y: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
) -> None: ...
@overload
def linear(
    x: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
    weight: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
    bias: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
    y: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu")],
) -> None: ...
@overload
def linear(
    x: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
    weight: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
    bias: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
    y: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
) -> None: ...

class CellFloat64:
    def __init__(
        self,
        kernel: str,
        weight: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        bias: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        peephole: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)] | None,
        projection: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)] | None,
        activations: Sequence[tuple[str, float, float]],
        coupling: str,
        gate_clip: float,
        cell_clip: float,
        projection_clip: float,
    ) -> None: ...
    def forward(
        self,
        x: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        h0: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        h: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
        c: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
        reverse: bool,
        valid: Annotated[NDArray[numpy.bool_], dict(order="C", device="cpu", writable=False)] | None,
        recurrent_mask: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)] | None,
        zoneout_cell: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)] | None,
        zoneout_hidden: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)] | None,
        every: int,
        places: Sequence[int],
        gates: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")] | None,
        cells: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")] | None,
        unprojected: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")] | None,
        units: Sequence[int] | None,
    ) -> None: ...
    def backward(
        self,
        x: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        h: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        h0: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        c0: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        gates: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        cells: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        unprojected: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        reverse: bool,
        valid: Annotated[NDArray[numpy.bool_], dict(order="C", device="cpu", writable=False)] | None,
        recurrent_mask: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)] | None,
        zoneout_cell: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)] | None,
        zoneout_hidden: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)] | None,
        dhidden: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        dh: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
        dc: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
        dx: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
        dweight: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
        dbias: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
        dpeephole: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")] | None,
        dprojection: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")] | None,
    ) -> None: ...

class StreamFloat64:
    def __init__(self, cells: Sequence[CellFloat64], batch: int, batched: bool, other: object) -> None: ...
    @overload
    def push(self, x: object | None, *, out: object | None = None) -> object: ...
    @overload
    def push(self, x: object | None, *, mask: object | None, out: object | None = None) -> object:
        """See gatewise.Stream.push."""

    def get(
        self,
        layer: int,
        h: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
        c: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu")],
    ) -> None: ...
    def set(
        self,
        layer: int,
        h: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
        c: Annotated[NDArray[numpy.float64], dict(order="C", device="cpu", writable=False)],
    ) -> None: ...
