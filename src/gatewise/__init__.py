"""gatewise: an LSTM you can see through."""

# `typing` would be nearly all that importing the package costs; type checkers take this name to be true.
TYPE_CHECKING = False
if TYPE_CHECKING:  # the names of the table below, as type checkers read them
    from gatewise.activations import Activation as Activation
    from gatewise.c_header.writing import write_c as write_c
    from gatewise.cell import LSTMCell as LSTMCell
    from gatewise.chunked.applying import apply as apply
    from gatewise.diagnostics.verification import Verification as Verification
    from gatewise.engine import Engine as Engine
    from gatewise.engine import engines as engines
    from gatewise.engine import set_num_threads as set_num_threads
    from gatewise.equations import DropoutMasks as DropoutMasks
    from gatewise.equations import Moment as Moment
    from gatewise.errors import CapacityError as CapacityError
    from gatewise.errors import FileError as FileError
    from gatewise.errors import GatewiseError as GatewiseError
    from gatewise.errors import MissingExtraError as MissingExtraError
    from gatewise.errors import NotKeptError as NotKeptError
    from gatewise.errors import OptionError as OptionError
    from gatewise.errors import ShapeError as ShapeError
    from gatewise.errors import WeightsWarning as WeightsWarning
    from gatewise.grading.marking import Marking as Marking
    from gatewise.grading.marking import check as check
    from gatewise.interop import inspect as inspect
    from gatewise.interop import load as load
    from gatewise.interop import load_network as load_network
    from gatewise.interop import save as save
    from gatewise.interop.formats import capture as capture
    from gatewise.layers.backward import backward as backward
    from gatewise.layers.lstm import LSTM as LSTM
    from gatewise.layers.stream import Stream as Stream
    from gatewise.network import Branch as Branch
    from gatewise.network import Linear as Linear
    from gatewise.network import Network as Network
    from gatewise.network import NetworkTrace as NetworkTrace
    from gatewise.network import Scaling as Scaling
    from gatewise.opening.run import open_run as open_run
    from gatewise.opening.runs import OpenedRun as OpenedRun
    from gatewise.opening.verifying import verify as verify
    from gatewise.parameters import Parameters as Parameters
    from gatewise.parameters import Variant as Variant
    from gatewise.playground.page import Page as Page
    from gatewise.playground.page import page as page
    from gatewise.records.edits import Edit as Edit
    from gatewise.records.gradients import Gradients as Gradients
    from gatewise.records.gradients import LSTMGradients as LSTMGradients
    from gatewise.records.keep import Keep as Keep
    from gatewise.records.labels import Labels as Labels
    from gatewise.records.labels import Measure as Measure
    from gatewise.records.step import State as State
    from gatewise.records.step import Step as Step
    from gatewise.records.step import Term as Term
    from gatewise.records.step import Terms as Terms
    from gatewise.records.trace import LSTMTrace as LSTMTrace
    from gatewise.records.trace import Trace as Trace
    from gatewise.reporting.build import report as report
    from gatewise.reporting.findings import Finding as Finding
    from gatewise.reporting.findings import Report as Report
    from gatewise.walkthrough.build import walk as walk
    from gatewise.walkthrough.parts import Walkthrough as Walkthrough

__version__ = "0.1.0"

MODULES = {  # of each module, the public names that it defines: imported on first access
    "gatewise.activations": ("Activation",),
    "gatewise.c_header.writing": ("write_c",),
    "gatewise.cell": ("LSTMCell",),
    "gatewise.chunked.applying": ("apply",),
    "gatewise.diagnostics.verification": ("Verification",),
    "gatewise.engine": ("Engine", "engines", "set_num_threads"),
    "gatewise.equations": ("DropoutMasks", "Moment"),
    "gatewise.errors": (
        "CapacityError",
        "FileError",
        "GatewiseError",
        "MissingExtraError",
        "NotKeptError",
        "OptionError",
        "ShapeError",
        "WeightsWarning",
    ),
    "gatewise.grading.marking": ("Marking", "check"),
    "gatewise.interop": ("inspect", "load", "load_network", "save"),
    "gatewise.interop.formats": ("capture",),
    "gatewise.layers.backward": ("backward",),
    "gatewise.layers.lstm": ("LSTM",),
    "gatewise.layers.stream": ("Stream",),
    "gatewise.network": ("Branch", "Linear", "Network", "NetworkTrace", "Scaling"),
    "gatewise.opening.run": ("open_run",),
    "gatewise.opening.runs": ("OpenedRun",),
    "gatewise.opening.verifying": ("verify",),
    "gatewise.parameters": ("Parameters", "Variant"),
    "gatewise.playground.page": ("Page", "page"),
    "gatewise.records.edits": ("Edit",),
    "gatewise.records.gradients": ("Gradients", "LSTMGradients"),
    "gatewise.records.keep": ("Keep",),
    "gatewise.records.labels": ("Labels", "Measure"),
    "gatewise.records.step": ("State", "Step", "Term", "Terms"),
    "gatewise.records.trace": ("LSTMTrace", "Trace"),
    "gatewise.reporting.build": ("report",),
    "gatewise.reporting.findings": ("Finding", "Report"),
    "gatewise.walkthrough.build": ("walk",),
    "gatewise.walkthrough.parts": ("Walkthrough",),
}
PUBLIC = {name: module for module, names in MODULES.items() for name in names}
PACKAGES = ("examples", "insight", "interop", "plot")  # their names are public too: gw.insight.timescales
__all__ = list(PUBLIC)


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in PACKAGES:
        return import_module(f"gatewise.{name}")
    if name not in PUBLIC:
        raise AttributeError(f"module 'gatewise' has no attribute {name!r}")
    thing: object = getattr(import_module(PUBLIC[name]), name)
    globals()[name] = thing
    return thing


def __dir__() -> list[str]:
    return sorted([*PUBLIC, *PACKAGES, "__version__"])
