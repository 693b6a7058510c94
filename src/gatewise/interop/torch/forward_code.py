"""The forward of a TorchScript module that runs one step of an LSTM, as a network; its code is parsed, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gatewise.errors import FileError, shown
from gatewise.interop.containers.pickles import PickledObject, full_name
from gatewise.interop.containers.tensors import Tensor, numbers_of
from gatewise.interop.contents import StoredLayer, StoredLSTM
from gatewise.interop.conventions import first_sequence, has_one_state
from gatewise.interop.ledger import Ledger, LedgerEntry
from gatewise.interop.stacks import network_around
from gatewise.interop.torch.names import PLAIN
from gatewise.network import Linear, Network, Scaling

MOST = 50_000  # characters of code and expressions that are followed
NONLINEARITIES: dict[tuple[Any, ...], str] = {  # by function, and its arguments after the first
    **{(f"torch.{name}",): name for name in ("tanh", "sigmoid", "gelu")},
    **{(f"__torch__.torch.nn.functional.{name}", False): name for name in ("relu", "selu", "silu", "mish")},
    ("__torch__.torch.nn.functional.elu", 1.0, False): "elu",
    ("__torch__.torch.nn.functional.leaky_relu", 0.01, False): "leaky_relu",
    ("torch.softplus", 1.0, 20.0): "softplus",
}
PURE = {f"torch.{name}" for name in ("linear", "squeeze", "unsqueeze", "sub", "div", "add", "slice")}


class Module(NamedTuple):
    """A module of the file."""

    path: str
    node: PickledObject


class Stored(NamedTuple):
    """A tensor of the file."""

    name: str


class Call(NamedTuple):
    """A call of a function of PyTorch's."""

    function: str
    args: tuple[Any, ...]


INPUT = Call("its input", ())


