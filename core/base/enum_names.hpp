#pragma once
// The names of an enumeration's values, as users write them.

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

}  // namespace jlcm
