"""Calls of ATen's operators in the code of TorchScript, as the table of ATen's operators reads them.

The code gives arguments by their places, and no types of results. So there are the names of arguments here, as in
ATen's `native_functions.yaml`, and the types to which ATen promotes numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gatewise.interop.torch import aten
from gatewise.interop.torch.program_reader import TABLE, WITHOUT_EFFECT, OperatorNode, Word
from gatewise.interop.torch.script_state import ScriptState
from gatewise.network.graph import Unsupported
from gatewise.network.value_types import ValueType, number_of, require_size

DTYPES = {
    0: "uint8",
    1: "int8",
    2: "int16",
    3: "int32",
    4: "int64",
    5: "float16",
    6: "float32",
    7: "float64",
    11: "bool",
}  # by ATen's numbers
NUMBERS = {name: number for number, name in DTYPES.items()}
ALIASES = {
    "unsafe_chunk": "chunk",
    "unsafe_split": "split",
    "unsafe_split_with_sizes": "split_with_sizes",
    "_convolution": "convolution",
    "_convolution_mode": "conv1d",
    "concatenate": "concat",
    "absolute": "abs",
    "multiply": "mul",
    "divide": "div",
    "true_divide": "div",
    "subtract": "sub",
    "clip": "clamp",
    "special_expit": "sigmoid",
    "special_erf": "erf",
}
IN_TRAINING = ("benchmark", "deterministic", "allow_tf32", "requires_grad", "names", "generator")  # change no number
_UNARY = "self"
_CONVOLUTION = "input weight bias stride padding dilation"
SCHEMAS: dict[str, str] = {
    **dict.fromkeys(
        aten.UNARY | {*aten.RENAMED, "hardsigmoid", "relu6", "alias", "lift_fresh_copy", "t", "numpy_T"}, _UNARY
    ),
    **dict.fromkeys(("clone", "detach", "zeros_like", "ones_like"), _UNARY),
    **dict.fromkeys(aten.BINARY, "self other"),
    **dict.fromkeys(("add", "sub", "rsub"), "self other alpha"),
    **dict.fromkeys(("view_as", "expand_as", "matmul", "type_as"), "self other"),
    **dict.fromkeys(("sum", "mean", "prod"), "self dim keepdim"),
    **dict.fromkeys(("amax", "amin", "logsumexp", "any", "all", "argmax", "argmin"), "self dim keepdim"),
    **dict.fromkeys(("dropout", "feature_dropout"), "input p train"),
    **dict.fromkeys(("softmax", "log_softmax"), "self dim dtype"),
    **dict.fromkeys(("cat", "concat", "stack"), "tensors dim"),
    **dict.fromkeys(("tril", "triu"), "self diagonal"),
    **dict.fromkeys(("zeros", "ones"), "size"),
    **dict.fromkeys(("new_zeros", "new_ones"), "self size"),
    **dict.fromkeys(("conv1d", "conv2d"), f"{_CONVOLUTION} groups"),
    **dict.fromkeys(("bmm", "mm"), "self mat2"),
    **dict.fromkeys(("unsqueeze", "squeeze", "unbind", "glu"), "self dim"),
    **dict.fromkeys(("max_pool1d", "max_pool2d"), "self kernel_size stride padding dilation ceil_mode"),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_max_pool1d"), "self output_size"),
    "convolution": f"{_CONVOLUTION} transposed output_padding groups benchmark deterministic cudnn_enabled allow_tf32",
    "avg_pool1d": "self kernel_size stride padding ceil_mode count_include_pad",
    "avg_pool2d": "self kernel_size stride padding ceil_mode count_include_pad divisor_override",
    "contiguous": "self memory_format",
    "pow": "self exponent",
    "where": "condition self other",
    "masked_fill": "self mask value",
    "softplus": "self beta threshold",
    "leaky_relu": "self negative_slope",
    "elu": "self alpha scale input_scale",
    "gelu": "self approximate",
    "clamp": "self min max",
    "clamp_min": "self min",
    "clamp_max": "self max",
    "hardtanh": "self min_val max_val",
    "prelu": "self weight",
    "view": "self size",
    "reshape": "self shape",
    "unflatten": "self dim sizes",
    "flatten": "self start_dim end_dim",
    "permute": "self dims",
    "transpose": "self dim0 dim1",
    "swapaxes": "self axis0 axis1",
    "swapdims": "self dim0 dim1",
    "select": "self dim index",
    "slice": "self dim start end step",
    "index_select": "self dim index",
    "embedding": "weight indices padding_idx scale_grad_by_freq sparse",
    "index": "self indices",
    "gather": "self dim index",
    "split": "self split_size dim",
    "split_with_sizes": "self split_sizes dim",
    "chunk": "self chunks dim",
    "expand": "self size",
    "repeat": "self repeats",
    "flip": "self dims",
    "full": "size fill_value",
    "new_full": "self size fill_value",
    "full_like": "self fill_value",
    "pad": "self pad mode value",
    "constant_pad_nd": "self pad value",
    "norm": "self p dim keepdim",
    "linalg_vector_norm": "self ord dim keepdim",
    "cosine_similarity": "x1 x2 dim eps",
    "cumsum": "self dim",
    "layer_norm": "input normalized_shape weight bias eps cudnn_enable",
    "batch_norm": "input weight bias running_mean running_var training momentum eps cudnn_enabled",
    "linear": "input weight bias",
    "mv": "self vec",
    "dot": "self tensor",
    "addmm": "self mat1 mat2",
    "einsum": "equation tensors path",
    "scaled_dot_product_attention": "query key value attn_mask dropout_p is_causal",
    "lstm": "input hx params has_biases num_layers dropout train bidirectional batch_first",
    "lstm_cell": "input hx w_ih w_hh b_ih b_hh",
}
PACKED = "data batch_sizes hx params has_biases num_layers dropout train bidirectional"
TRUTHS = {
    "eq",
    "lt",
    "gt",
    "le",
    "ge",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "isnan",
    "any",
    "all",
}
PLACES = {"argmax", "argmin"}
OF_WHOLE = aten.UNARY - {"abs", "relu", "neg", "floor", "ceil", "round", "sign", "trunc"} | {
    "div"
}  # make floats of ints
SUMS = {"sum", "prod", "cumsum"}
OF_ONE = {  # operators whose result has the type of one argument
    **dict.fromkeys(
        ("masked_fill", "gather", "index_select", "index", "select", "slice", "zeros_like", "ones_like"), "self"
    ),
    **dict.fromkeys(("new_zeros", "new_ones", "new_full", "full_like", "clamp", "pad", "repeat", "expand"), "self"),
    **dict.fromkeys(("reshape", "view", "view_as", "expand_as", "unflatten", "flatten", "split", "chunk"), "self"),
    "embedding": "weight",
}


def arguments_of(kind: str, places: Sequence[Any], named: Mapping[str, Any], is_tensor: Any) -> dict[str, Any]:
    """Return the arguments of an operator by their names; Unsupported if gatewise does not know them."""
    names = SCHEMAS.get(kind, "").split()
    if kind in ("max", "min"):
        names = ["self", "other"] if len(places) == 2 and is_tensor(places[1]) else ["self", "dim", "keepdim"]
    elif kind == "arange":
        names = [["end"], ["start", "end"], ["start", "end", "step"]][min(len(places), 3) - 1]
    elif kind == "to":
        second = places[1] if len(places) > 1 else None
        names = ["self", "other" if is_tensor(second) else "dtype", "non_blocking", "copy", "memory_format"]
        if isinstance(second, Word):
            names.insert(1, "device")
    elif kind == "lstm" and len(places) > 1 and is_tensor(places[1]):
        names = PACKED.split()
    if not names or len(places) > len(names):
        raise Unsupported("gatewise does not know its arguments" if names else "gatewise does not know the operator")
    return dict(zip(names, places, strict=False)) | dict(named)


class ScriptCall(OperatorNode):
    """One call of an operator in code, as a row of the table takes it: its arguments are numbers or names of values."""

    def __init__(
        self, reader: ScriptState, kind: str, arguments: Mapping[str, Any], module: str, count: int | None
    ) -> None:
        self.reader, self.build = reader, reader.build  # type: ignore[assignment]
        self.script, self.types, self.kind, self.module = reader, reader.build.types, kind, module
        self.arguments = {name: self._argument(name, value) for name, value in arguments.items()}
        self.described = {name: _names_in(value) for name, value in self.arguments.items()}
        self.known = {*WITHOUT_EFFECT, *IN_TRAINING}
        self.in_place = kind.endswith("_")
        self.kind = kind.removesuffix("_")
        self.outputs = ("",) * self._count(count)

    def _argument(self, name: str, value: Any) -> Any:
        if name == "dtype" and isinstance(value, int):
            if value not in DTYPES:
                raise Unsupported("its type is not supported")
            return Word(DTYPES[value])
        return self.script.plain(value)

    def _type(self, name: str) -> ValueType:
        return self.types[(self.described.get(name) or [""])[0]]

    def dtype(self, name: str) -> str | None:
        """Return the type of the numbers of an argument."""
        return self._type(name).dtype

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """Return the sizes of an argument."""
        return self._type(name).sizes

    def _count(self, used: int | None) -> int:
        """Return the number of values that it makes, of which so many are taken, if that is known."""
        if self.kind in ("max", "min"):
            return 2 if "dim" in self.arguments else 1
        if self.kind not in ("split", "split_with_sizes", "chunk", "unbind"):
            return {"lstm": 3, "lstm_cell": 2, "adaptive_max_pool1d": 2}.get(self.kind, 1)
        parts = self.arguments.get("split_sizes", self.arguments.get("split_size"))
        if isinstance(parts, list):
            return len(parts)
        shape, axis = self._type("self").shape, self.arguments.get("dim", 0)
        size = None if shape is None or not -len(shape) <= axis < len(shape) else shape[axis]
        number = None if size is None else number_of(size)
        each = 1 if self.kind == "unbind" else int(parts or 1)
        if self.kind == "chunk":
            chunks = int(self.arguments["chunks"])
            return chunks if number is None else -(-number // max(1, -(-number // chunks))) or 1
        if number is None and used is not None:
            if size is not None and each == 1:
                require_size(size, used, "the axis")
            return used
        if number is None:
            raise Unsupported("the size of its axis is known in a run only, and so is the number of its parts")
        return max(1, -(-number // each))

    @property
    def output_dtype(self) -> str:
        """The type of the first output, as ATen promotes the types of the arguments."""
        if self.in_place:
            return self._of("self")
        named = self.arguments.get("dtype")
        if named is not None:
            return str(named)
        if self.kind in TRUTHS:
            return "bool"
        if self.kind in PLACES:
            return "int64"
        if self.kind in ("zeros", "ones"):
            return "float32"
        if self.kind == "full":
            return {bool: "bool", int: "int64"}.get(type(self.arguments.get("fill_value")), "float32")
        if self.kind == "arange":
            return "float32" if any(isinstance(entry, float) for entry in self.arguments.values()) else "int64"
        if self.kind == "to":
            return self._of("other" if "other" in self.arguments else "self")
        if self.kind == "type_as":
            return self._of("other")
        if self.kind in OF_ONE:
            return self._of(OF_ONE[self.kind])
        outcome = self._promoted()
        if self.kind in SUMS and np.dtype(outcome).kind != "f":
            return "int64"
        return "float32" if self.kind in OF_WHOLE and np.dtype(outcome).kind != "f" else outcome

    def _of(self, name: str) -> str:
        outcome = self.dtype(name)
        if outcome is None:
            raise Unsupported("the type of its numbers is not known")
        return outcome

    def _promoted(self) -> str:
        """Return the type in which ATen combines the arguments: an array goes before a single number of its kind."""
        arrays, singles, numbers = list[str](), list[str](), list[str]()
        for name, value in self.arguments.items():
            if name in ("condition", "mask", "index", "indices"):
                continue
            for entry in value if isinstance(value, list) else [value]:
                if isinstance(entry, str) and not isinstance(entry, Word) and entry:
                    known = self.types[entry]
                    if known.dtype is None:
                        raise Unsupported("the type of its numbers is not known")
                    is_size = entry in self.script.sizes
                    (numbers if is_size else singles if known.shape == () else arrays).append(known.dtype)
                elif name in ("self", "other", "exponent", "value") and isinstance(entry, (bool, int, float)):
                    numbers.append({bool: "bool", int: "int64"}.get(type(entry), "float32"))
        result = ""
        for group in (arrays, singles, numbers):
            outcome = _combined(group)
            if outcome and (not result or _rank(outcome) > _rank(result)):
                result = outcome
        if not result:
            raise Unsupported("the type of its numbers is not known")
        return result

    def make(self) -> list[str]:
        """Return the values that it makes; Unsupported if the table does not have it."""
        if self.kind not in TABLE:
            raise Unsupported("gatewise does not know the operator")
        computed = TABLE[self.kind](self)
        self.require_read()
        values = [computed] if isinstance(computed, str) else list(computed)
        outcome = self.types[values[0]].dtype
        if (
            self.kind not in ("max", "min", "lstm", "lstm_cell")
            and outcome is not None
            and outcome != self.output_dtype
        ):
            raise Unsupported(f"its numbers would be {outcome} instead of {self.output_dtype}")
        return values


def _names_in(value: Any) -> list[str]:
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str) and entry]


def _rank(dtype: str) -> int:
    return "biuf".index(np.dtype(dtype).kind.replace("u", "i")) if np.dtype(dtype).kind in "biuf" else 4


def _combined(dtypes: Sequence[str]) -> str:
    """Return the type in which ATen combines numbers: of whole and floating ones, the floating type."""
    floats = [entry for entry in dtypes if np.dtype(entry).kind == "f"]
    chosen = floats or list(dtypes)
    return np.result_type(*map(np.dtype, chosen)).name if chosen else ""
