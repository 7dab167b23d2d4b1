#include "core/formats/onnx.hpp"

#include "core/model/model_loader.hpp"

namespace jlcm {
namespace {

struct OnnxLoaderOptions {
    bool fold_batch_norm = false;
    void fields(Fields& v) {
        v("fold_batch_norm", fold_batch_norm,
          Doc{"Makes batch norms part of the convolutions before them: fewer operations, but weights of very "
              "different size from row to row, which codebooks that rows share suffer from."});
    }
};

class OnnxLoader final : public ModelLoader {
  public:
    using Options = OnnxLoaderOptions;
    explicit OnnxLoader(const Options& options) : options_(options) {}
    [[nodiscard]] Checkpoint load(const std::filesystem::path& path,
                                  const ReadOptions& options) const override {
        return read_onnx_checkpoint(path, {.fold_batch_norm = options_.fold_batch_norm, .read = options});
    }

  private:
    Options options_;
};

const Registrar<ModelLoader, OnnxLoader> registrar{
    "onnx", "An ONNX file of opset 9 to 17: one float32 input.", "ONNX, docs/Operators.md"};

}  // namespace
}  // namespace jlcm
