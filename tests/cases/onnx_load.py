"""What an ONNX file takes to be opened: no more than 2.2 times its size in memory, whether its batch is open or fixed."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import SKIPPED, command, environment

WIDTH, LAYERS = 1024, 20


def build(batch, path):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    nodes, weights = [], []
    for i in range(LAYERS):
        weights.append(numpy_helper.from_array(random.normal(size=(WIDTH, WIDTH), scale=1 / 32).astype(np.float32), f"w{i}"))
        nodes += [helper.make_node("MatMul", [f"r{i}", f"w{i}"], [f"m{i}"], name=f"m{i}"), helper.make_node("Relu", [f"m{i}"], [f"r{i + 1}"], name=f"r{i}")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, WIDTH]) for name in ("r0", f"r{LAYERS}")]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


if sys.argv[1:]:
    try:
        build(int(sys.argv[1]) or "n", sys.argv[2])
    except ImportError:
        print("SKIPPED: no ONNX (JLCM_PYTHON)")
        sys.exit(SKIPPED)
    sys.exit()
for batch in (0, 1):
    path = Path(f"large_{batch}.onnx")
    # By another process: what a child has in memory begins with what its parent has.
    if subprocess.run([sys.executable, __file__, str(batch), path]).returncode == SKIPPED:
        sys.exit(SKIPPED)
    child = subprocess.Popen(command("jlcm-inspect", path, "--kernels"), stdout=subprocess.DEVNULL, env=environment())
    _, code, usage = os.wait4(child.pid, 0)
    child.returncode = code
    size = path.stat().st_size
    print(f"{path}: {size / 1e6:.0f} MB, {usage.ru_maxrss / 1000:.0f} MB in memory, {usage.ru_utime + usage.ru_stime:.2f} s of a processor")
    assert code == 0 and usage.ru_maxrss * 1024 < 2.2 * size, (code, usage.ru_maxrss * 1024 / size)
    path.unlink()
