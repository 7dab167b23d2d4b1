"""The launcher slurm against a real cluster of one node: runs, block tasks, time limits, preemption, interrupts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SKIPPED, SOURCE, call, command, environment, need_assets

need_assets()
CLUSTER = str(Path(__file__).parent / "support/slurm.sh")
shutil.rmtree("cluster", ignore_errors=True)
started = subprocess.run([CLUSTER, "start", "cluster", "2"], capture_output=True, text=True)
if started.returncode == SKIPPED:
    print(started.stdout.strip())
    sys.exit(SKIPPED)
assert started.returncode == 0, started.stderr
os.environ["SLURM_CONF"] = str(Path("cluster/slurm.conf").resolve())

SPEC = f"""
name: small
base: {SOURCE}/configs/stories260k_2bit.yaml
set:
  evaluate.0.windows: 2
  calibration.sequences: 16
  compress.learn: {{inputs: original, steps: STEPS}}
  compress.distill.steps: 5
  checkpoint_minutes: 60
grid: {{compress.bits: [2, 3]}}
"""
QUICK = ["--set", "launcher.type=slurm", "--set", "launcher.poll_seconds=0.1", "--set", "launcher.memory_gib=1"]


def spec(steps):
    name = f"sweep{steps}.yaml"
    Path(name).write_text(SPEC.replace("STEPS", str(steps)))
    return name


def manifest(out):
    return json.loads(Path(out, "small.sweep.json").read_text())["runs"]


def check_same(out, other):
    for run in manifest(out):
        assert run["state"] == "finished", run
        for name in ("artifact.safetensors", "metrics.jsonl"):
            one, two = (Path(place, run["directory"], name).read_bytes() for place in (out, other))
            assert one == two, (out, run["directory"], name)


def jobs():
    found = subprocess.run(["squeue", "--noheader", "--array", "--format=%i %T"], capture_output=True, text=True)
    return dict(line.split() for line in found.stdout.splitlines())


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, (jobs(), Path("cluster/slurmctld.log").read_text()[-2000:])
        time.sleep(0.05)


def sweep(spec, *arguments):
    # Another type of launcher drops the options of the one before: the type comes first.
    return subprocess.Popen(
        command("jlcm-sweep", spec, *QUICK, *arguments), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def is_learning(out, runs=1):
    return lambda: sum(b"learn" in path.read_bytes() for path in Path(out).glob("*/metrics.jsonl")) >= runs


try:
    for out in ("local", "whole", "parts", "long", "limited", "preempted", "left", "cancelled", "failing"):
        shutil.rmtree(out, ignore_errors=True)
    short, long = spec(4), spec(400)
    call("jlcm-sweep", short, "--out", "local")
    call("jlcm-sweep", long, "--out", "long")

    # Array tasks, one a run; one at a time.
    printed, said = call("jlcm-sweep", short, "--out", "whole", *QUICK, "--set", "launcher.processes=1")
    assert "2 runs, 2 finished (0 before), 0 failed" in printed and "[2/2]" in said, (printed, said)
    check_same("whole", "local")

    # The blocks of each run as tasks of their own, and the rest behind them.
    printed, said = call("jlcm-sweep", short, "--out", "parts", *QUICK, "--set", "launcher.block_tasks=3")
    assert "2 finished" in printed and "3 parts of one run" in said, (printed, said)
    check_same("parts", "local")
    for run in manifest("parts"):
        assert "are done" in Path("parts", run["directory"], "output-part-3.txt").read_text()
        stages = json.loads(Path("parts", run["directory"], "result.json").read_text())["stages"]
        assert {"solve", "learn", "distill"} <= {stage["name"] for stage in stages}, stages

    # A run that fails is told.
    printed, _ = call("jlcm-sweep", short, "--out", "failing", *QUICK, "--set", "set.calibration.length=4096", code=4)
    assert "2 failed" in printed and "beyond the model's 512" in printed, printed

    # Shortly before its time limit a run saves its state, is queued again, and goes on.
    process = sweep(
        long, "--out", "limited", "--set", "launcher.time=1", "--set", "launcher.save_seconds=57", "--threads", "1",
        "--only", "bits=2",
    )  # fmt: skip
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, (printed, said)
    logs = "".join(path.read_text() for path in Path("limited").glob("*/log.txt"))
    restarts = logs.count("memory planned") - 1
    (run,) = (run for run in manifest("limited") if run["state"] == "finished")
    for name in ("artifact.safetensors", "metrics.jsonl"):
        one, two = (Path(place, run["directory"], name).read_bytes() for place in ("limited", "long"))
        assert one == two, name

    # A job of a higher partition pushes runs aside; they save their state, and go on behind it.
    process = sweep(long, "--out", "preempted")
    wait_for(is_learning("preempted", 2))
    subprocess.run(["sbatch", "--partition=high", "--cpus-per-task=2", "--mem=100M", "--output=/dev/null", "--wrap=sleep 2"],
                   check=True, capture_output=True)  # fmt: skip
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, (printed, said)
    assert any(list(path.glob("log.txt")) and path.joinpath("log.txt").read_text().count("memory planned") > 1
               for path in Path("preempted").iterdir() if path.is_dir()), "nothing was preempted"  # fmt: skip
    check_same("preempted", "long")

    # Ctrl-C: left to SLURM, and found again by the same command.
    process = sweep(long, "--out", "left")
    wait_for(is_learning("left"))
    before = set(jobs())
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "still run" in printed, (process.returncode, printed, said)
    assert set(jobs()) == before != set(), (before, jobs())
    printed, said = call("jlcm-sweep", long, "--out", "left", *QUICK)
    assert "runs are there from before" in said and "2 finished" in printed, (printed, said)
    check_same("left", "long")

    # Or cancelled, with the state saved.
    process = sweep(long, "--out", "cancelled", "--set", "launcher.on_interrupt=cancel")
    wait_for(is_learning("cancelled"))
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 130 and not jobs(), (process.returncode, printed, said, jobs())
    assert list(Path("cancelled").glob("*/checkpoints/learning-*")), list(Path("cancelled").glob("*/checkpoints/*"))
    call("jlcm-sweep", long, "--out", "cancelled", *QUICK)
    check_same("cancelled", "long")
finally:
    subprocess.run([CLUSTER, "stop", "cluster"], check=False)
print(f"arrays, block tasks, a time limit ({restarts} restarts), preemption, interrupts")
