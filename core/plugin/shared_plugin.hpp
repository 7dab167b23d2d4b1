#pragma once
// The border of a shared plugin: included by core/plugin/registry.hpp in sources compiled with
// JLCM_SHARED_PLUGIN. A shared plugin exports two C symbols:
//   jlcm_plugin_abi       text "jlcm plugin ABI: <build id>", which the loader reads from the file before it
//   lets any
//                         of its code run;
//   jlcm_plugin_register  registers the plugins of the library.

#include <functional>
#include <vector>

#ifndef JLCM_BUILD_ID
#include "jlcm_build_id.hpp"
#endif

namespace jlcm::shared_plugin {

/// The registrations of this library, kept until the loader asks for them. Hidden: every library has its own.
[[gnu::visibility("hidden")]] inline std::vector<std::function<void()>>& pending() {
    static std::vector<std::function<void()>> registrations;
    return registrations;
}

}  // namespace jlcm::shared_plugin

extern "C" {
[[gnu::visibility("default"), gnu::used]] inline constexpr char jlcm_plugin_abi[] =
    "jlcm plugin ABI: " JLCM_BUILD_ID;

[[gnu::visibility("default"), gnu::used]] inline void jlcm_plugin_register() {
    for (const auto& registration : jlcm::shared_plugin::pending()) registration();
}
}
