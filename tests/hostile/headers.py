"""Headers in C with names of any letters: they compile without a warning, and compute what Python does."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import numpy as np
from c_headers import STRICT
from hostile.outputs import HARMFUL
from hostile.trying import EXECUTED, TRACEBACK, Fault, asked, hostile, numbers, silent

NAMES = (
    *(
        "net",
        "Net",
        "x",
        "int",
        "float",
        "class",
        "template",
        "new",
        "this",
        "main",
        "exp",
        "tanh",
        "NAN",
        "EOF",
        "INT_MAX",
        "size_t",
        "restrict",
    ),
    *(
        "_x",
        "__x",
        "_X",
        "x__y",
        "1x",
        "x y",
        "x-y",
        "größe",
        "a" * 63,
        "a" * 300,
        "",
        "and",
        "xor",
        "bool",
        "true",
        "NULL",
        "linux",
        "unix",
        "errno",
        "I",
    ),
)
DRIVER = """
#include "h.h"
#include <stdio.h>
int main(void) {
    static %(name)s_state s;
    float x[%(inputs)d], y[%(outputs)d];
    int step, k;
    %(name)s_reset(&s);
    for (step = 0; step < %(steps)d; step++) {
        for (k = 0; k < %(inputs)d; k++) if (scanf("%%f", &x[k]) != 1) return 2;
        %(name)s_step(&s, x, y);
        for (k = 0; k < %(outputs)d; k++) printf("%%.9g\\n", (double)y[k]);
    }
    return 0;
}
"""


@hostile("exported names and networks in C99 and C++11", needs=("$gcc", "$g++"), seconds=120)
def headers(chance: random.Random, folder: Path) -> None:
    """A header is written under a name that both languages take, with names of features that end no comment."""
    import gatewise as gw

    rng = numbers(chance)
    inputs, hidden, outputs = chance.randrange(1, 4), chance.randrange(1, 9), chance.randrange(1, 3)
    labels = gw.Labels(
        features=[f"{chance.choice(HARMFUL) if chance.random() < 0.5 else 'x'} {n}" for n in range(inputs)],
        outputs=[f"{chance.choice(HARMFUL) if chance.random() < 0.5 else 'y'} {n}" for n in range(outputs)],
    )
    weight = rng.normal(size=(outputs, hidden)).astype(np.float32)
    lstm = gw.LSTM(inputs, hidden, num_layers=chance.choice([1, 1, 2]), rng=chance.randrange(99))
    network = gw.Network(lstm, head=gw.Linear(weight), labels=labels)
    name = chance.choice(NAMES) if chance.random() < 0.6 else None
    asked(gw.write_c, network, "h.h", **({} if name is None else {"name": name}))
    text = Path("h.h").read_text(encoding="utf-8")
    found = re.search(r"\bvoid (\w+)_reset\(", text) or re.search(r"\b(\w+)_reset\(", text)
    if found is None:
        silent(f"the header has no function: {name!r}")
    steps = 5
    x = rng.normal(size=(steps, inputs)).astype(np.float32)
    values = {"name": found[1], "inputs": inputs, "outputs": outputs, "steps": steps}
    compiler, standard, ending = chance.choice([("gcc", "-std=c99", "c"), ("g++", "-std=c++11", "cpp")])
    Path(f"m.{ending}").write_text(DRIVER % values)
    warnings = STRICT if ending == "c" else STRICT.replace("-Wconversion ", "").replace("-Wdouble-promotion ", "")
    built = subprocess.run(
        [compiler, standard, "-O0", *warnings.split(), f"m.{ending}", "-o", "m", "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        raise Fault(TRACEBACK, f"the header does not compile: {compiler} {name!r} {labels}: {built.stderr[:1500]}")
    text_in = "\n".join(f"{value:.9g}" for value in x.reshape(-1))
    run = subprocess.run(["./m"], input=text_in, capture_output=True, text=True, check=False)
    if Path("executed").exists():
        raise Fault(EXECUTED, f"the header runs something: {labels}")
    if run.returncode:
        raise Fault(TRACEBACK, f"the compiled header ends with {run.returncode}: {run.stderr[:500]}")
    got = np.array(run.stdout.split(), np.float64).reshape(steps, outputs)
    want = np.asarray(network(x)[0]).reshape(steps, outputs)
    if not np.allclose(got, want, atol=1e-5):
        silent(f"the header computes something else: {np.abs(got - want).max()}")