class Forward:
    """The forward of `module`, followed through the `texts` of its classes; FileError if something else is in it."""

    def __init__(self, module: Any, texts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
        self.texts, self.tensors, self.count = texts, tensors, 0
        self.lstm: str | None = None  # its path
        self.effects: list[Call] = []  # the calls that may change tensors
        self.layers: list[tuple[str, str, str]] = []  # the names of the weight, the bias and the nonlinearity
        self.scaling: tuple[str, str, float] | None = None
        try:
            self._match(self._call(Module("", module), "forward", [INPUT]))
        except (SyntaxError, ValueError, TypeError, AttributeError, MemoryError, RecursionError):
            raise FileError("the code of its forward cannot be followed, or is nested too deeply") from None

    def _match(self, value: Any) -> None:
        """Take the layers, the LSTM and the scaling from what the forward returns."""
        match value:
            case Call("torch.linear", (inner, Stored(weight), Stored(bias))):
                self._match(inner)
                self.layers.append((weight, bias, ""))
            case Call(function, (Call("torch.linear") as inner, *rest)) if _nonlinearity(function, rest):
                self._match(inner)
                self.layers[-1] = (*self.layers[-1][:2], _nonlinearity(function, rest))
            case Call("torch.squeeze", (Call("output", (lstm,)), 0)):
                self._match(lstm)
            case Call("lstm", (Stored(), Call("torch.unsqueeze", (inner, 0)), (Stored(h), Stored(c)))):
                self.states = h, c
                foreign = [call.function for call in self.effects if call.function != "torch.copy_"]
                if foreign:
                    raise FileError(f"its forward also calls {shown(foreign[0], 80)}")
                pairs = zip((h, c), (Call("h", (value,)), Call("c", (value,))), strict=True)
                kept = [Call("torch.copy_", (Call("torch.slice", (Stored(name),)), state)) for name, state in pairs]
                if self.effects != kept:
                    raise FileError("its forward does not keep h and c for the next step")
                if inner != INPUT:
                    self._match(inner)
            case Call("torch.div", (centered, Call("torch.add", (Stored(scale), float(eps))))):
                match centered:
                    case Call("torch.sub", (Call("its input"), Stored(center))):
                        self.scaling = center, scale, eps
                    case _:
                        raise FileError("its forward divides what is no input less its center")
            case _:
                name = value.function if isinstance(value, Call) else value
                raise FileError(f"its forward has {shown(name, 80)} where it is not read")

    def _call(self, module: Module, method: str, args: list[Any]) -> Any:
        """Return the value of a call of a module's method."""
        kind = full_name(module.node)
        if PLAIN.fullmatch(kind) and method in ("forward", "forward__0"):
            if self.effects:
                raise FileError(f"its forward calls {shown(self.effects[0].function, 80)} before its LSTM")
            if self.lstm is not None:
                raise FileError("its forward runs an LSTM more than once")
            self.lstm = module.path
            lstm = Call("lstm", (Stored(module.path), *args))
            return Call("output", (lstm,)), (Call("h", (lstm,)), Call("c", (lstm,)))
        text = self.texts.get(kind, "")
        self._count(len(text))
        body = text.partition(f"\n  def {method}(")[2].partition("\n  def ")[0]
        if not body or "\\" in body:
            raise FileError(f"its forward calls {shown(kind)}.{shown(method)}, which is not read")
        function: Any = ast.parse(f"def {method}({body}").body[0]
        names = dict(zip((argument.arg for argument in function.args.args), [module, *args], strict=True))
        for statement in function.body:
            match statement:
                case ast.Return(expression):
                    return self._value(expression, names)
                case ast.Assign([ast.Name(name)], expression):
                    names[name] = self._value(expression, names)
                case ast.Assign([ast.Tuple(targets)], expression):
                    values = self._value(expression, names)
                    names |= {target.id: value for target, value in zip(targets, values, strict=True)}  # type: ignore[attr-defined]
                case _:
                    raise FileError(f"its forward has a statement {type(statement).__name__}, which is not read")
        raise FileError("its forward has a method that returns nothing")

    def _count(self, amount: int) -> None:
        self.count += amount
        if self.count > MOST:
            raise FileError(f"its forward has more than {MOST:,} characters and expressions")

    def _value(self, node: Any, names: Mapping[str, Any]) -> Any:
        """Return the value of an expression; that of a function is its name, that of a method a module and a name."""
        self._count(1)
        match node:
            case ast.Name(name):
                return names.get(name, name)
            case ast.Constant(value):
                return value
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)):
                return -number
            case ast.Tuple(parts):
                return tuple(self._value(part, names) for part in parts)
            case ast.Call(ast.Name("getattr"), [inner, ast.Constant(name)], []) | ast.Attribute(inner, name):
                owner = self._value(inner, names)
                if not isinstance(owner, Module):
                    return f"{owner if isinstance(owner, str) else '?'}.{name!s}"
                path, state = f"{owner.path}.{name!s}".removeprefix("."), owner.node.state
                member = dict[Any, Any](state or ()).get(name, (owner, name))
                member = Module(path, member) if isinstance(member, PickledObject) else member
                return Stored(path) if path in self.tensors else member
            case ast.Call(called, arguments, []):
                function: Any = self._value(called, names)
                args = [self._value(argument, names) for argument in arguments]
                if not isinstance(function, str):
                    module, method = function
                    return self._call(module, method, args)
                call = Call(function, tuple(args))
                self.effects += [call] * (function not in PURE and not _nonlinearity(function, args[1:]))
                return call
        raise FileError(f"its forward has an expression {type(node).__name__}, which is not read")

    def account(self, ledger: Iterable[LedgerEntry]) -> Ledger:
        """Return the ledger of the file: what its forward does not read changes nothing."""
        scaling = (self.scaling or ())[:2]
        return tuple(
            entry
            if entry.used or entry.name in self.states
            else entry._replace(
                reason="" if entry.name in scaling else "the code of the module does not read it", effect="", lstms=()
            )
            for entry in ledger
        )

    def parts(self) -> tuple[StoredLayer, ...]:
        """Return the description of the scaling, if there is one."""
        if self.scaling is None:
            return ()
        center, scale, _ = self.scaling
        kind, shape = "scaling of the features", tuple(self.tensors[center].shape)
        return (StoredLayer(center.rpartition(".")[0] or center, kind, shape, entries=(center, scale)),)

    def network(self, lstms: Iterable[StoredLSTM]) -> Network:
        """Return the network; FileError if one step after another is no run of its LSTM."""
        stored = next((stored for stored in lstms if stored.name == (self.lstm or "lstm")), None)
        state = None if stored is None else stored.state
        starts = (state is not None and has_one_state(state)) or self._starts_from_zeros()
        if stored is None or not starts or stored.batch_first is not False:
            raise FileError(
                f"{shown(self.lstm or 'lstm')!r} is no LSTM that begins at one state, with its steps on the first axis"
            )
        if stored.lstm.directions != ("forward",):
            raise FileError(f"{stored.name!r} has two directions, and its forward runs one step")
        head = [
            Linear(numbers_of(self.tensors[weight]), numbers_of(self.tensors[bias]), activation or None)
            for weight, bias, activation in self.layers
        ]
        inputs = None
        if self.scaling is not None:
            center, scale = (numbers_of(self.tensors[name]) for name in self.scaling[:2])
            if any(array.shape[-1:] != (array.size,) for array in (center, scale)) or {*self.scaling} & {*self.states}:
                raise FileError("its features are not scaled by one number each")
            inputs = Scaling(center.reshape(-1), scale.reshape(-1) + scale.dtype.type(self.scaling[2]))
        initial = None if state is None else first_sequence(state)
        return network_around(stored.lstm, None, (), head, inputs=inputs, initial=initial)

    def _starts_from_zeros(self) -> bool:
        """Say whether the state that the module keeps is zeros, which is listed as the state of every run."""
        return not any(numbers_of(self.tensors[name]).any() for name in self.states)


def _nonlinearity(function: str, arguments: Sequence[Any]) -> str:
    """Return the name of a nonlinearity; empty of other functions, and of arguments that are no numbers."""
    plain = all(isinstance(argument, (int, float)) for argument in arguments)
    return NONLINEARITIES.get((function, *arguments), "") if plain else ""
