"""kill -9 at random moments; two processes at one run; a disk that is full or read-only; input that is gone."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import ASSETS, call, command, environment, need_assets, result, run_directory
from small_run import ARGUMENTS, check_finished, fresh, undisturbed

KILLS = 50

need_assets()
began = time.monotonic()
undisturbed()
whole_seconds = time.monotonic() - began
figures = result("whole")["evaluations"]


def started(arguments):
    return subprocess.Popen(
        command("jlcm-run", *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )


def kills():
    """Processes are killed until they have been so often, at moments from their first instruction on; what gets to its
    end in between is checked, and begun again."""
    rng = random.Random(1)
    killed = finished = 0
    arguments = fresh("killed")
    while killed < KILLS:
        process = started([*arguments, "--threads", rng.choice([1, 2])])
        try:
            code = process.wait(rng.uniform(0, 0.6 * whole_seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            code = process.wait()
        if code != 0:
            assert code == -signal.SIGKILL, code
            killed += 1
            continue
        finished += 1
        check_finished("killed", f"{killed} kills")
        arguments = fresh("killed")
    call("jlcm-run", *arguments)
    check_finished("killed", f"{killed} kills")
    assert result("killed")["evaluations"] == figures
    # Killed between its last two acts.
    (run_directory("killed") / "checkpoints").mkdir()
    call("jlcm-run", *arguments)
    check_finished("killed", "a kill in the last moment")
    return finished + 1


def two_processes():
    arguments = fresh("shared")
    first = started(arguments)
    metrics = []
    while not metrics or not metrics[0].stat().st_size:
        assert first.poll() is None, "the first process ended"
        metrics = list(Path("shared").glob("*/metrics.jsonl"))
    _, said = call("jlcm-run", *arguments, code=2)
    assert "another process works on this run" in said, said
    first.kill()
    first.wait()
    # The lock's file is still there and holds nobody up.
    assert (run_directory("shared") / "lock").is_file()
    call("jlcm-run", *arguments)
    check_finished("shared", "a lock whose holder was killed")
    # Both at once from the beginning: one of them works, the other is refused or finds the run finished.
    arguments = fresh("shared")
    codes = sorted(process.wait() for process in [started(arguments), started(arguments)])
    assert codes in ([0, 0], [0, 2]), codes
    check_finished("shared", "two processes at once")


def mounted(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


def full_disk():
    """Ever more space, until the run fits: every size leaves it at another point."""
    place = Path("small_disk")
    place.mkdir(exist_ok=True)
    if not mounted("-t", "tmpfs", "-o", "size=16k", "jlcm_test", place):
        return print("SKIPPED part: tmpfs cannot be mounted (no root)")
    try:
        refusals = 0
        for kibibytes in range(16, 2048, 120):
            assert mounted("-o", f"remount,size={kibibytes}k", place)
            process = subprocess.run(
                command("jlcm-run", *ARGUMENTS, "--out", place / "out"), capture_output=True, text=True, env=environment()
            )
            if process.returncode == 0:
                break
            assert process.returncode == 3 and "No space left on device" in process.stderr, process.stderr
            refusals += 1
        assert refusals > 3, refusals
        check_finished(place / "out", f"{refusals} times a full disk")
        print(f"a disk was full {refusals} times")
    finally:
        subprocess.run(["umount", place], check=True)


def read_only():
    place = Path("read_only")
    place.mkdir(exist_ok=True)
    if not mounted("-t", "tmpfs", "-o", "ro,size=64k", "jlcm_test", place):
        return print("SKIPPED part: tmpfs cannot be mounted (no root)")
    try:
        _, said = call("jlcm-run", *ARGUMENTS, "--out", place / "out", code=3)
        assert "Read-only file system" in said, said
        _, said = call("jlcm-export", run_directory("whole") / "artifact.safetensors", place / "model", code=3)
        assert "Read-only file system" in said, said
    finally:
        subprocess.run(["umount", place], check=True)


def missing_input():
    """What a run reads is taken away, or cut short, one file after another."""
    shutil.rmtree("model", ignore_errors=True)
    shutil.copytree(ASSETS / "lm/stories260k", "model")
    arguments = [*fresh("missing"), "--set", f"model.source={Path('model').resolve()}"]
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        path = Path("model", name)
        content = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(content[: len(content) // 2])
        _, said = call("jlcm-run", *arguments, code=2)
        assert name in said or "tokenizer" in said, said
        path.unlink()
        if name != "tokenizer.json":  # there is another one, tokenizer.model
            _, said = call("jlcm-run", *arguments, code=2)
            assert "model" in said, said
        path.write_bytes(content)
    _, said = call("jlcm-run", *arguments, "--set", "calibration.dataset=nothing-of-that-name", code=2)
    assert "nothing-of-that-name" in said, said
    assert not Path("missing").exists(), "a refused run made a directory"


finished = kills()
two_processes()
full_disk()
read_only()
missing_input()
print(f"same bytes after {KILLS} kills, at the end of {finished} runs")
