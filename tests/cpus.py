"""Run the tests as on other CPUs: `python -m tests.cpus [SETTING [PATH…]]`; without a setting, under each of them.

The last bits of a sum depend on the CPU, because OpenBLAS, NumPy, the C library and gatewise choose code for it. A
setting makes them choose other code, and every process of the tests refuses to start unless they did. With PATH, these
tests run; without, the fast part does: every file that computes numbers or decides something from them. Files about
programs, formats, words and layout are left out, and so is what SLOW lists.

Each setting changes one choice, with two exceptions. SkylakeX includes the kernel avx512, which gatewise chooses anyway
if the CPU can run both. And `old` changes all choices together, as an old CPU does.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
VARIABLE = "GATEWISE_CPU_SETTING"  # in a process of the tests, the name of its setting
VARIABLES = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "GATEWISE_KERNEL", "GLIBC_TUNABLES", VARIABLE)
INSTRUCTIONS = {"Haswell": "AVX2", "SkylakeX": "AVX-512", "avx2": "AVX2", "avx512": "AVX-512"}  # that code is made of
REPORTED_AS = {"Prescott": "Katmai"}  # OpenBLAS has one code for both
EMULATOR = "qemu-x86_64"  # it emulates AVX2, but not AVX-512


@dataclass(frozen=True)
class Setting:
    """The code to choose; None leaves the choice as it is."""

    openblas: str | None = None  # a CPU, as OpenBLAS calls it
    numpy_without: str | None = None  # AVX-512, or AVX2 and then AVX-512, too
    kernel: str | None = None  # a kernel of gatewise, or none
    libm_without_fma: bool = False  # the C library's exp, sin, …, which Python's math and NumPy call

    def __str__(self) -> str:
        kernel = "NumPy alone" if self.kernel == "none" else self.kernel and f"kernel {self.kernel}"
        openblas = self.openblas and f"OpenBLAS for {self.openblas}"
        numpy = self.numpy_without and f"NumPy without {self.numpy_without}"
        return ", ".join(filter(None, (openblas, numpy, kernel, self.libm_without_fma and "libm without FMA")))

    def environment(self, own: Choices) -> dict[str, str]:
        """Return the variables that make a process choose so, where it would choose `own` without them."""
        variables = {
            "OPENBLAS_CORETYPE": self.openblas,
            "NPY_DISABLE_CPU_FEATURES": " ".join(own.numpy_features(self.numpy_without)),
            "GATEWISE_KERNEL": self.kernel,
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4" if self.libm_without_fma else "",
        }
        return {name: value for name, value in variables.items() if value}

    def obstacle(self, own: Choices) -> str | None:
        """Return why a process on this machine cannot choose so, beside a lack of instructions."""
        if (self.openblas or self.kernel in INSTRUCTIONS) and platform.machine() not in {"x86_64", "AMD64"}:
            return "this is not an x86-64 CPU"
        if self.openblas and not own.openblas:
            return "NumPy does not use OpenBLAS here"
        if self.numpy_without and not own.numpy_features(self.numpy_without):
            return f"NumPy does not use {self.numpy_without} here anyway"
        if self.kernel and own.kernel == "none":
            return "gatewise has no native engine here"
        if self.libm_without_fma and not own.libm_fma:
            return "libm does not use FMA here, or does not report it"
        return None

    def missing(self, own: Choices) -> set[str]:
        """Return the instruction sets that this setting's code is made of, and that this CPU lacks."""
        needed = {INSTRUCTIONS[code] for code in (self.openblas, self.kernel) if code in INSTRUCTIONS}
        return needed - {INSTRUCTIONS[kernel] for kernel in own.kernels if kernel in INSTRUCTIONS}

    def differences(self, found: Choices) -> Iterable[str]:
        """Yield a sentence for each choice that a process did not make as it should."""
        if self.openblas and found.openblas not in {self.openblas, REPORTED_AS.get(self.openblas)}:
            yield f"OpenBLAS uses its code for {found.openblas}, not for {self.openblas}."
        if kept := found.numpy_features(self.numpy_without):
            yield f"NumPy still uses {', '.join(kept)}."
        if self.kernel and found.kernel != self.kernel:
            yield f"gatewise uses the kernel {found.kernel}, not {self.kernel}."
        if self.libm_without_fma and found.libm_fma is not False:
            yield "libm still uses FMA."


