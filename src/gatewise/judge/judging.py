"""An engine judged on generated cases, made as small as they can be, or on models of the user's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gatewise.errors import FileError, GatewiseError, OptionError, join_names
from gatewise.interop.onnx.packages import import_onnx
from gatewise.judge import designs
from gatewise.judge.designs import FILE, Design, draw
from gatewise.judge.formats import onnx_model
from gatewise.judge.messages import AnyArray, CaseMessage
from gatewise.judge.process import REFUSED
from gatewise.judge.scripts import save_cases, script
from gatewise.judge.subjects import Subject
from gatewise.judge.verdicts import IGNORED, READING, RIGHT, ROUGH, UNDECIDED, WRONG, CaseVerdict
from gatewise.opening.verifying import verify
from gatewise.progress import working
from gatewise.showing import counted

SIZES = ("num_steps", "batch_size", "hidden_size", "input_size")
MAX_RUNS = 200  # of the engine, for one case


def shrink(subject: Subject, verdict: CaseVerdict) -> CaseVerdict:
    """Return the verdict on the smallest case that fails as a given one does; the engine is started if need be."""
    runs, smallest = 0, verdict

    def failing(design: Design) -> CaseVerdict | None:
        """Return the verdict on a smaller case if it fails in the same way."""
        nonlocal runs
        if runs >= MAX_RUNS or not subject.can_express(design):
            return None
        runs += 1
        trial = draw(design)
        found = subject.judge.verdict(trial, subject.process.run(subject.message(trial)), explain=False)
        if (found.difference is None) != (verdict.difference is None):
            return None  # a wrong shape is another fault than a wrong number
        wrong = {WRONG, IGNORED}
        return found if found.kind == verdict.kind or {found.kind, verdict.kind} <= wrong else None

    changed = True
    while changed:
        changed, design = False, smallest.design
        for attribute in sorted(design.attributes):
            if (found := failing(smallest.design.without(attribute))) is not None:
                smallest, changed = found, True
        for name in SIZES:
            for size in range(1, min(getattr(smallest.design, name), 12)):
                resized: dict[str, Any] = {name: size}
                if (found := failing(replace(smallest.design, **resized))) is not None:
                    smallest, changed = found, True
                    break
    if smallest is verdict:
        return verdict
    sentence = smallest.sentence or verdict.sentence  # that about a wrong shape has its numbers
    return replace(smallest, kind=verdict.kind, sentence=sentence, about=verdict.about, causes=verdict.causes)


GIVE_UP = 5  # cases in a row without a result after a crash or the time limit: the rest is not tried


@dataclass(frozen=True)
class Row:
    """The verdict on one feature of an engine.

    Attributes
    ----------
    feature : str
    kind : str
        As of `CaseVerdict`.
    sentence : str
    cases : int
        How many cases have the feature.
    verdict : CaseVerdict
        That on the simplest case that decides the row; of a fault, on the smallest case that has it.
    script : str
        A fault as a few lines of Python that use the engine alone, if it can be written so.
    """

    feature: str
    kind: str
    sentence: str
    cases: int
    verdict: CaseVerdict
    script: str = ""


@dataclass(frozen=True)
class Judgement:
    """What an engine makes of every case.

    Attributes
    ----------
    engine : str
    version : str
    rows : tuple of Row
        One for each feature.
    verdicts : tuple of CaseVerdict
        One for each case.
    problem : str
        Why the engine could not be judged at all.
    """

    engine: str
    version: str
    rows: tuple[Row, ...]
    verdicts: tuple[CaseVerdict, ...]
    problem: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the engine was judged, and refused or computed every case right."""
        return not self.problem and not any(verdict.is_fault for verdict in self.verdicts)

    @property
    def sentence(self) -> str:
        """The judgement in one sentence."""
        if self.problem:
            return f"{self.engine}: {self.problem}"
        count = Counter(row.kind for row in self.rows)
        words = {RIGHT: "right", "refused": "refused", READING: "read differently", IGNORED: "silently ignored"}
        kinds = [kind for kind in words if count[kind]] + sorted(kind for kind in count if kind not in words)
        parts = [f"{count[kind]} {words.get(kind, kind)}" for kind in kinds]
        cases = counted(len(self.verdicts), "case")
        return f"{self.engine} {self.version}: of {counted(len(self.rows), 'feature')} {join_names(parts)} ({cases})"


def quick_designs(form: ModuleType) -> Iterator[Design]:
    """Yield the cases of the quick set: every attribute alone, every pair, sizes, and unusual numbers."""
    yield from designs.alone(form.ATTRIBUTES)
    yield from designs.pairs(form.PAIRED)
    yield from designs.sizes(frozenset(), every=False)
    yield from designs.values(frozenset(), every=False)
    for opset in form.OPSETS:
        yield Design(opset=opset, feature=f"opset {opset}")
    yield Design(dtype="float64", feature="float64")


