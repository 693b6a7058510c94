"""Models without a framework: amplifiers' JSON, safetensors, saved models with their bytes changed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from hostile.trying import TRACEBACK, Fault, Refused, agree, asked, hostile, numbers, silent


def cell(x: np.ndarray, arrays: Any, h: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the outputs of an LSTM cell (time, hidden), worked out gate by gate."""
    outputs = []
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    for row in x:
        a = [arrays.weight[k].astype(float) @ np.concatenate([h, row]) + arrays.bias[k] for k in range(4)]
        i, f, g, o = sigmoid(a[0]), sigmoid(a[1]), np.tanh(a[2]), sigmoid(a[3])
        c = f * c + i * g
        h = o * np.tanh(c)
        outputs.append(h)
    return np.array(outputs)


@hostile("models of amplifiers in JSON", share=1.5)
def amplifiers(chance: random.Random, folder: Path) -> None:
    """A document computes what its numbers say, or is refused; a changed one is no crash."""
    from fuzzing import in_json
    from json_documents import FORMATS, cells_of, head_of, nam, rtneural, states_of

    import gatewise as gw

    sizes = (chance.randrange(1, 3), *(chance.randrange(1, 5) for _ in range(chance.choice([1, 1, 2]))))
    cells = cells_of(*sizes)
    states, head = states_of(cells), head_of(sizes[-1], chance.choice([1, 2]))
    kind = chance.choice(["NAM", "RTNeural", "changed"])
    if kind == "changed":
        data = json.dumps(chance.choice([*FORMATS.values()])()).encode()
        for _ in range(chance.choice([1, 2, 4])):
            data = in_json(data, chance)
        Path("x.json").write_bytes(data)
        asked(asked(gw.load_network, "x.json"), np.zeros((3, 1, 1), np.float32))
        return
    document = nam(cells, states, head) if kind == "NAM" else rtneural(cells, head)
    Path("x.nam" if kind == "NAM" else "x.json").write_text(json.dumps(document))
    network = asked(gw.load_network, "x.nam" if kind == "NAM" else "x.json")
    x = numbers(chance).normal(size=(6, sizes[0]))
    y = x
    for p, state in zip(cells, states, strict=True):
        start = (
            (state.h[0].astype(float), state.c[0].astype(float)) if kind == "NAM" else (np.zeros(p.hidden_size),) * 2
        )
        y = cell(y, p, *start)
    expected = y @ head.weight.T.astype(float) + head.bias
    found = asked(network, x[:, None].astype(np.float32))[0]
    agree(found.reshape(expected.shape), expected, f"{kind} {sizes}", 1e-4)


@hostile("safetensors with headers that contradict themselves", needs=("safetensors",))
def safetensors(chance: random.Random, folder: Path) -> None:
    """What safetensors reads too has its numbers; overlaps, gaps, odd types and orders are read right or refused."""
    from safetensors.numpy import load_file

    import gatewise as gw
    from gatewise.interop import torch as gw_torch

    lstm = gw.LSTM(
        chance.randrange(1, 4), chance.randrange(1, 5), num_layers=chance.choice([1, 2]), rng=chance.randrange(99)
    )
    arrays = {f"rnn.{name}": np.asarray(one, np.float32) for name, one in gw_torch.state_dict(lstm).items()}
    order = chance.sample([*arrays], len(arrays))
    header: dict[str, Any] = {}
    body = b""
    for name in order:
        dtype, code = chance.choice([("<f4", "F32"), ("<f4", "F32"), ("<f8", "F64"), ("<f2", "F16")])
        data = arrays[name].astype(dtype).tobytes()
        header[name] = {
            "dtype": code,
            "shape": list(arrays[name].shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    way = chance.choice(
        ["plain", "plain", "overlap", "gap", "swapped", "shape", "dtype", "offsets", "metadata", "name", "twice"]
    )
    name = chance.choice(order)
    match way:
        case "overlap":
            header[name]["data_offsets"] = header[chance.choice(order)]["data_offsets"]
        case "gap":
            body += bytes(chance.randrange(1, 9))
        case "swapped":
            header[name]["data_offsets"].reverse()
        case "shape":
            header[name]["shape"] = chance.choice(
                [header[name]["shape"][::-1], [-1], [2**62, 4], header[name]["shape"] + [1], []]
            )
        case "dtype":
            header[name]["dtype"] = chance.choice(["F64", "F16", "BF16", "I32", "U8", "F8_E4M3", "X", 3, None])
        case "offsets":
            header[name]["data_offsets"] = chance.choice([[0, 2**63], [-4, 0], [0], [0, 4, 8], "0", [0.5, 4.5]])
        case "metadata":
            header["__metadata__"] = chance.choice([{"a": 1}, {"gatewise": "{}"}, {"format": "pt"}, [], None])
        case "name":
            header[chance.choice(["", "a" * 1000, "rnn.weight_ih_l0_reverse", "\x00"])] = header.pop(name)
    text = json.dumps(header)
    if way == "twice":
        text = text[:-1] + ", " + json.dumps({name: header[chance.choice(order)]})[1:]
    raw = text.encode()
    Path("x.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + body)
    try:
        theirs = load_file("x.safetensors")
    except Exception:
        theirs = None
    loaded = asked(gw.load, "x.safetensors")
    if theirs is None and header.get(name, {}).get("dtype") in ("BF16", "F8_E4M3"):
        return  # which NumPy does not have
    if theirs is None:
        silent(f"what safetensors refuses is read: {way} {header[name]}")
    try:
        mine = gw_torch.state_dict(loaded)
    except gw.GatewiseError as problem:
        raise Refused(str(problem)) from None
    for key, one in mine.items():
        if key.startswith("bias_hh"):
            continue
        wanted = theirs.get(f"rnn.{key}")
        if wanted is not None:
            if key.startswith("bias_ih") and (other := theirs.get(f"rnn.{key.replace('_ih', '_hh')}")) is not None:
                wanted = wanted.astype(np.float64) + other
            agree(one, wanted, f"{way}: {key}", 1e-3 if wanted.dtype == np.float16 else 1e-6)


@hostile("files of every reader, spoiled", seconds=600, share=3, memory=0)
def spoiled(chance: random.Random, folder: Path) -> int:
    """A few dozen mutations of one kind of file are answered or refused: see `fuzz_rounds`."""
    import fuzz_rounds

    kind = chance.choice([*fuzz_rounds.SPOIL])
    try:
        tally = fuzz_rounds.SPOIL[kind](folder, count=60, seed=chance.getrandbits(31))
    except AssertionError as problem:
        raise Fault(TRACEBACK, f"{kind}: {problem}"[:3000]) from None
    return tally.answered + tally.refused
