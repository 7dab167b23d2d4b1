#pragma once
// Several things that a user got wrong, reported as one error.

#include "core/base/error.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace jlcm {

class Refusals {
  public:
    /// Runs `check` and keeps the input error that it throws. Other errors pass.
    template <class Check>
    void check(Check&& check) {
        try {
            check();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::input) throw;
            if (const std::string message = error.what(); std::ranges::count(found_, message) == 0)
                found_.push_back(message);
        }
    }
    /// What `make` returns; nothing where it throws an input error, which is kept.
    template <class Make>
    [[nodiscard]] auto get(Make&& make) {
        std::optional<decltype(make())> made;
        check([&] { made.emplace(make()); });
        return made;
    }
    [[nodiscard]] bool empty() const { return found_.empty(); }
    /// Throws one input error with all that were kept, one below the other.
    void throw_if_any() const {
        if (found_.empty()) return;
        std::string text;
        for (const std::string& each : found_) text += (text.empty() ? "" : "\n") + each;
        throw Error(ErrorKind::input, text);
    }

  private:
    std::vector<std::string> found_;
};

}  // namespace jlcm