def every_design(form: ModuleType) -> Iterator[Design]:
    """Yield all cases: those of the quick set, all pairs of all attributes, every size, and 1,000 random cases."""
    yield from designs.alone(form.ATTRIBUTES)
    yield from designs.pairs(form.ATTRIBUTES)
    bidirectional = frozenset({designs.BIDIRECTIONAL})
    for base in (frozenset[str](), bidirectional):
        yield from designs.sizes(base, every=True)
        yield from designs.values(base, every=True)
    for opset in range(7, 23) if form.OPSETS else ():
        for base in (frozenset[str](), bidirectional, frozenset({designs.LENGTHS})):
            yield Design(base, opset=opset, feature=f"opset {opset}")
    for attribute in ("", *form.PAIRED):
        yield Design(frozenset({attribute} - {""}), dtype="float64", feature="float64")
    yield from designs.drawn(form.PAIRED, 1000)


def designs_of(subject: Subject, every: bool, random: int | None, seed: int) -> Iterator[Design]:
    """Return the cases to judge an engine on: the quick set, all, or so many random ones."""
    form = subject.format
    if random is not None:
        return designs.drawn(form.PAIRED, random, seed)
    return every_design(form) if every else quick_designs(form)


def save_designs(folder: Path, judged: Iterable[Subject], *, every: bool) -> int:
    """Write the cases of the first engine that reads ONNX as test data; return how many.

    Raises
    ------
    OptionError
        If none reads ONNX.
    """
    subject = next((subject for subject in judged if subject.format is onnx_model), None)
    if subject is None:
        raise OptionError("--save writes ONNX models. Judge an engine that reads ONNX.")
    chosen = [design for design in designs_of(subject, every, None, 0) if subject.can_express(design)]
    return save_cases(folder, map(draw, chosen))


def judge_engine(subject: Subject, chosen: Iterable[Design]) -> Judgement:
    """Return the judgement of an engine on some cases. The engine is stopped afterwards.

    A case that is refused is tried again with one sequence: some engines take no more.
    """
    process = subject.process
    try:
        if problem := process.start():
            return Judgement(subject.name, "", (), (), problem)

        def verdict_on(design: Design) -> CaseVerdict:
            trial = draw(design)
            return subject.judge.verdict(trial, process.run(subject.message(trial)))

        verdicts: list[CaseVerdict] = []
        cases = [design for design in chosen if subject.can_express(design)]
        lost = 0
        with working(f"judging {subject.name}", len(cases), expected=10.0) as done:
            for design in cases:
                verdict_here, single = verdict_on(design), design.of_one_sequence
                if verdict_here.kind == REFUSED and single is not None:
                    alone = verdict_on(single)
                    verdict_here = verdict_here if alone.kind == REFUSED else alone
                verdicts.append(verdict_here)
                done(1)
                lost = lost + 1 if verdicts[-1].kind in ("crashed", "timed out", "no result") else 0
                if lost >= GIVE_UP and len({verdict.kind for verdict in verdicts}) == 1:
                    break  # nothing works
        rows = [_reduced(subject, row) for row in rows_of(verdicts, subject.format.LABELS)]
        return Judgement(subject.name, process.version, tuple(rows), tuple(verdicts))
    finally:
        process.stop()


def _reduced(subject: Subject, row: Row) -> Row:
    """Return a row with the smallest case that has its fault, and that as Python."""
    if row.kind not in (WRONG, IGNORED):
        return row
    smallest = shrink(subject, row.verdict)
    return replace(row, verdict=smallest, script=script(subject.name, draw(smallest.design)))


def rows_of(verdicts: Iterable[CaseVerdict], labels: dict[str, str]) -> Iterator[Row]:
    """Yield a row for each feature, in the order of the cases.

    A feature is judged by the cases that have it alone. If they are right or refused, a pair of features is only
    counted against it if the other one is right alone, too.
    """
    by_feature: dict[str, list[CaseVerdict]] = {}
    alone: dict[str, list[CaseVerdict]] = {}
    for verdict in verdicts:
        features = verdict.design.rows(labels)
        for feature in features:
            by_feature.setdefault(feature, []).append(verdict)
            if len(features) == 1:
                alone.setdefault(feature, []).append(verdict)
    fine = {feature for feature, own in alone.items() if all(verdict.kind in _FINE for verdict in own)}
    for feature, of_feature in by_feature.items():
        own = alone.get(feature, [])
        blamed = list(own)
        if feature in fine or all(verdict.kind == REFUSED for verdict in own):
            others = [v for v in of_feature if {*v.design.rows(labels)} <= fine | {feature}]
            blamed += [v for v in others if feature in (labels.get(n, n) for n in v.about or v.design.attributes)]
        decisive = min(blamed or of_feature, key=_severity)
        sentences = dict.fromkeys(v.sentence for v in blamed if v.kind == decisive.kind)
        sentence = join_names(sentences, "and", most=4) if decisive.kind == IGNORED else decisive.sentence
        partners = [name for name in decisive.design.rows(labels) if name != feature]
        if partners and decisive.kind != RIGHT:
            sentence = f"with {' and '.join(partners)}: {sentence}"
        yield Row(feature, decisive.kind, sentence, len(of_feature), decisive)


