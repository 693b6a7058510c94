"""Walkthroughs as they are read; a difference is looked at before GATEWISE_UPDATE_GOLDEN=1 writes it down."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gatewise.cli import main

GOLDEN = Path(__file__).parent / "golden"

WALKS = {
    "notebook": "",
    "latch": "--example latch",
    "lesson": "--example lesson",
    "lesson backward": "--example lesson --backward --steps 4",
    "one unit": "--unit 1",
    "every switch": "--peephole full --coupling input=1-forget --layer-norm gates --epsilon 1e-6 --gate-clip 1"
    " --cell-clip 0.2 --projection-size 1 --projection-clip 0.001 --activation candidate=elu:0.7"
    " --activation output_gate=softsign",
    "haste": "--layer-norm haste --epsilon 1e-5 --init glorot --seed 3 --x 1,-1 --h 0.3,0.4,0.3 --c 2,-2,0.5",
    "large": "--init chrono --input-size 30 --hidden-size 40 --seed 5",
    "notebook backward": "--backward",
    "latch backward": "--example latch --backward --every-step",
    "every switch backward": "--backward --peephole full --coupling input=1-forget --layer-norm gates --epsilon 1e-6"
    " --gate-clip 1 --cell-clip 0.2 --projection-size 1 --projection-clip 0.001 --activation candidate=elu:0.7"
    " --activation output_gate=softsign --steps 2 --dh 2 --dc -1,0.5",
    "every output backward": "--backward --hidden-size 1 --steps 3 --dy 1,-2,0.5",
    "haste backward": "--backward --layer-norm haste --epsilon 1e-5 --init glorot --seed 3 --x 1,-1 --h 0.3,0.4,0.3"
    " --c 2,-2,0.5",
    "notation olah": "--notation olah",
    "notation pytorch backward": "--notation pytorch --backward --unit 0",
    "notation keras backward": "--notation keras --backward --steps 2",
    "notation notebook": "--notation notebook",
    "markdown": "--format markdown --steps 2",
    "latex": "--format latex --unit 0",
    "html": "--format html",
}
# How far central differences are off is rounding, which differs from machine to machine.
ROUNDING = re.compile(r"( +)\d(?:\.\d+)?e-(?:0[89]|1\d)(?= *$)|(?<=differences within )\S+", re.MULTILINE)


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_reads_as_it_did(name, capsys):
    main(["walk", *WALKS[name].split()])
    shown = ROUNDING.sub(r"\1~", capsys.readouterr().out)
    path = GOLDEN / f"{name.replace(' ', '_')}.txt"
    if os.environ.get("GATEWISE_UPDATE_GOLDEN"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
