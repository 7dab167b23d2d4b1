"""Two networks as their projects ship them: all outputs equal ONNX Runtime's, and they compress at 4 bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import BIN, SKIPPED, SOURCE

try:
    import onnxruntime  # noqa: F401
except ImportError:
    print("SKIPPED: no ONNX Runtime (JLCM_PYTHON)")
    sys.exit(SKIPPED)
CACHE = Path(os.environ.get("JLCM_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jlcm")
NETWORKS = ["magika.onnx", "silero_vad_op18_ifless.onnx"]
if not all((CACHE / "zoo" / name).is_file() for name in NETWORKS):
    print("SKIPPED: the networks are not in the cache (scripts/fetch_zoo.sh)")
    sys.exit(SKIPPED)

folder = Path("networks")
folder.mkdir(exist_ok=True)
for name in NETWORKS:
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(CACHE / "zoo" / name)
subprocess.run([sys.executable, SOURCE / "scripts/zoo.py", folder, "zoo", "--bin", BIN, "--bits", "4"], check=True)
records = {each["file"]: each for each in json.loads(Path("zoo.json").read_text())}
assert sorted(records) == NETWORKS, sorted(records)
for name, record in records.items():
    assert record["equal"] and record["all_outputs"], record
    assert 0 < record["compressed"]["file_bytes"] < record["bytes"] / 3, record
