"""jlcm-sweep: every run of it, none twice, a failing one does not stop the others, stopped ones go on."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SOURCE, call, command, environment, need_assets

need_assets()
for place in ("out", "single", "stopped"):
    shutil.rmtree(place, ignore_errors=True)
SPEC = f"""
name: small
base: {SOURCE}/configs/stories260k_2bit.yaml
set: {{evaluate.0.windows: 2, calibration.sequences: 16, compress.distill: null, compress.learn.steps: 4}}
grid:
  kind:
    learned: {{grid: {{compress.learn.estimator: {{near: nearest, fixed: frozen}}}}}}
    plain: {{set: {{compress.learn: null}}}}
  compress.bits: [2, 3]
exclude: [{{estimator: fixed, bits: 3}}]
"""
Path("sweep.yaml").write_text(SPEC)


def manifest(out):
    return json.loads(Path(out, "small.sweep.json").read_text())


printed, _ = call("jlcm-sweep", "sweep.yaml", "--out", "out", "--dry-run")
assert "5 runs, 0 finished" in printed and printed.count("small-") == 5, printed
assert not Path("out").exists()

printed, said = call("jlcm-sweep", "sweep.yaml", "--out", "out", "--set", "launcher.processes=2")
assert "5 runs, 5 finished (0 before), 0 failed, 0 not run" in printed, printed
assert "[5/5]" in said, said
record = manifest("out")
assert record["axes"] == ["kind", "estimator", "bits"], record
assert [run["labels"] for run in record["runs"]][0] == {"kind": "learned", "estimator": "near", "bits": "2"}
for run in record["runs"]:
    result = json.loads(Path("out", run["directory"], "result.json").read_text())
    assert run["state"] == "finished" and result["hash"] == run["hash"], run

# A run of a sweep is the run that jlcm-run makes: same directory, same bytes.
first = record["runs"][0]["directory"]
settings = ["name=small", "evaluate.0.windows=2", "calibration.sequences=16", "compress.distill=null"]
settings += ["compress.learn.steps=4", "compress.learn.estimator=nearest", "compress.bits=2"]
settings = [argument for setting in settings for argument in ("--set", setting)]
call("jlcm-run", SOURCE / "configs/stories260k_2bit.yaml", *settings, "--out", "single")
for name in ("artifact.safetensors", "metrics.jsonl", "spec.yaml"):
    assert Path("single", first, name).read_bytes() == Path("out", first, name).read_bytes(), name

# What is finished is not repeated; what is lost is done again.
times = {path: path.stat().st_mtime_ns for path in Path("out").glob("*/result.json")}
lost = Path("out", record["runs"][4]["directory"])
shutil.rmtree(lost)
printed, _ = call("jlcm-sweep", "sweep.yaml", "--out", "out")
assert "5 finished (4 before)" in printed, printed
assert all(path.stat().st_mtime_ns == at for path, at in times.items() if path.parent != lost)

# A run that fails is named, the others are done, and the exit code tells.
Path("failing.yaml").write_text(
    "include: sweep.yaml\ngrid:\n  kind: {broken: {set: {calibration.length: 4096}}}\nexclude: [{estimator: [near, fixed]}]\n"
)
printed, said = call("jlcm-sweep", "failing.yaml", "--out", "out", code=4)
assert "4 runs, 2 finished (2 before), 2 failed, 0 not run" in printed, printed
assert "failed: kind=broken bits=2: jlcm-run: windows of 4096 tokens are beyond the model's 512" in printed, printed
assert {run["state"] for run in manifest("out")["runs"]} == {"finished", "failed"}

# A subset; and mistakes.
printed, _ = call("jlcm-sweep", "sweep.yaml", "--out", "out", "--dry-run", "--only", "bits=2", "--only", "estimator=near,fixed")
assert "2 runs, 2 finished" in printed, printed
_, said = call("jlcm-sweep", "sweep.yaml", "--out", "out", "--only", "bit=2", code=2)
assert 'there is no axis "bit", did you mean "bits"?' in said, said
_, said = call("jlcm-sweep", "sweep.yaml", "--out", "out", "--set", "grid.compress.bits=[2, 9]", code=2)
_, said = call("jlcm-sweep", "sweep.yaml", "--set", "set.compress.learn.stops=3", code=2)
assert "the run kind=learned" in said and 'did you mean "steps"' in said, said

# Ctrl-C: the run under way saves its state, and no process is left; the same command ends in the same bytes.
def runs_of(out):
    found = subprocess.run(["pgrep", "-f", f"jlcm-run .*{out}"], capture_output=True, text=True)
    return found.stdout.split()


arguments = ["jlcm-sweep", "sweep.yaml", "--out", str(Path("stopped").resolve()), "--set", "launcher.processes=2"]
for how, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    before = len(list(Path("stopped").glob("*/result.json")))
    while process.poll() is None and len(list(Path("stopped").glob("*/result.json"))) == before:
        time.sleep(0.002)
    process.send_signal(how)
    assert process.wait() == code, process.returncode
    for _ in range(200):  # after a kill -9 the runs hear of it from the system
        if not runs_of(Path("stopped").resolve()):
            break
        time.sleep(0.02)
    assert not runs_of(Path("stopped").resolve())
call(*arguments)
for run in manifest("stopped")["runs"]:
    for name in ("artifact.safetensors", "metrics.jsonl"):
        one, other = (Path(out, run["directory"], name).read_bytes() for out in ("stopped", "out"))
        assert one == other, (run, name)
print("5 runs by jlcm-sweep as by jlcm-run, after a failure, an interrupt and a kill")
