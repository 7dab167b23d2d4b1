"""jlcm-report for MLflow and TensorBoard, read back by both. Their packages (scripts/requirements-tracking.txt) are looked
for in the environment JLCM_TRACKING_PYTHON, by default $JLCM_CACHE/venv-tracking."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SKIPPED, call, need_assets, result, run_directory

READ_MLFLOW = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient("file://" + sys.argv[1])
(experiment,) = [e for e in client.search_experiments() if e.name == "stories260k_2bit"]
(run,) = client.search_runs([experiment.experiment_id], "params.`compress.bits` = '2' and metrics.`perplexity/compressed` > 1")
steps = [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, "learn/block-002/loss")]
print(json.dumps({
    "id": run.info.run_id, "title": run.info.run_name, "status": run.info.status, "params": run.data.params,
    "tags": run.data.tags, "metrics": run.data.metrics, "steps": steps, "seconds": (run.info.end_time - run.info.start_time) / 1e3,
    "artifacts": {f.path: f.file_size for f in client.list_artifacts(run.info.run_id)}}))
"""
READ_TENSORBOARD = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], {"scalars": 0, "tensors": 0})
events.Reload()
text = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]}
plugins = {tag: events.SummaryMetadata(tag).plugin_data.plugin_name for tag in text}
scalars = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
print(json.dumps({"text": text, "plugins": plugins, "scalars": scalars}))
"""

cache = Path(os.environ.get("JLCM_CACHE", Path.home() / ".cache/jlcm"))
python = os.environ.get("JLCM_TRACKING_PYTHON", str(cache / "venv-tracking/bin/python"))


def read(program, place):
    # A directory of one's own: MLflow makes files in the working directory.
    done = subprocess.run(
        [python, "-c", program, str(Path(place).resolve())],
        capture_output=True, text=True, env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def near(a, b):
    return len(a) == len(b) and all(x[0] == y[0] and abs(x[1] - y[1]) <= 1e-6 * abs(y[1]) for x, y in zip(a, b))


need_assets()
if not Path(python).is_file() or subprocess.run([python, "-c", "import mlflow, tensorboard"], capture_output=True).returncode:
    print(f"SKIPPED: no mlflow and tensorboard for {python} (scripts/requirements-tracking.txt)")
    sys.exit(SKIPPED)

sys.path.insert(0, str(Path(__file__).parent / "support"))
from small_run import ARGUMENTS

call("jlcm-run", *ARGUMENTS, "--out", "runs")
known = result("runs")
directory = run_directory("runs").resolve()
records = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
learned = [[r["step"], r["loss"]] for r in records if r["stage"] == "learn" and r["block"] == 2]
distilled = [[r["step"], r["loss"]] for r in records if r["stage"] == "distill"]
evaluation = known["evaluations"][0]
assert learned and distilled

for place in ("mlruns", "events"):
    shutil.rmtree(place, ignore_errors=True)
call("jlcm-report", "runs", "--format", "mlflow", "-o", "mlruns")
call("jlcm-report", "runs", "--format", "mlflow", "-o", "mlruns")  # replaces
found = read(READ_MLFLOW, "mlruns")
assert found["id"] == known["hash"][:32] and found["title"] == directory.name and found["status"] == "FINISHED", found
assert found["params"]["compress.learn.estimator.type"] == "nearest" and found["params"]["seed"] == "0", found["params"]
assert found["metrics"]["perplexity/compressed"] == evaluation["compressed"], found["metrics"]
assert found["metrics"]["perplexity/original"] == evaluation["original"]
assert found["metrics"]["footprint/file_bytes"] == known["footprint"]["file_bytes"]
assert found["tags"]["jlcm.hash"] == known["hash"] and found["tags"]["jlcm.version"] == known["environment"]["jlcm"]
assert json.loads(found["tags"]["protocol.perplexity"])["protocol"] == evaluation["protocol"]
assert near(found["steps"], learned), found["steps"]
assert found["artifacts"]["artifact.safetensors"] == known["footprint"]["file_bytes"], found["artifacts"]
assert abs(found["seconds"] - sum(stage["seconds"] for stage in known["stages"])) < 0.1

call("jlcm-report", "runs", "--format", "tensorboard", "-o", "events")
found = read(READ_TENSORBOARD, Path("events", directory.name))
assert near(found["scalars"]["distill/loss"], distilled), found["scalars"]["distill/loss"]
assert near(found["scalars"]["learn/block-002/loss"], learned)
assert near(found["scalars"]["perplexity/compressed"], [[0, evaluation["compressed"]]])
assert "estimator:" in found["text"]["spec"] and known["hash"] in found["text"]["tags"], found["text"]
assert set(found["plugins"].values()) == {"text"}
print("MLflow and TensorBoard read what was written")
