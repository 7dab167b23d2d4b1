#pragma once
// What is wrong with a template: found anywhere, placed by whoever knows where, told by ChatTemplate.

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace jlcm::jinja {

/// Leaves the template's rooms as an input error with line and column.
class Problem : public std::runtime_error {
  public:
    explicit Problem(const std::string& message, std::optional<std::size_t> at = std::nullopt)
        : std::runtime_error(message), at_(at) {}
    /// Offset in the source, bytes.
    [[nodiscard]] std::optional<std::size_t> at() const { return at_; }
    /// Says where, unless that is said already.
    void place(std::size_t at) {
        if (!at_) at_ = at;
    }

  private:
    std::optional<std::size_t> at_;
};

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
    throw Problem(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void refuse_at(std::size_t at, fmt::format_string<Args...> format, Args&&... args) {
    throw Problem(fmt::format(format, std::forward<Args>(args)...), at);
}

}  // namespace jlcm::jinja
