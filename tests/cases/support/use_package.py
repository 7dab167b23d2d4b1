"""What a user of the installed package does in ten lines: opens a model, looks at it, generates, runs a program."""

import os
import subprocess
import sys
from pathlib import Path

import jlcm

folder = Path(os.environ.get("JLCM_ASSETS", ""), "lm/stories260k")
print(sys.version.split()[0], "jlcm", jlcm.version(), Path(jlcm.__file__).parent)
said = subprocess.run(["jlcm-run", "--list", "solver"], capture_output=True, text=True, check=True).stdout
assert "lnq" in said, said
if (folder / "config.json").is_file():
    model = jlcm.open(sys.argv[1] if len(sys.argv) > 1 else folder)
    print(model, next(weight for weight in model.values() if len(weight.shape) == 2))
    text = "".join(model.stream("Once upon a time", max_tokens=20))
    assert "there was" in text, text
    print(text)
