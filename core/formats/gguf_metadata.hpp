#pragma once
// The metadata of a GGUF file that belong to its architecture.

#include "core/base/problems.hpp"
#include "core/formats/gguf.hpp"

#include <map>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace jlcm {

/// Metadata of "ARCHITECTURE.", one key after another; what nobody asked for is refused at the end.
class ArchitectureMetadata {
  public:
    /// `gguf` and `problems` must outlive it.
    ArchitectureMetadata(const Gguf& gguf, const std::string& architecture, ProblemList& problems);

    /// The value as a number that JSON can carry on, null if there is none.
    [[nodiscard]] nlohmann::json number(const std::string& key);
    [[nodiscard]] std::string string(const std::string& key, const std::string& otherwise);
    [[nodiscard]] bool flag(const std::string& key, bool otherwise);
    void refuse_the_rest();

    template <class... Args>
    void problem(fmt::format_string<Args...> format, Args&&... args) {
        problems_.add({}, fmt::format(format, std::forward<Args>(args)...));
    }
    [[nodiscard]] ProblemList& problems() { return problems_; }
    /// The key as the file has it.
    [[nodiscard]] std::string full(const std::string& key) const { return prefix_ + key; }

  private:
    const GgufValue* take(const std::string& key);

    std::string prefix_;
    std::map<std::string, const GgufValue*> left_;
    ProblemList& problems_;
};

/// Exact if a shorter decimal means the same float: 1e-05, not 9.999999747378752e-06.
[[nodiscard]] double shortest(float value);

/// The tensor of that name; null if there is none.
[[nodiscard]] const StoredTensor* find_tensor(const Gguf& gguf, std::string_view name);

}  // namespace jlcm
