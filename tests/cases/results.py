"""Every table in results/ is what the records there make, and every spec.yaml has the hash that its run recorded."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ["JLCM_SOURCE"])


def check(tree):
    done = subprocess.run([sys.executable, tree / "scripts/results.py", "--check"], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


code, said = check(SOURCE)
assert code == 0, said

# A figure that somebody changed by hand, a spec that is another run's, a record that was edited: each is told.
shutil.rmtree("copy", ignore_errors=True)
for part in ("results", "scripts", "experiments"):
    shutil.copytree(SOURCE / part, Path("copy", part))
for name, old, new, message in (
    ("README.md", r"\| this run ( *)\|( *)2", r"| this run \1|\g<2>1", "+| this run"),
    ("spec.yaml", r"bits: 2", "bits: 3", "spec.yaml is not the spec of its identity"),
    ("result.json", r'"compute": "bfloat16",', '"compute": "float32",', "does not have its hash"),
):
    file = Path("copy/results/llama_2bit", name)
    text = file.read_text()
    changed = re.sub(old, new, text)
    assert changed != text, (name, old)
    file.write_text(changed)
    code, said_of_copy = check(Path("copy").resolve())
    assert code != 0 and message in said_of_copy, said_of_copy
    file.write_text(text)
print(said.strip())
