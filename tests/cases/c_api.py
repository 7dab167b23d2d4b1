"""The C interface: examples/c is built as a project of its own, and says and generates what the programs do."""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import ASSETS, BIN, SOURCE, call, environment, need_assets

need_assets()
STORIES = ASSETS / "lm/stories260k"
reference = json.loads((STORIES / "reference.json").read_text())
for step in (["-S", SOURCE / "examples/c", "-B", "example", f"-Djlcm_DIR={BIN.parent}"], ["--build", "example"]):
    done = subprocess.run(["cmake", *map(str, step)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def run(*arguments, code=0):
    done = subprocess.run(["example/generate", *map(str, arguments)], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


printed, _ = run(STORIES, reference["prompt"])
assert reference["greedy_text"] in printed, printed
assert "512 tokens in the vocabulary, 512 in a text" in printed and "second half: " in printed, printed
assert "tensors" in printed and "mean square" in printed and "5 tokens" in printed, printed

_, said = run("missing.gguf", "x", code=2)
assert "missing.gguf" in said, said
_, said = run(SOURCE / "tests/golden/transformers/bert", "x", code=2)
assert said.strip(), said
_, said = run(STORIES, reference["prompt"] * 200, code=2)
assert "512" in said, said
