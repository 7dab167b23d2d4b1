#!/usr/bin/env python3
"""onnx_runtime_speed.py MODEL BATCH THREADS REPETITIONS: milliseconds of a forward, the best of several."""
import sys
import time

import numpy as np
import onnxruntime

model, batch, threads, repetitions = sys.argv[1], *map(int, sys.argv[2:])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
value = session.get_inputs()[0]
x = {value.name: np.zeros([batch, *value.shape[1:]], np.float32)}
best = float("inf")
for i in range(repetitions + 1):
    begin = time.perf_counter()
    session.run(None, x)
    if i:
        best = min(best, time.perf_counter() - begin)
print(1e3 * best)
