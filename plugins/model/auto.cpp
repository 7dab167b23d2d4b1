#include "core/model/model_loader.hpp"

namespace jlcm {
namespace {

class AnyLoader final : public ModelLoader {
  public:
    using Options = NoOptions;
    [[nodiscard]] Checkpoint load(const std::filesystem::path& path,
                                  const ReadOptions& options) const override {
        return read_checkpoint(path, options);
    }
};

const Registrar<ModelLoader, AnyLoader> registrar{"auto",
                                                  "A folder as Hugging Face's, a file as ONNX or GGUF."};

}  // namespace
}  // namespace jlcm
