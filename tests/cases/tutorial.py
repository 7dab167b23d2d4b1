"""Every command of docs/tutorial.md, in its order, in a tree that holds what the tutorial says it needs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages
from programs import BIN, SOURCE, SKIPPED, environment

need_packages("numpy")
if not Path("/usr/share/datasets/fashion-mnist").is_dir():
    print("SKIPPED: Debian's package dataset-fashion-mnist is not installed")
    sys.exit(SKIPPED)

tree = Path("tree")
shutil.rmtree(tree, ignore_errors=True)
(tree / "build").mkdir(parents=True)
for name in ("README.md", "docs", "models", "bench"):
    (tree / name).symlink_to(SOURCE / name)
(tree / "build/bin").symlink_to(BIN)

text = (SOURCE / "docs/tutorial.md").read_text()
commands = []
for kind, content in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
    if kind == "yaml":
        name = re.match(r"# (\S+\.yaml)\n", content).group(1)
        (tree / name).write_text(content)
    else:
        assert kind == "sh", f"a block of {kind!r} that is not run"
        commands.append(content)
script = "set -eu\n" + "".join(commands)
path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # python3 is the one that has numpy
done = subprocess.run(["bash", "-x", "-c", script], cwd=tree, capture_output=True, text=True, env={**environment(), "PATH": path})
assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

assert "perplexity" in done.stdout and "top-1" in done.stdout, done.stdout
for file in ("my-llama-3bit/config.json", "my-report.html", "my-network.onnx", "my-network-compact.onnx"):
    assert (tree / file).stat().st_size > 0, file
assert len(list((tree / "runs/my-sweep").glob("*/result.json"))) == 3
print(f"{script.count(chr(10)) - 1} commands of the tutorial ran")
