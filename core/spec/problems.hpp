#pragma once
// Everything that is wrong with a spec, collected, so that the user sees all of it at once.

#include "core/spec/config.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace jlcm {

class Problems {
  public:
    /// "where: message".
    void add(const Origin& where, std::string_view message);

    /// For an options struct's `validate(Problems&) const`: something is wrong with the value of `field`, of
    /// the struct being decoded. "where: path.field: message".
    template <class... Args>
    void field(std::string_view name, fmt::format_string<Args...> format, Args&&... args) {
        add_field(name, fmt::format(format, std::forward<Args>(args)...));
    }

    /// Something is wrong with `node`, found at the path being decoded. "where: path: message".
    template <class... Args>
    void here(const Config& node, fmt::format_string<Args...> format, Args&&... args) {
        add_at_path(node.origin, fmt::format(format, std::forward<Args>(args)...));
    }
    void add_at_path(const Origin& where, std::string_view message);

    [[nodiscard]] std::size_t count() const { return found_.size(); }
    /// One line a problem, ordered by file (as first met), line and column.
    [[nodiscard]] std::string text() const;
    /// Throws one input error with all of them, if any.
    void throw_if_any() const;

    /// While it lives, messages speak of `segment` below the current path, and of `node` there.
    class Scope {
      public:
        Scope(Problems& problems, const Config& node, std::string_view segment);
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
        ~Scope();

      private:
        Problems& problems_;
    };

  private:
    struct Level {
        const Config* node;
        std::string path;
    };
    struct Found {
        Origin where;
        std::string message;
    };
    void add_field(std::string_view name, std::string_view message);

    std::vector<Level> levels_;
    std::vector<Found> found_;
};

/// The candidate that `word` most likely meant, by edits (insertion, deletion, substitution, transposition of
/// neighbours; case, '-' and '_' are no edits); empty where none is near.
[[nodiscard]] std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates);

/// `, did you mean "x"?`, or else `, expected one of a, b, c`; for a message about the unknown `word`.
[[nodiscard]] std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace jlcm
