"""One constant in place of equal ones of a Core ML program. Every operator brings its own strides, axes and numbers: of
a small network as many bytes as a tenth of its weights. (coremltools' pass of this kind leaves small ones, and takes
tensors for equal that differ by 6e-8.)"""

from __future__ import annotations

import coremltools
import numpy as np
from coremltools.converters.mil.mil import Block, ListVar, Program, Var
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.helper import block_context_manager
from coremltools.converters.mil.mil.passes.pass_registry import register_pass

_REPLACED = "common::const_deduplication"


@register_pass(namespace="jlcm")
class share_constants(AbstractGraphPass):
    """The program's name for it is jlcm::share_constants."""

    def apply(self, program: Program) -> None:
        for function in program.functions.values():
            _share(function)


def pipeline() -> coremltools.PassPipeline:
    """What coremltools does to a program by default, with this in place of its own passes of the kind, and before all
    others, which take their time by the number of operators."""
    passes = coremltools.PassPipeline.DEFAULT
    last = len(passes.passes) - passes.passes[::-1].index(_REPLACED)
    passes.insert_pass(last, "jlcm::share_constants")
    passes.insert_pass(0, "jlcm::share_constants")
    passes.remove_passes({_REPLACED})
    return passes


@block_context_manager
def _share(block: Block) -> None:
    first: dict[tuple[object, ...], Var] = {}
    for operation in list(block.operations):
        if operation.op_type != "const" or isinstance(operation.outputs[0], ListVar):
            continue
        own = operation.outputs[0]
        value = np.asarray(own.val)
        shared = first.setdefault((str(own.dtype), value.dtype.str, value.shape, value.tobytes()), own)
        if shared is not own and own not in block.outputs:
            block.replace_uses_of_var_after_op(anchor_op=operation, old_var=own, new_var=shared)
            block.remove_ops([operation])
