#include "core/model/model_loader.hpp"

namespace jlcm {
namespace {

class GgufLoader final : public ModelLoader {
  public:
    using Options = NoOptions;
    [[nodiscard]] Checkpoint load(const std::filesystem::path& path,
                                  const ReadOptions& options) const override {
        require_no_choice(options);
        return read_gguf_checkpoint(path);
    }
};

const Registrar<ModelLoader, GgufLoader> registrar{"gguf", "A GGUF file of a language model.",
                                                   "ggml, docs/gguf.md"};

}  // namespace
}  // namespace jlcm