_FINE = (RIGHT, ROUGH, UNDECIDED)
_ORDER = ("crashed", "timed out", "no result", WRONG, IGNORED, READING, ROUGH, "refused", UNDECIDED, RIGHT)


def _severity(verdict: CaseVerdict) -> int:
    return _ORDER.index(verdict.kind)


NUM_STEPS, BATCH_SIZE = 12, 2
_VERDICTS = {"rounding": RIGHT, "mistake": WRONG, "undecided": UNDECIDED}


def judge_models(subject: Subject, models: Iterable[Path], seed: int) -> Judgement:
    """Return the judgement of an engine on models from files, a row for each. The engine is stopped afterwards."""
    process = subject.process
    try:
        if subject.format is not onnx_model:
            return Judgement(subject.name, "", (), (), "it doesn't read ONNX models")
        contents = [(path, _bytes_of(path)) for path in models]
        if problem := process.start():
            return Judgement(subject.name, "", (), (), problem)
        verdicts = [(path, _verdict(subject, path, data, seed)) for path, data in contents]
        rows = tuple(Row(path.name, verdict.kind, verdict.sentence, 1, verdict) for path, verdict in verdicts)
        return Judgement(subject.name, process.version, rows, tuple(verdict for _, verdict in verdicts))
    finally:
        process.stop()


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise FileError(f"cannot read {path}: {problem.strerror or problem}") from None


def _verdict(subject: Subject, path: Path, data: bytes, seed: int) -> CaseVerdict:
    design = Design(feature=path.name, values=FILE, seed=seed)
    try:
        model = import_onnx().load_model_from_string(data)
    except Exception as problem:  # protobuf's own
        return CaseVerdict(design, "refused", f"gatewise cannot read it: {problem}")
    inputs = {}
    rng = np.random.default_rng(seed)
    for place, (name, shape, dtype) in enumerate(_inputs(model)):
        if dtype.kind != "f":
            return CaseVerdict(design, "refused", f"gatewise draws no input of type {dtype}, which {name} has")
        # The first input is the sequence; the others are initial states.
        inputs[name] = (rng.standard_normal(shape) if place == 0 else np.zeros(shape)).astype(dtype)
    names = [value.name for value in model.graph.output]
    if not inputs or not names:
        return CaseVerdict(design, "refused", "it has no input or no output")
    arrays: dict[str, AnyArray] = {"model": np.frombuffer(data, np.uint8), **inputs}
    reply = subject.process.run(CaseMessage({"outputs": names}, arrays))
    if reply.failure:
        return CaseVerdict(design, reply.failure, reply.message)
    try:
        found = verify(path, next(iter(inputs.values())), reply.outputs[names[0]], axes="time,batch,feature")
    except (GatewiseError, KeyError) as problem:
        return CaseVerdict(design, "refused", f"gatewise cannot compare it: {problem}")
    worst = max(found.differences, key=lambda difference: difference.excess)
    causes = found.causes or ("no single edit of the cell explains it",)
    return CaseVerdict(
        design,
        _VERDICTS[found.verdict],
        causes[0] if found.verdict == "mistake" else "",
        causes=found.causes,
        place=worst.where if found.verdict == "mistake" else "",
        difference=worst,
    )


def _inputs(model: Any) -> Iterator[tuple[str, list[int], np.dtype[Any]]]:
    """Yield the name, shape and type of each input of a model; sizes that are open get those of a short batch."""
    stored = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in stored:
            continue
        tensor = value.type.tensor_type
        shape = []
        for place, dim in enumerate(tensor.shape.dim):
            named_batch = "batch" in dim.dim_param.lower() or dim.dim_param in ("N", "B")
            is_batch = named_batch or (place == 1 and "time" not in dim.dim_param.lower())
            shape.append(dim.dim_value or (BATCH_SIZE if is_batch else NUM_STEPS))
        yield value.name, shape, import_onnx().helper.tensor_dtype_to_np_dtype(tensor.elem_type)
