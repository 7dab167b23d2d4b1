#pragma once
// Everything that is wrong with what a user gave, collected, so that all of it is seen at once.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace jlcm {

/// Where a value was written. Lines and columns count from 1; line 0: the source has no lines.
struct Origin {
    std::string source;  ///< a file as the user named it, "--set a.b=c", or "default"
    int line = 0;
    int column = 0;  ///< 0: the line as a whole

    /// "run.yaml:3:9", "items.jsonl:3", "--set a.b=c", "default".
    [[nodiscard]] std::string str() const;
};

class ProblemList {
  public:
    /// "where: message".
    void add(const Origin& where, std::string_view message);

    [[nodiscard]] std::size_t count() const { return found_.size(); }
    /// One line a problem, ordered by file (as first met), line and column.
    [[nodiscard]] std::string text() const;
    /// Throws one input error with all of them, if any.
    void throw_if_any() const;

  private:
    struct Found {
        Origin where;
        std::string message;
    };
    std::vector<Found> found_;
};

/// The candidate that `word` most likely meant, by edits (insertion, deletion, substitution, transposition of
/// neighbours; case, '-' and '_' are no edits); empty where none is near.
[[nodiscard]] std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates);

/// `, did you mean "x"?`, or else `, expected one of a, b, c`; for a message about the unknown `word`.
[[nodiscard]] std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace jlcm
