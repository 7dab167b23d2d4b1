#pragma once
// Damaged files: readers must refuse them with an Error, or read them, but never crash, hang or exhaust
// memory.

#include "core/base/error.hpp"
#include "core/base/rng.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace jlcm::test {

using Bytes = std::vector<std::byte>;
using Reader = std::function<void(std::span<const std::byte>)>;

/// Whether `read` refuses the bytes with an input error; other exceptions pass through. The bytes are read
/// from a block of exactly their size, so that sanitizers see every step beyond.
inline bool refuses(const Reader& read, const Bytes& bytes) {
    const Bytes exact(bytes.begin(), bytes.end());
    try {
        read(exact);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::input) throw;
        return true;
    }
    return false;
}

/// Number of proper prefixes of `bytes` that `read` accepts.
inline int accepted_prefixes(const Reader& read, const Bytes& bytes) {
    int accepted = 0;
    for (std::size_t length = 0; length < bytes.size(); ++length)
        if (!refuses(read, Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length))))
            ++accepted;
    return accepted;
}

/// Reads `rounds` copies with one to four random changes each (a byte, a run of 0xff, an 8-byte count) within
/// the first `length` bytes; returns how many were refused.
inline int mutate(const Reader& read, const Bytes& bytes, std::size_t length, int rounds) {
    const Rng rng(11, "mutations");
    std::uint64_t draw = 0;
    const auto below = [&](std::uint64_t n) { return rng.bits(draw++) % n; };
    int refused = 0;
    for (int round = 0; round < rounds; ++round) {
        Bytes damaged = bytes;
        const auto changes = 1 + below(4);
        for (std::uint64_t change = 0; change < changes; ++change) {
            const std::size_t at = below(length);
            const auto kind = below(4);
            if (kind < 2) {
                damaged[at] = static_cast<std::byte>(below(256));
            } else {
                const auto value = kind == 2 ? std::byte{0xff} : static_cast<std::byte>(below(3));
                for (std::size_t i = at; i < at + 8 && i < length; ++i) damaged[i] = value;
            }
        }
        if (refuses(read, damaged)) ++refused;
    }
    return refused;
}

}  // namespace jlcm::test
