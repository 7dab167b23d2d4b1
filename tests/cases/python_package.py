"""The package as `pip install .` lays it out, in a directory of its own: it finds its library and its programs."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages
from programs import BIN, SOURCE, environment, need_assets

need_packages("numpy")
need_assets()
site = Path("site").resolve()
shutil.rmtree(site, ignore_errors=True)
shutil.copytree(SOURCE / "python/jlcm", site / "jlcm", ignore=shutil.ignore_patterns("__pycache__"))
subprocess.run(
    ["cmake", "--install", BIN.parent, "--component", "python", "--prefix", site], check=True, capture_output=True
)

# Each program has its script.
scripts = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]["scripts"]
programs = {path.name for path in (site / "jlcm/bin").iterdir()}
assert scripts.keys() == programs, scripts.keys() ^ programs
(site / "bin").mkdir()
for name, entry in scripts.items():
    module, function = entry.split(":")
    script = site / "bin" / name
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    script.chmod(0o755)
where = {key: value for key, value in environment().items() if key != "JLCM_PREFIX"}
where |= {"PYTHONPATH": str(site), "PATH": f"{site / 'bin'}:{os.environ['PATH']}"}
done = subprocess.run(
    [sys.executable, SOURCE / "tests/cases/support/use_package.py"],
    env=where,
    capture_output=True,
    text=True,
    check=False,
)
assert done.returncode == 0 and str(site) in done.stdout and "there was" in done.stdout, done.stdout + done.stderr

# Importing takes numpy and nothing else that is large.
code = "import sys, jlcm; print(*{name.split('.')[0] for name in sys.modules})"
loaded = subprocess.run(
    [sys.executable, "-c", code], env=where, capture_output=True, text=True, check=True
).stdout.split()
assert "numpy" in loaded and not {"torch", "transformers", "pandas", "yaml", "lm_eval", "safetensors"} & {*loaded}, (
    loaded
)

# Without its library it says what to do, and reads artifacts all the same.
shutil.rmtree(site / "jlcm/lib")
code = "import jlcm\ntry:\n    jlcm.open('x')\nexcept jlcm.SystemRefused as error:\n    print(error)"
said = subprocess.run([sys.executable, "-c", code], env=where, capture_output=True, text=True, check=True).stdout
assert "libjlcm_core.so" in said and "JLCM_PREFIX" in said, said
