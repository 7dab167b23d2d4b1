#pragma once
// JSON, with integers that are read from integers in range only. The library casts any number, which is
// undefined behaviour for 1e300 in a damaged file. Included in place of <nlohmann/json.hpp> everywhere.

#include <cmath>
#include <concepts>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nlohmann {

/// Throws json::type_error for what is no number, json::out_of_range for fractions and for numbers beyond T.
template <std::integral T>
    requires(!std::same_as<T, bool>)
struct adl_serializer<T, void> {
    template <class Json>
    static void from_json(const Json& json, T& value) {
        const auto take = [&](auto number) {
            if (!std::in_range<T>(number)) refuse(json);
            value = static_cast<T>(number);
        };
        if (json.is_number_unsigned()) return take(json.template get_ref<const std::uint64_t&>());
        if (json.is_number_integer()) return take(json.template get_ref<const std::int64_t&>());
        if (!json.is_number())
            throw detail::type_error::create(
                302, fmt::format("type must be number, but is {}", json.type_name()), &json);
        const double number = json.template get_ref<const double&>();
        // Below 2^53 whole numbers are exact.
        if (!(std::abs(number) < 9007199254740992.0) || number != std::floor(number)) refuse(json);
        take(static_cast<std::int64_t>(number));
    }
    template <class Json>
    static void to_json(Json& json, T value) {
        ::nlohmann::to_json(json, value);
    }

  private:
    template <class Json>
    [[noreturn]] static void refuse(const Json& json) {
        throw detail::out_of_range::create(
            401,
            fmt::format("{} is no integer from {} to {}", json.dump(), std::numeric_limits<T>::min(),
                        std::numeric_limits<T>::max()),
            &json);
    }
};

}  // namespace nlohmann
