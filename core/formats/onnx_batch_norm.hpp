#pragma once
// Batch norms of ONNX models as part of the convolutions before them.

#include "core/formats/onnx_model.hpp"

namespace jlcm {

/// Folds every batch norm into the Conv whose output it alone reads: the weight's rows take its factors, the
/// bias its shift. Others stay. Jacob et al., "Quantization and training of neural networks", 2018,
/// section 3.2.
void fold_batch_norms(OnnxModel& model);

}  // namespace jlcm
