#include "core/model/model_loader.hpp"

namespace jlcm {
namespace {

class HuggingFaceLoader final : public ModelLoader {
  public:
    using Options = NoOptions;
    [[nodiscard]] Checkpoint load(const std::filesystem::path& path,
                                  const ReadOptions& options) const override {
        require_no_choice(options);
        return read_huggingface_checkpoint(path);
    }
};

const Registrar<ModelLoader, HuggingFaceLoader> registrar{
    "hf", "A Hugging Face folder: config.json, safetensors, a tokenizer."};

}  // namespace
}  // namespace jlcm
