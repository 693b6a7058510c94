"""PyTorch: state dicts of any layout, modules of any kind, archives that were tampered with, beside torch itself."""

from __future__ import annotations

import io
import os
import pickle
import random
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from hostile.trying import CANARY, agree, asked, hostile


def module(chance: random.Random) -> Any:
    """Return an LSTM of any kind with random weights."""
    import torch

    torch.manual_seed(chance.getrandbits(31))
    hidden = chance.randrange(1, 6)
    options: dict[str, Any] = {
        "num_layers": chance.choice([1, 1, 2, 3]),
        "bidirectional": chance.random() < 0.3,
        "bias": chance.random() < 0.8,
        "batch_first": chance.random() < 0.3,
    }
    if hidden > 2 and chance.random() < 0.2:
        options["proj_size"] = hidden - 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nn.LSTM(chance.randrange(1, 4), hidden, **options).eval()


def output(lstm: Any, x: np.ndarray) -> np.ndarray:
    """Return PyTorch's output, time first."""
    import torch

    given = torch.from_numpy(x).to(next(lstm.parameters()).dtype)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = lstm(given.transpose(0, 1) if lstm.batch_first else given)[0]
    return (found.transpose(0, 1) if lstm.batch_first else found).float().numpy()


def laid_out(tensor: Any, chance: random.Random, shared: list[Any]) -> Any:
    """Return a tensor with the same numbers in another layout of its storage."""
    import torch

    match chance.choice(
        ["plain", "plain", "transposed", "sliced", "offset", "shared", "expanded", "parameter", "grad", "negative"]
    ):
        case "transposed":
            return tensor.t().contiguous().t() if tensor.ndim == 2 else tensor
        case "sliced":
            wide = torch.full((*tensor.shape[:-1], tensor.shape[-1] * 2), 7.0, dtype=tensor.dtype)
            wide[..., ::2] = tensor
            return wide[..., ::2]
        case "offset":
            long = torch.full((tensor.numel() + 5,), 7.0, dtype=tensor.dtype)
            long[5:] = tensor.reshape(-1)
            return long[5:].view(tensor.shape)
        case "shared":
            if not shared:
                shared.append(torch.zeros(10_000, dtype=tensor.dtype))
                shared.append(0)
            start, count = shared[1], tensor.numel()
            if start + count > len(shared[0]) or shared[0].dtype != tensor.dtype:
                return tensor
            view = shared[0][start : start + count].view(tensor.shape)
            view[...] = tensor
            shared[1] += count
            return view
        case "expanded":
            return tensor[:1].expand(tensor.shape) if bool((tensor == tensor[:1]).all()) else tensor
        case "parameter":
            return torch.nn.Parameter(tensor.clone())
        case "grad":
            return tensor.clone().requires_grad_()
        case "negative":
            return torch._neg_view(-tensor)
    return tensor


