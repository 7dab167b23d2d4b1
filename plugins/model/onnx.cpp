#include "core/formats/onnx.hpp"

#include "core/model/model_loader.hpp"

namespace jlcm {
namespace {

struct OnnxLoaderOptions {
    bool fold_batch_norm = false;
    InputChoices inputs;
    void fields(Fields& v) {
        v("fold_batch_norm", fold_batch_norm,
          Doc{"Makes batch norms part of the convolutions before them: fewer operations, but weights of very "
              "different size from row to row, which codebooks that rows share suffer from."});
        v("inputs", inputs,
          Doc{"By an input's name {shape: [3, 640, 640]}, the sizes of one sample where the file leaves them open, "
              "or {value: 1}, which makes the input a constant. `model.inputs` is short for it."});
    }
};

class OnnxLoader final : public ModelLoader {
  public:
    using Options = OnnxLoaderOptions;
    explicit OnnxLoader(const Options& options) : options_(options) {}
    [[nodiscard]] Checkpoint load(const std::filesystem::path& path,
                                  const ReadOptions& options) const override {
        return read_onnx_checkpoint(
            path, {.fold_batch_norm = options_.fold_batch_norm, .read = options, .inputs = options_.inputs});
    }

  private:
    Options options_;
};

const Registrar<ModelLoader, OnnxLoader> registrar{"onnx", "An ONNX file, opset 7 and later.",
                                                   "ONNX, docs/Operators.md"};

}  // namespace
}  // namespace jlcm
