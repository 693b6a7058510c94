"""What people call the quantities: every notation's names are found, and what may be two quantities is not guessed."""

from __future__ import annotations

import pytest
from written import problem_of

from gatewise.grading import names
from gatewise.grading.chain import Chain
from gatewise.render import text
from gatewise.walkthrough.notation import NOTATIONS


def chain_of(variant: str = "plain", steps: int = 1, projection: str = "unprojected") -> Chain:
    made, _ = problem_of(variant, projection, steps, 1)
    return Chain(made.sequences(), made.dh, made.dc)


ONE, THREE = chain_of(), chain_of(steps=3)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize(
    "variant", ["plain", "peephole", "gate clip", "cell clip", "layer norm of the gates", "layer norm of Haste"]
)
def test_the_names_of_every_notation_are_found(variant, steps):
    chain = chain_of(variant, steps, "projected")
    for notation in NOTATIONS.values():
        for quantity in chain.quantities:
            name = text.formula(notation.symbol(quantity.symbol))
            name += "" if steps == 1 or quantity.total else f"[{quantity.step}]"
            assert names.find(name, chain.by_name) == quantity.name, f"{notation.name}: {name}"


FOUND = {
    "f": ["Forget gate", "forget-gate", "FORGET_GATE", "forgetgate", "f_t", "f^t", "f(t)", "F", "f[0]", "f (step 0)"],
    "g": ["C~_t", "C̃_t", r"\tilde{C}_t", r"$\tilde c_t$", "c_tilde", "c~", "Candidate", "cell gate", "g_t"],
    "c": ["CELL STATE", "C_t", "C", "c_{t}"],
    "h": ["Hidden State", "h_t"],
    "a_f": ["z_f", "a f", "preactivation of the forget gate", "A_F", "a_{f}"],
    "a_g": ["z_c", "a_c", "a_C"],
    "z": ["combined input", "combined_input", "z_t"],
    "df": ["dL/df", "∂L/∂f", "d_f", "grad_f", "gradient of the forget gate", r"\frac{\partial L}{\partial f_t}"],
    "dg": ["dL/dC~_t", "dc_tilde", "dC̃_t"],
    "dc": ["dC_t", "dL/dC", "∂E/∂c"],
    "da_g": ["dz_c", "dL/dz_c", "dL/da_g"],
    "dW_f": ["grad_W_f", "dL/dW_f", "W_f.grad", "dWf", "dW_forget", "W_f_grad"],
    "dW_g": ["dW_c", "dW_C", "dWc"],
    "dh_prev": ["dh_{t-1}", "dL/dh_{t-1}", "dh_tm1", "∂L/∂h_prev"],
    None: ["f_0", "f1", "f_1", "c0", "f(1)", "delta_f", "δ_f", "dh_t1", "W_f", "w_f", "x", "h_prev", "input", "output",
           "state", "", "d", "[0]", "dL/d", "f[1]", "forget", "f" * 100_000, "f[0][0]"],
}  # fmt: skip


@pytest.mark.parametrize(("quantity", "name"), [(one, name) for one, every in FOUND.items() for name in every])
def test_a_name_is_found_unless_it_may_be_another(quantity, name):
    assert names.find(name, ONE.by_name) == quantity


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("f", None),
        ("f_t", None),
        ("f[1]", "f[1]"),
        ("f [1]", "f[1]"),
        ("f (step 1)", "f[1]"),
        ("f (t=1)", "f[1]"),
        ("f_{t=1}", "f[1]"),
        ("f_t=1", "f[1]"),
        ("Forget gate step 2", "f[2]"),
        ("C̃_t[1]", "g[1]"),
        ("∂L/∂f[1]", "df[1]"),
        ("dL/dW_f", "dW_f"),
        ("dL/dW_f (step 2)", "dW_f[2]"),
        ("f[3]", None),
        ("f_1", None),
    ],
)
def test_with_several_steps_a_name_says_which(name, quantity):
    assert names.find(name, THREE.by_name) == quantity
    assert (found := THREE.named(name)) is None or found.name == quantity


def test_capitals_tell_matrices_from_vectors():
    haste = chain_of("layer norm of Haste").by_name
    assert [names.find(name, haste) for name in ("dw_f", "dW_f", "DW_F", "W_f")] == ["dw_f", "dW_f", None, None]


def test_a_name_that_is_nearly_right_gets_a_suggestion():
    assert names.suggestion("dW_ff", ONE.by_name) == "dW_f"
    assert names.suggestion("forget_gat", ONE.by_name) == "forget_gate"
    assert names.suggestion("xyzzy", ONE.by_name) is None
