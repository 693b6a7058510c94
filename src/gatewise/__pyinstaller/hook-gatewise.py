"""What a frozen application gets of gatewise: its files, and every module, since readers are imported by name.

PyInstaller runs this file. What gatewise imports of others when it is used, such as matplotlib, comes along if it is
installed; the frameworks of live models do not, which an application that has one imports itself.
"""

from importlib.util import find_spec
from pathlib import Path

from PyInstaller.utils.hooks import collect_data_files, copy_metadata

ROOT = Path(__file__).parent.parent
SOURCES = [path.relative_to(ROOT.parent) for path in ROOT.rglob("*.py") if path.parent != Path(__file__).parent]

hiddenimports = sorted(".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in SOURCES)
hiddenimports += ["gatewise._native"] if find_spec("gatewise._native") else []
if find_spec("matplotlib"):  # which imports what writes a format by its name
    hiddenimports += [f"matplotlib.backends.backend_{name}" for name in ("agg", "svg", "pdf")]
datas = collect_data_files("gatewise") + copy_metadata("gatewise")
excludedimports = ["torch", "keras"]
