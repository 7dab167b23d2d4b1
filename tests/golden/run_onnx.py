#!/usr/bin/env python3
"""Runs an ONNX model in ONNX Runtime: run_onnx.py MODEL INPUT OUTPUT SIZE...

INPUT: raw float32 of the shape SIZE...; OUTPUT: the first output, raw float32. For tests that compare with it.
"""
import sys

import numpy as np
import onnxruntime

model, source, target, *shape = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
values = np.fromfile(source, np.float32).reshape([int(size) for size in shape])
output = session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: values})[0]
np.ascontiguousarray(output, np.float32).tofile(target)
