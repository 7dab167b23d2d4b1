#pragma once
// The names of an enumeration's values, as users write them.

#include <algorithm>
#include <string_view>
#include <vector>

namespace jlcm {

template <class E>
struct EnumName {
    E value;
    std::string_view name;
    std::string_view doc = {};
};
template <class E>
using EnumNames = std::vector<EnumName<E>>;

/// The name of a value that has one.
template <class E>
[[nodiscard]] std::string_view enum_name(E value) {
    const auto names = enum_names(value);
    return std::ranges::find(names, value, &EnumName<E>::value)->name;
}

}  // namespace jlcm
