"""examples/notebook.ipynb runs from its first cell to its last."""

import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from packages import need_packages
from programs import SKIPPED, SOURCE

need_packages("numpy", "pandas", "yaml", "matplotlib")
if not Path("/usr/share/datasets/fashion-mnist").is_dir():
    print("SKIPPED: Debian's package dataset-fashion-mnist is not installed")
    sys.exit(SKIPPED)
os.environ["MPLBACKEND"] = "agg"
shutil.rmtree("runs", ignore_errors=True)
for name in ("models", "configs"):
    if not Path(name).exists():
        Path(name).symlink_to(SOURCE / name)
names = {}
for cell in json.loads((SOURCE / "examples/notebook.ipynb").read_text())["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
frame = names["frame"]
assert len(frame) == 8 and len(names["runs"]) == 4
compressed = frame[frame.model == "compressed"].set_index("compress.bits")
assert compressed.value[4] > 85 and compressed.kl[1] > compressed.kl[2] > compressed.kl[4]
assert compressed.file_bytes.sort_index().is_monotonic_increasing
assert len(names["plt"].get_fignums()) == 2