SETTINGS = {
    "Prescott": Setting(openblas="Prescott"),
    "Haswell": Setting(openblas="Haswell"),
    "SkylakeX": Setting(openblas="SkylakeX", kernel="avx512"),
    "no-avx512": Setting(numpy_without="AVX-512"),
    "no-avx2": Setting(numpy_without="AVX2"),
    "avx2": Setting(kernel="avx2"),
    "portable": Setting(kernel="portable"),
    "none": Setting(kernel="none"),
    "old": Setting(openblas="Prescott", numpy_without="AVX2", kernel="portable", libm_without_fma=True),
}


@dataclass(frozen=True)
class Choices:
    """The code that a process chose."""

    openblas: str | None
    numpy: tuple[str, ...]  # the features that it uses beyond its baseline
    kernel: str
    kernels: tuple[str, ...]  # that gatewise could choose
    libm_fma: bool | None  # None if the C library does not report it

    @classmethod
    def of_this_process(cls) -> Choices:
        import threadpoolctl
        from numpy._core import _multiarray_umath as compiled

        import gatewise as gw

        openblas = threadpoolctl.ThreadpoolController().select(internal_api="openblas").info()
        native = gw.engines()[0]
        try:  # glibc's x86_cpu_active(), which is a macro: FMA is bit 12 of ecx in the active half of leaf 1
            leaf = getattr(ctypes.CDLL(None), "__x86_get_cpuid_feature_leaf")  # as an attribute, a class mangles it
        except (AttributeError, TypeError):  # another C library, or Windows
            fma = None
        else:
            leaf.restype = ctypes.POINTER(ctypes.c_uint * 8)
            fma = bool(leaf(0).contents[6] >> 12 & 1)
        return cls(
            openblas=openblas[0]["architecture"] if openblas else None,
            numpy=tuple(name for name in compiled.__cpu_dispatch__ if compiled.__cpu_features__[name]),
            kernel=native.kernel or "none",
            kernels=native.kernels,
            libm_fma=fma,
        )

    def numpy_features(self, instructions: str | None) -> list[str]:
        """Return the features that NumPy uses and that need these instructions; their names depend on its version."""
        avx512 = [name for name in self.numpy if name.startswith("AVX512") or name == "X86_V4"]
        avx2 = [name for name in self.numpy if name in {"AVX2", "FMA3", "X86_V3"}]
        return {None: [], "AVX-512": avx512, "AVX2": avx2 + avx512}[instructions]


def require(name: str) -> None:
    """Raise an error unless this process chose its code as a setting says."""
    if differences := list(SETTINGS[name].differences(Choices.of_this_process())):
        raise pytest.UsageError(f"The setting {name} has no effect: {' '.join(differences)}")


# The fast part. It takes about a minute on two cores.

PROGRAMS = """
    allowed_skips arguments bench budget c_header cli cli_basins cli_check cli_files cli_plot cli_trace cli_verify
    cli_walk contributing copies cpus errors every_command frozen full_disks fuzzing hostile_corpus interrupt memory
    native_process pairwise places process_end progress protecting public readme release running signals structure usage
"""
FORMATS = """
    data data_files foreign format_rows fuzz_rounds hdf5 hostile json_models keras keras_ledger keras_networks
    keras_spoiled ledger neuralhydrology number_text numpy_files onnx_edges onnx_external onnx_kept_out onnx_ledger
    onnx_names onnx_refused onnx_stacks opened_windows opening provenance readings recording replacing spreadsheets
    storage tables times torch_exported torch_files torch_ledger torch_sharded torchscript unread zips
"""
WORDS = """
    diagram dimensions edited_walks feedback_language graph_tables hand_in handout_language html inline inspect labels
    latex long_walks markdown marked named_answers named_inputs named_steps names notebook page page_edits page_language
    page_translation page_words palette picture_text render report report_text reprs sheet spellings words
"""
SLOW = """
    class.py examples.py exercise.py fairness.py problem.py
    causes.py::test_a_known_mistake_is_found_where_it_was_made_and_named
    causes.py::test_a_sum_over_the_batch_that_is_missing_is_named
    causes.py::test_every_kind_is_documented_and_fits_beside_a_bar
    gradients.py::test_the_gradients_of_a_stack_equal_central_differences
    insight_horizon.py::test_what_is_around_the_lstm_changes_no_horizon_but_logits_are_compared
    insight_methods.py::test_experiments_name_the_step_that_was_let_in_and_some_methods_do_not
    insight_reconciling.py::test_the_horizon_of_an_output_stands_beside_the_influence_on_the_same_one
    slips.py::test_a_mistake_of_no_known_class_is_found_and_gets_no_cause
"""
EMULATED = (
    "engine",
    "marking",
    "native_numbers",
    "page_lesson_file",
    "worked_example",
)  # an emulator takes 10 times as long


