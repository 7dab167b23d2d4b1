#include "core/formats/preprocess_file.hpp"

#include "core/base/error.hpp"
#include "core/base/files.hpp"
#include "core/base/hash.hpp"
#include "core/formats/json.hpp"

namespace jlcm {

void add_preprocess_file(Checkpoint& checkpoint, const std::filesystem::path& model) {
    const auto path = model.parent_path() / "preprocess.json";
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) return;
    const std::string text = read_file(path);
    try {
        checkpoint.extra["preprocess"] = parse_json(text);
        checkpoint.preprocess_file = path;
    } catch (const Error& error) {
        throw error.within(path.string());
    }
    checkpoint.sha256 = sha256(checkpoint.sha256 + sha256(text));
}

}  // namespace jlcm
