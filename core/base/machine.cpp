#include "core/base/machine.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <span>
#include <string_view>

#include <fmt/format.h>
#include <link.h>
#include <sys/stat.h>

namespace jlcm {
namespace {

std::size_t padded(std::size_t size) {
    return (size + 3) / 4 * 4;
}

/// The build id among a segment's notes, in hexadecimal; empty where there is none.
std::string build_id_of(std::span<const unsigned char> notes) {
    ElfW(Nhdr) header{};
    for (std::size_t at = 0; at + sizeof header <= notes.size();) {
        std::memcpy(&header, notes.data() + at, sizeof header);
        const std::size_t name = at + sizeof header;
        const std::size_t content = name + padded(header.n_namesz);
        at = content + padded(header.n_descsz);
        if (header.n_type != NT_GNU_BUILD_ID || at > notes.size()) continue;
        std::string id;
        for (const unsigned char byte : notes.subspan(content, header.n_descsz))
            id += fmt::format("{:02x}", byte);
        return id;
    }
    return {};
}

std::string identity(const dl_phdr_info& object) {
    for (const auto& segment : std::span(object.dlpi_phdr, object.dlpi_phnum)) {
        if (segment.p_type != PT_NOTE) continue;
        const auto* begin =
            reinterpret_cast<const unsigned char*>(object.dlpi_addr + segment.p_vaddr);  // NOLINT: an address
        if (std::string id = build_id_of({begin, segment.p_memsz}); !id.empty()) return id;
    }
    const std::string_view path = object.dlpi_name;
    struct stat status {};
    if (::stat(path.empty() ? "/proc/self/exe" : object.dlpi_name, &status) != 0) return {};
    return fmt::format("{} {} {}.{}", path.substr(path.rfind('/') + 1), status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec);
}

std::vector<std::string> loaded_code() {
    std::vector<std::string> found;
    dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t /*size*/, void* result) {
            if (std::string id = identity(*object); !id.empty())
                static_cast<std::vector<std::string>*>(result)->push_back(std::move(id));
            return 0;
        },
        &found);
    std::ranges::sort(found);
    return found;
}

/// Before main(): what libraries load when they feel like it (oneTBB does) is not always there.
const std::vector<std::string> code_at_start = loaded_code();

}  // namespace

std::string cpu_field(const std::string& name) {
    std::ifstream stream("/proc/cpuinfo");
    for (std::string line; std::getline(stream, line);) {
        if (!line.starts_with(name)) continue;
        const std::size_t at = line.find(": ");
        if (at != std::string::npos) return line.substr(at + 2);
    }
    return "unknown";
}

const std::vector<std::string>& program_code() {
    return code_at_start;
}

}  // namespace jlcm