def fast_part() -> list[str]:
    """Return pytest's arguments for it."""
    left_out = {f"test_{name}.py" for name in f"{PROGRAMS} {FORMATS} {WORDS}".split()}
    slow = [f"tests/test_{test}" for test in SLOW.split()]
    files = {path.name for path in HERE.glob("test_*.py")}
    if unknown := (left_out | {Path(test.partition("::")[0]).name for test in slow}) - files:
        raise FileNotFoundError(f"tests/cpus.py names files that do not exist: {', '.join(sorted(unknown))}")
    return [*(f"tests/{name}" for name in sorted(files - left_out)), *(f"--deselect={test}" for test in slow)]


def run(name: str, arguments: list[str], own: Choices) -> tuple[str, bool]:
    """Run tests under a setting, and return a row of the table and whether they failed."""
    setting, program, options = SETTINGS[name], [sys.executable], list[str]()
    if obstacle := setting.obstacle(own):
        return f"not run: {obstacle}", False
    missing = setting.missing(own)
    if "AVX-512" in missing:
        return f"not run: this CPU lacks AVX-512, and {EMULATOR} does not emulate it", False
    if missing:
        if not shutil.which(EMULATOR):
            return f"not run: this CPU lacks AVX2, and {EMULATOR} is not installed", False
        program, options = [EMULATOR, "-cpu", "Haswell-noTSX", sys.executable], ["-n", "0"]
        arguments = arguments or [f"tests/test_{file}.py" for file in EMULATED]
    print(f"\n{name}: {setting}{f', in {EMULATOR}' if missing else ''}", flush=True)
    report = HERE.parent / "build" / "cpus" / f"{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    started = time.monotonic()
    status = subprocess.run(
        [*program, "-m", "pytest", "-q", f"--junitxml={report}", *options, *(arguments or fast_part())],
        cwd=HERE.parent,
        env=os.environ | setting.environment(own) | {VARIABLE: name, "GATEWISE_STRICT": "0"},
        check=False,
    ).returncode
    seconds = time.monotonic() - started
    if not report.exists():
        return "no test ran", True
    counts = {key: int(value) for key, value in ElementTree.parse(report).getroot()[0].items() if value.isdecimal()}
    failed, skipped = counts["failures"] + counts["errors"], counts["skipped"]
    return f"{counts['tests'] - failed - skipped:>7}{failed:>8}{skipped:>9}{seconds:>9.0f}", status != 0


def main() -> int:
    settings = "; ".join(f"{name} ({setting})" for name, setting in SETTINGS.items())
    parser = argparse.ArgumentParser("python -m tests.cpus", description=__doc__, epilog=f"Settings: {settings}.")
    parser.add_argument("setting", nargs="?", choices=SETTINGS, metavar="SETTING", help="one of those below")
    parser.add_argument(
        "pytest", nargs="...", metavar="PATH", help="arguments of pytest, as in tests/test_engine.py -x"
    )
    asked = parser.parse_args()
    for name in VARIABLES:
        if name in os.environ:
            parser.error(f"{name} is set already; unset it first")
    own = Choices.of_this_process()
    rows = {name: run(name, asked.pytest, own) for name in ([asked.setting] if asked.setting else SETTINGS)}
    print(f"\nThis CPU: {own}\n\n{'setting':<10}{'passed':>7}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for name, (row, _) in rows.items():
        print(f"{name:<10}{row}")
    return int(any(failed for _, failed in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