@hostile("PyTorch files, beside torch", needs=("torch",), share=2, memory=2**33)
def files(chance: random.Random, folder: Path) -> None:
    """A state dict, module or script computes what torch computes, or is refused; the dtype may be any."""
    import torch

    import gatewise as gw

    lstm = module(chance)
    x = np.random.default_rng(chance.getrandbits(32)).normal(size=(4, 2, lstm.input_size)).astype(np.float32)
    if chance.random() < 0.3:
        lstm = lstm.to(chance.choice([torch.float64, torch.float16, torch.bfloat16]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = output(lstm.float(), x)
        way = chance.choice(
            [
                "dict",
                "dict",
                "dict",
                "old",
                "module",
                "script",
                "nested",
                "prefix",
                "pruned",
                "weight norm",
                "safetensors",
                "extra",
            ]
        )
        shared: list[Any] = []
        state = {name: laid_out(one.detach(), chance, shared) for name, one in lstm.state_dict().items()}
        match way:
            case "module" | "weight norm" | "pruned":
                net: Any = torch.nn.ModuleDict({"rnn": lstm})
                if way == "weight norm":
                    torch.nn.utils.parametrizations.weight_norm(lstm, "weight_hh_l0")
                elif way == "pruned":
                    import torch.nn.utils.prune as prune

                    prune.random_unstructured(lstm, "weight_ih_l0", 0.4)
                    expected = output(lstm, x)
                torch.save(net if way == "module" and chance.random() < 0.5 else net.state_dict(), "x.pt")
            case "script":
                torch.jit.script(torch.nn.Sequential(lstm)).save("x.pt")
            case "nested":
                torch.save(
                    {
                        "epoch": 3,
                        "model": {f"rnn.{name}": one for name, one in state.items()},
                        "optimizer": {"state": {}},
                    },
                    "x.pt",
                )
            case "prefix":
                torch.save({f"module.rnn.{name}": one for name, one in state.items()}, "x.pt")
            case "safetensors":
                from safetensors.torch import save_file

                save_file(
                    {name: one.detach().resolve_neg().clone().contiguous() for name, one in state.items()},
                    "x.safetensors",
                )
            case "extra":
                torch.save(
                    {
                        **{f"rnn.{n}": one for n, one in state.items()},
                        "other": torch.zeros(3),
                        "text": "x",
                        "none": None,
                    },
                    "x.pt",
                )
            case _:
                torch.save(state, "x.pt", _use_new_zipfile_serialization=way != "old")
    path = "x.safetensors" if way == "safetensors" else "x.pt"
    loaded = asked(gw.load, path)
    found = asked(loaded, x)[0]
    agree(found, expected, f"{way}: {lstm}", 2e-5)


@hostile("PyTorch files that were tampered with, beside torch", needs=("torch",), share=2, memory=2**33)
def tampered(chance: random.Random, folder: Path) -> None:
    """Where both read a file, gatewise has the numbers that torch has; what a file would run is never run."""
    import torch

    import gatewise as gw

    lstm = module(chance).float()
    state = dict(lstm.state_dict())
    x = np.random.default_rng(0).normal(size=(3, 2, lstm.input_size)).astype(np.float32)
    way = chance.choice(
        ["strides", "offset", "byte order", "storage type", "member twice", "two archives", "payload",
         "payload in dict", "size", "quantised", "wrong shapes", "layers missing", "alias", "stored count",
         "compressed", "version"]
    )  # fmt: skip
    path = Path("x.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if way == "payload":
            path.write_bytes(pickle.dumps({**{k: v.numpy() for k, v in state.items()}, "x": Payload()}))
        elif way == "payload in dict":
            state["rnn.extra"] = Payload()  # type: ignore[assignment]
            torch.save(state, path)
        elif way == "quantised" and lstm.bias and not lstm.proj_size:
            net = torch.ao.quantization.quantize_dynamic(
                torch.nn.ModuleDict({"rnn": lstm}), {torch.nn.LSTM}, dtype=torch.qint8
            )
            torch.save(net.state_dict(), path)
        elif way == "wrong shapes":
            name = chance.choice([*state])
            state[name] = chance.choice(
                [state[name][:-1], state[name].reshape(-1), state[name][None], state[name].long()]
            )
            torch.save(state, path)
        elif way == "layers missing":
            del state[chance.choice([*state])]
            torch.save(state, path)
        elif way == "alias":
            state["weight_hh_l0"] = (
                state["weight_hh_l0"].reshape(-1)[: state["weight_hh_l0"].numel()].view_as(state["weight_hh_l0"])
            )
            state["again"] = state["weight_hh_l0"]
            torch.save(state, path)
        else:
            torch.save(state, path)
            rewrite(path, way, chance)
    theirs = None
    if "payload" not in way:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loaded = torch.load(path, weights_only=True)
            theirs = type(lstm)(lstm.input_size, lstm.hidden_size, **options_of(lstm)).eval()
            theirs.load_state_dict({name: one for name, one in loaded.items() if name in dict(lstm.state_dict())})
        except Exception:
            theirs = None
    ours = asked(gw.load, path)
    found = asked(ours, x)[0]
    if theirs is not None and way == "byte order":  # such weights can be of any size, and sums of them lose all digits
        for (layer, direction), cell in ours.cells().items():
            end = f"l{layer}{'_reverse' * (direction == 'backward')}"
            parts = (getattr(theirs, f"weight_{which}_{end}").detach().numpy() for which in ("hh", "ih"))
            wanted = np.concatenate([*parts], axis=1)
            agree(cell.parameters.weight.reshape(wanted.shape), wanted, f"{way}, {end}: {lstm}")
    elif theirs is not None:
        agree(found, output(theirs, x), f"{way}: {lstm}", 2e-5)
    elif way == "member twice":
        agree(found, output(lstm, x), f"what torch refuses is read, {way}: {lstm}", 2e-5)


def options_of(lstm: Any) -> dict[str, Any]:
    return {name: getattr(lstm, name) for name in ("num_layers", "bidirectional", "bias", "batch_first", "proj_size")}


class Payload:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, (f"touch {CANARY}",)


def rewrite(path: Path, way: str, chance: random.Random) -> None:
    """Change an archive of torch's."""
    source = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(source) as archive:
        members = [(one, archive.read(one)) for one in archive.infolist()]
    (described,) = [n for n, (one, _) in enumerate(members) if one.filename.endswith("data.pkl")]
    data = members[described][1]
    match way:
        case "strides" | "offset" | "size" | "stored count":
            places = [
                n for n in range(len(data)) if data[n : n + 1] == b"K"
            ]  # small integers: sizes, strides, offsets, counts
            for place in chance.sample(places, min(len(places), chance.choice([1, 1, 2]))):
                data = data[: place + 1] + bytes([chance.choice([0, 1, 2, 3, 4, 8, 12, 16, 255])]) + data[place + 2 :]
        case "storage type":
            data = data.replace(
                b"FloatStorage",
                chance.choice(
                    [
                        b"DoubleStorage",
                        b"HalfStorage",
                        b"LongStorage",
                        b"IntStorage",
                        b"BFloat16Storage",
                        b"ByteStorage",
                    ]
                ),
            )
        case _:
            pass
    members[described] = (members[described][0], data)
    if way == "byte order":
        members = [
            (one, chance.choice([b"big", b"little", b"middle", b""]) if one.filename.endswith("byteorder") else content)
            for one, content in members
        ]
    if way == "version":
        members = [
            (one, chance.choice([b"0", b"99", b"", b"x"]) if one.filename.endswith("version") else content)
            for one, content in members
        ]
    target = io.BytesIO()
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED if way == "compressed" else zipfile.ZIP_STORED) as copy,
    ):
        warnings.simplefilter("ignore")
        for one, content in members:
            copy.writestr(one.filename, content)
        if way == "member twice":
            one, content = chance.choice([pair for pair in members if "/data/" in pair[0].filename])
            copy.writestr(one.filename, bytes(len(content)))
    content = target.getvalue()
    if way == "two archives":
        other = io.BytesIO()
        import torch

        torch.save({name: one * 0 for name, one in torch.load(path).items()}, other)
        content = content + other.getvalue() if chance.random() < 0.5 else other.getvalue() + content
    path.write_bytes(content)
