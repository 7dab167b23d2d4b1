"""Runs and sweeps from Python: they start the programs, show what these say, and read the records.

>>> run = jlcm.run("configs/llama_2bit.yaml", set={"compress.bits": 3})
>>> run.model()                                  # the artifact, opened
>>> jlcm.sweep({"name": "bits", "base": "configs/llama_2bit.yaml", "grid": {"compress.bits": [2, 3, 4]}})
>>> jlcm.results("runs/bits")                    # a pandas frame
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jlcm import _library
from jlcm.errors import Error, InputError, InternalError, Stopped, SystemRefused, require
from jlcm.model import Model

if TYPE_CHECKING:
    import pandas

Spec = str | os.PathLike[str] | Mapping[str, Any]
"""A YAML file, or what one would hold."""
Settings = Mapping[str, Any]
"""Values of the spec by their key, as --set takes them: {"compress.bits": 3}."""

_ERRORS: dict[int, type[Error]] = {2: InputError, 3: SystemRefused, 4: Error, 130: Stopped}
_NOT_FINITE = 5


@dataclass(frozen=True)
class Run:
    """A run's directory."""

    path: Path
    labels: dict[str, str] = field(default_factory=dict)
    """Of a run of a sweep: the value of each axis."""

    @property
    def artifact(self) -> Path:
        """The compressed model."""
        return self.path / "artifact.safetensors"

    def model(self) -> Model:
        """The compressed model, opened."""
        return Model(self.artifact)

    @property
    def result(self) -> dict[str, Any]:
        """The record, docs/result.md."""
        return json.loads((self.path / "result.json").read_text())

    def metrics(self) -> list[dict[str, Any]]:
        """What was logged of every step."""
        return [json.loads(line) for line in (self.path / "metrics.jsonl").read_text().splitlines()]


def run(
    spec: Spec,
    set: Settings | None = None,
    *,
    out: str | os.PathLike[str] = "runs",
    threads: int | None = None,
    progress: bool = True,
    arguments: Sequence[str] = (),
) -> Run:
    """Compresses a model as a spec says (jlcm-run); starts the run, resumes it, or finds it finished.

    set: values of the spec. out: where run directories are made. progress: print what the program says. arguments:
    further options of jlcm-run. An interrupt stops the run so that the same call goes on with it. A run that diverged, or
    has figures that are not finite, is returned with a warning.
    """
    with _spec_file(spec) as file:
        options = [*_options(set, threads), "--out", os.fspath(out), *arguments]
        printed = _start("jlcm-run", [file, *options], progress)
    return Run(Path(printed[-1]))


def sweep(
    sweep: Spec,
    set: Settings | None = None,
    *,
    only: Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: bool = True,
    arguments: Sequence[str] = (),
) -> list[Run]:
    """Runs every combination of settings that a sweep describes (jlcm-sweep); returns the finished runs with their labels.

    only: these values of axes. out: runs/NAME if it is not given. A run that fails does not stop the others, and is an
    Error in the end.
    """
    chosen = [f"{axis}={_joined(values)}" for axis, values in (only or {}).items()]
    options = [part for each in chosen for part in ("--only", each)]
    with _spec_file(sweep) as file:
        options += [*_options(set, threads), *(["--out", os.fspath(out)] if out is not None else []), *arguments]
        printed = _start("jlcm-sweep", [file, *options], progress)
    manifest = Path(printed[-1])
    runs = json.loads(manifest.read_text())["runs"]
    return [Run(manifest.parent / each["directory"], each["labels"]) for each in runs if each["state"] == "finished"]


def evaluate(
    model: str | os.PathLike[str],
    task: str = "perplexity",
    set: Settings | None = None,
    *,
    original: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: bool = False,
    arguments: Sequence[str] = (),
) -> dict[str, Any]:
    """Figures of a model or an artifact with their protocol (jlcm-eval); returns the record, as result.json has it.

    task: perplexity, zero_shot, embedding, classification, ... set: its options, {"dataset": "my.txt", "context": 512}.
    original: a model to compare with: KL and agreement. arguments: further options, ["--compute", "float32"].
    """
    options = [*_options(set, threads), *(["--original", os.fspath(original)] if original is not None else [])]
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "record.json")
        given = [os.fspath(model), "--task", task, *options, "--json", str(record), *arguments]
        _start("jlcm-eval", given, progress)
        return json.loads(record.read_text())


def results(
    pattern: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = "runs/**",
    *,
    settings: Sequence[str] = (),
) -> pandas.DataFrame:
    """A pandas frame with one row per run and figure: of each evaluation and each model (original, compressed, ...).

    pattern: directories, or patterns of them, below which finished runs are searched. settings: keys of the spec
    ("compress.bits") that get a column each. Columns: `run`, `name`, `seed`, the axes of the sweep that made the run, its
    settings; `evaluation`, `title`, `metric`, `higher_is_better`, `model`, `value`, `stderr`, `kl`, `agreement`, and other
    figures of the evaluation; `bits_per_weight` (of linear weights), `file_bits_per_weight`, `file_bytes` (of the
    artifact), `seconds`, `peak_memory_bytes`; `protocol.*`: figures are comparable if these are equal. A figure that is
    not finite is nan or inf.
    """
    import pandas

    given = [pattern] if isinstance(pattern, (str, os.PathLike)) else list(pattern)
    directories = {Path(found) for each in given for found in glob.glob(os.fspath(each), recursive=True)}
    records = {record.resolve(): record for directory in directories for record in directory.rglob("result.json")}
    labels = _labels({record.parent.parent for record in records.values()})
    rows = [
        row
        for record in sorted(records.values())
        for row in _rows(record.parent, labels.get(record.parent, {}), settings)
    ]
    return pandas.DataFrame(rows)


