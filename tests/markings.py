"""Marked sheets made by hand, so that what is said of them does not depend on what a search for causes finds."""

from __future__ import annotations

from dataclasses import replace

from gatewise.grading import judging
from gatewise.grading.marking import Marking
from gatewise.grading.sheet import Fault
from gatewise.grading.verdicts import Cause, Verdict

EQUATIONS = {
    "a_f": "a_f = W_f · z + b_f",
    "f": "f = σ(a_f)",
    "i": "i = σ(a_i)",
    "g": "g = tanh(a_g)",
    "c": "c = f ⊙ c_prev + i ⊙ g",
    "o": "o = σ(a_o)",
    "h": "h = o ⊙ tanh(c)",
    "dW_f": "dW_f = da_f · zᵀ",
}
CUT = "the digits are cut off, not rounded"
SWAPPED = Cause("another symbol", "c uses the hidden state h_prev instead of c_prev")
FEWER, FEWER_EARNS = (judging.FEWER_DECIMALS.format(decimals=4, effect=effect) for effect in ("costs", "still earns"))
NO_BIAS = Cause("missing bias", "the bias is missing from a_f", "structural")
DIGITS = Cause("digits exchanged", "two digits are exchanged in unit 0", "one entry")
NO_LINE = Fault("line 1", "", "'hello' is not a line of numbers")


def line(name, status="right", entry="", written=None, right=None, expected=None, **more):
    return Verdict(
        name, EQUATIONS[name.partition("[")[0]], status, entry, written=written, right=right, expected=expected, **more
    )


def marking(*verdicts, faults=(), source="answers.csv", decimals=None):
    lines = tuple(one if isinstance(one, Verdict) else line(one) for one in verdicts)
    return Marking(lines, source, tuple(faults), decimals)


MARKINGS = {
    "nothing": marking(),
    "missing": marking(line("f", "missing"), line("h", "missing")),
    "unreadable": marking(line("f", "missing"), line("h", "missing"), faults=[NO_LINE]),
    "nothing readable": marking(faults=[NO_LINE]),
    "one right": marking("f"),
    "two right": marking("f", "h"),
    "right so far": marking("f", "i", "g", line("c", "missing"), line("h", "missing")),
    "right but for a fault": marking("f", "i", "g", faults=[Fault("line 4", "o", "'0.5o' is not a number")]),
    "rounded": marking("f", line("i", reason=CUT), line("g", reason=CUT), line("c", "close"), line("h", "too coarse")),
    "incomplete": marking(
        "f", line("i", "incomplete", blank=("unit 1",)), line("h", "wrong", "unit 0", 0.5, 0.25, blank=("unit 1",))
    ),
    "half blank": marking("f", line("i", "too coarse"), *(line(k, "incomplete", blank=("unit 1",)) for k in "ch")),
    "too few decimals": marking("f", line("i", "too coarse", reason=FEWER), line("h", reason=FEWER_EARNS)),
    "no cause": marking(
        line("f", "wrong", "unit 0", 0.5, 0.25, more=2),
        line("i", "wrong", "unit 0", 0.5, 0.25, more=2, gaps=True),
        line("g", "wrong", "unit 0", 0.5, 0.25, more=1, digits=6),
        line("c", "wrong", "unit 0", 0.5, 0.25, causes=(replace(DIGITS, tier="possible"),)),
        line("o", "wrong", "unit 0", 0.5, 0.25, more=1, digits=4),
        decimals=4,
    ),
    "one mistake": marking(
        *("f", "i", "g", line("c", "wrong", "unit 1", 0.1408, 0.1308123, causes=(SWAPPED,))),
        *(line("o"), line("h", "right from a wrong line")),
    ),
    "the rest follows": marking(
        line("a_f", "wrong", "unit 0", 0.5, 0.25, causes=(NO_BIAS,)),
        line("f", "right from a wrong line"),
        line("c", "right from a wrong line"),
    ),
    "a slip": marking("a_f", line("f", "wrong", "unit 0", 0.4394, 0.49336, causes=(DIGITS,), more=1), "i"),
    "several causes": marking(
        "f", "i", line("g", "wrong", "unit 0", 0.2, 0.1, causes=(SWAPPED, NO_BIAS, DIGITS), more=4)
    ),
    "two mistakes": marking(
        *(
            "f[0]",
            line("c[0]", "wrong", "unit 0", 0.2, 0.1, causes=(SWAPPED, NO_BIAS)),
            line("h[0]", "right from a wrong line"),
        ),
        *("f[1]", line("c[1]", "wrong", "unit 1", -0.3, 0.1, 0.12, digits=6), line("h[1]", "right from a wrong line")),
        line("dW_f", "wrong", "its shape is (5, 2), not (2, 5)"),
        faults=[Fault("line 3", "o[0]", "'0.5o' is not a number"), Fault("", "q", "there is no quantity 'q'")],
    ),
}
HOSTILE = "</td></p><script>alert(1)</script>|`*_[a](http://b) $x$\x00\x1b[31m\u202egnp\ud800\n# "


def hostile():
    """Return a marking with markup, control characters and overrides of direction wherever there is text."""
    causes = tuple(Cause(HOSTILE, HOSTILE, tier) for tier in ("likely", "structural", "one entry"))
    verdicts = [
        Verdict(HOSTILE, HOSTILE, "wrong", HOSTILE, 0.5, float("nan"), float("inf"), causes, 2, None, HOSTILE)
        for _ in range(3)
    ]
    return Marking(tuple(verdicts), HOSTILE, tuple(Fault(HOSTILE, HOSTILE, HOSTILE) for _ in range(3)))


def long(lines=2000):
    """Return a marking of many lines, all of them wrong, and of as many that cannot be read."""
    verdicts = [line(f"c[{k}]", "wrong", "unit 1", 0.5, 0.25, 0.125, causes=(SWAPPED,)) for k in range(lines)]
    return marking(*verdicts, faults=[Fault(f"line {k}", "", "there is no number") for k in range(lines)])
