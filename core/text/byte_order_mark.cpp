#include "core/text/byte_order_mark.hpp"

#include "core/base/error.hpp"

namespace jlcm {

std::string_view without_byte_order_mark(std::string_view text) {
    require(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"),
            "the file is UTF-16; save it as UTF-8");
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    return text;
}

}  // namespace jlcm