def _rows(directory: Path, labels: dict[str, str], settings: Sequence[str]) -> Iterator[dict[str, Any]]:
    record = Run(directory).result
    footprint = record["footprint"] or {}
    about = {"run": str(directory), "name": record["name"], "seed": record["seed"], **labels}
    about |= _settings(directory, settings)
    costs = {
        "bits_per_weight": footprint.get("linear_bits_per_weight"),
        "file_bits_per_weight": footprint.get("file_bits_per_weight"),
        "file_bytes": footprint.get("file_bytes"),
        "seconds": sum(stage["seconds"] for stage in record["stages"]),
        "peak_memory_bytes": max((stage["peak_memory_bytes"] for stage in record["stages"]), default=None),
    }
    for evaluation in record["evaluations"]:
        names = {"name": "evaluation", "title": "title", "metric": "metric", "higher_is_better": "higher_is_better"}
        measured = {column: evaluation[key] for key, column in names.items()}
        protocol = {f"protocol.{key}": _scalar(value) for key, value in evaluation["protocol"].items()}
        for model, figures in evaluation["models"].items():
            yield {**about, **measured, "model": model, **_figures(figures), **costs, **protocol}


def _figures(figures: dict[str, Any]) -> dict[str, Any]:
    not_finite = figures.get("not_finite", {})
    numbers = {key: value for key, value in figures.items() if not isinstance(value, (dict, list))}
    return numbers | {key: float(value) for key, value in not_finite.items()}


def _labels(folders: Iterable[Path]) -> dict[Path, dict[str, str]]:
    """What the sweeps in `folders` call their runs. If two have a run, it is what the first by name calls it."""
    labels: dict[Path, dict[str, str]] = {}
    for folder in folders:
        for manifest in sorted(folder.glob("*.sweep.json")):
            for each in json.loads(manifest.read_text())["runs"]:
                labels.setdefault(folder / each["directory"], each["labels"])
    return labels


def _settings(directory: Path, keys: Sequence[str]) -> dict[str, Any]:
    if not keys:
        return {}
    import yaml

    spec = yaml.safe_load((directory / "spec.yaml").read_text())
    found = {}
    for key in keys:
        value = spec
        for part in key.split("."):
            at = value[int(part)] if isinstance(value, list) and part.isdigit() and int(part) < len(value) else None
            value = value.get(part) if isinstance(value, dict) else at
        found[key] = _scalar(value)
    return found


def _scalar(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value


def _joined(values: Any) -> str:
    return ",".join(map(str, values)) if isinstance(values, (list, tuple)) else str(values)


def _options(set_: Settings | None, threads: int | None) -> list[str]:
    options = [part for key, value in (set_ or {}).items() for part in ("--set", f"{key}={json.dumps(value)}")]
    return options + (["--threads", str(threads)] if threads is not None else [])


@contextlib.contextmanager
def _spec_file(spec: Spec) -> Iterator[str]:
    """A file of the spec; one that is made lies in the current directory, which paths in it are relative to."""
    if not isinstance(spec, Mapping):
        yield os.fspath(spec)
        return
    with tempfile.NamedTemporaryFile("w", dir=".", prefix="spec-", suffix=".yaml") as file:
        json.dump(dict(spec), file)  # JSON is YAML
        file.flush()
        yield file.name


def _program(name: str) -> Path:
    path = _library.prefix() / "bin" / name
    require(path.is_file(), f"there is no program {path}: install jlcm, or name its folder by JLCM_PREFIX")
    return path


def _start(program: str, arguments: list[str], progress: bool) -> list[str]:
    """Runs to the end; the lines of its result. Raises what the program reports."""
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            [str(_program(program)), *arguments], stdout=printed, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        said = []
        try:
            for line in process.stderr or ():
                said.append(line)
                if progress:
                    print(line, end="", flush=True)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            raise
        finally:
            code = process.wait()
        printed.seek(0)
        lines = printed.read().splitlines()
    if progress:
        print("\n".join(lines), flush=True)
    if code in (0, _NOT_FINITE):
        if code:
            warnings.warn(_reported(program, said), stacklevel=3)
        return lines
    raise _ERRORS.get(code, InternalError)(_reported(program, said))


def _reported(program: str, said: list[str]) -> str:
    """The program's last message, without its name."""
    first = max((i for i, line in enumerate(said) if line.startswith(f"{program}: ")), default=0)
    return "".join(said[first:]).removeprefix(f"{program}: ").strip()


def program() -> None:
    """The command line of the program of this name, for the scripts of an installed package."""
    path = str(_program(Path(sys.argv[0]).name))
    os.execv(path, [path, *sys.argv[1:]])
