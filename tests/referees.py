"""Other people's trained LSTMs, with the answers of their own runtimes.

They are not part of this project: the marker `referees` has what needs them, and is asked for by name. They are looked
for where the environment variable GATEWISE_REFEREES says, else beside the project in ../shared/referees.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np

REFEREES = Path(os.environ.get("GATEWISE_REFEREES") or Path(__file__).parents[2] / "shared" / "referees")
CLOSE = 2e-5  # float32, two runtimes that sum in different orders


@cache
def arrays(*path):
    with np.load(REFEREES.joinpath(*path), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@cache
def document(*path):
    return json.loads(REFEREES.joinpath(*path).read_text(encoding="utf-8"))
