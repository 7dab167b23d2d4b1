#include "core/formats/onnx.hpp"

#include "core/experiment/model_loader.hpp"

namespace jlcm {
namespace {

class OnnxLoader final : public ModelLoader {
  public:
    using Options = NoOptions;
    [[nodiscard]] Checkpoint load(const std::filesystem::path& path) const override {
        return read_onnx_checkpoint(path);
    }
};

const Registrar<ModelLoader, OnnxLoader> registrar{
    "onnx", "An ONNX file of opset 9 to 17: one float32 input.", "ONNX, docs/Operators.md"};

}  // namespace
}  // namespace jlcm
