#include "apps/program.hpp"

#include "core/base/error.hpp"
#include "core/learn/diverged.hpp"
#include "core/run/run.hpp"
#include "core/tensor/memory.hpp"

#include <cstdio>
#include <new>

namespace jlcm {

int run_program(std::string_view program, const std::function<int()>& body) {
    const auto say = [&](std::string_view message) { fmt::print(stderr, "{}: {}\n", program, message); };
    const auto report = [&](std::string_view message, ErrorKind kind) {
        say(message);
        return static_cast<int>(kind);
    };
    return_large_blocks();
    try {
        return body();
    } catch (const Error& error) {
        return report(error.what(), error.kind());
    } catch (const Diverged& diverged) {
        say(diverged.what());
        return exit_not_finite;
    } catch (const std::bad_alloc&) {
        return report("out of memory; fewer calibration sequences need less", ErrorKind::system);
    } catch (const std::exception& error) {
        return report(error.what(), ErrorKind::system);
    }
}

}  // namespace jlcm
