#pragma once
// Problems of a spec: messages name the place and the path of the option.

#include "core/base/problems.hpp"
#include "core/spec/config.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace jlcm {

class Problems : public ProblemList {
  public:
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
    void add_field(std::string_view name, std::string_view message);

    std::vector<Level> levels_;
};

}  // namespace jlcm
