#pragma once
// Reading and completing a config.json: every value is checked, and all that is wrong is told at once.

#include "core/base/json.hpp"
#include "core/base/problems.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace jlcm {

inline constexpr std::int64_t largest_config_size = std::int64_t{1} << 30;
inline constexpr std::int64_t most_config_layers = 10000;

/// Whether the key is there and not null. False for what is no object.
[[nodiscard]] bool has_key(const nlohmann::json& config, const std::string& key);

/// Throws one input error with all problems, if there are any: a single one as it is, several as a list.
void throw_together(const ProblemList& problems);

/// Reads keys of one object and writes their values, or the defaults of those that are missing or null, back
/// into it. What is wrong goes to `problems`, under the key's name; the reading goes on with a stand-in.
class ConfigReader {
  public:
    /// `config` and `problems` must outlive the reader. `path` stands before the names of keys in messages.
    ConfigReader(nlohmann::json& config, ProblemList& problems, std::string path = "");

    [[nodiscard]] bool has(const std::string& key) const { return has_key(config_, key); }
    [[nodiscard]] nlohmann::json& config() { return config_; }
    [[nodiscard]] ProblemList& problems() { return problems_; }

    /// A whole number from 1 to `largest`. 0 after a problem.
    std::int64_t integer(const std::string& key, std::optional<std::int64_t> otherwise = {},
                         std::int64_t largest = largest_config_size);
    /// A positive, finite number. 0 after a problem.
    double positive(const std::string& key, std::optional<double> otherwise = {});
    bool flag(const std::string& key, bool otherwise = false);
    /// One of `supported`, of which the default is the first unless `otherwise` names another. `remedy`: what
    /// to do about another value.
    std::string one_of(const std::string& key, std::span<const std::string_view> supported,
                       std::string_view remedy, std::string_view otherwise = {});
    std::string one_of(const std::string& key, std::initializer_list<std::string_view> supported,
                       std::string_view remedy, std::string_view otherwise = {}) {
        return one_of(key, std::span(supported.begin(), supported.size()), remedy, otherwise);
    }
    /// A truth value that must be `supported`, which is the default.
    void require_flag(const std::string& key, bool supported, std::string_view remedy);
    /// `heads` have to share `width` equally.
    void require_whole_heads(std::int64_t width, std::int64_t heads);

    template <class... Args>
    void problem(fmt::format_string<Args...> format, Args&&... args) {
        problems_.add({}, fmt::format(format, std::forward<Args>(args)...));
    }
    /// The key as messages call it.
    [[nodiscard]] std::string name(const std::string& key) const { return path_ + key; }

  private:
    /// The value of a key that is there, as `expected` says; reports one that does not `fit`.
    template <class Fits>
    const nlohmann::json* checked(const std::string& key, bool needed, std::string_view expected,
                                  const Fits& fits);

    nlohmann::json& config_;
    ProblemList& problems_;
    std::string path_;
};

}  // namespace jlcm
