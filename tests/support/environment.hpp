#pragma once
// An environment variable that has another value for a while.

#include <cstdlib>
#include <optional>
#include <string>

namespace jlcm::test {

class Environment {
  public:
    Environment(const char* name, const std::string& value) : name_(name) {
        if (const char* old = std::getenv(name)) old_ = old;
        setenv(name, value.c_str(), 1);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    ~Environment() {
        if (old_) setenv(name_, old_->c_str(), 1);
        if (!old_) unsetenv(name_);
    }

  private:
    const char* name_;
    std::optional<std::string> old_;
};

}  // namespace jlcm::test
