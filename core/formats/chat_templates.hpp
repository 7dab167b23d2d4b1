#pragma once
// The chat templates that a model's files hold.

#include "core/formats/checkpoint.hpp"

#include <map>
#include <string>

namespace jlcm {

/// The model's chat templates by name; "default" is the one that counts unless a name is given.
[[nodiscard]] std::map<std::string, std::string> chat_templates(const Checkpoint& model);

}  // namespace jlcm
