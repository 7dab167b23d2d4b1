#include "apps/conversation.hpp"

#include "core/base/error.hpp"
#include "core/base/interrupt.hpp"
#include "core/base/log.hpp"
#include "core/text/utf8.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include <poll.h>
#include <unistd.h>

namespace jlcm {
namespace {

using Json = nlohmann::ordered_json;

/// Lines of the standard input. Signals interrupt the waiting.
class LineReader {
  public:
    /// Nothing at the end of input, or where a stop was asked for.
    std::optional<std::string> next() {
        while (true) {
            if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
                std::string line = buffer_.substr(0, end);
                buffer_.erase(0, end + 1);
                if (line.ends_with('\r')) line.pop_back();
                return line;
            }
            if (!read_more()) break;
        }
        if (interrupt_requested() || buffer_.empty()) return std::nullopt;
        return std::exchange(buffer_, {});
    }

  private:
    bool read_more() {
        // A signal that comes just before poll() is seen a moment later.
        constexpr int milliseconds = 200;
        pollfd input{STDIN_FILENO, POLLIN, 0};
        while (!interrupt_requested()) {
            const int ready = ::poll(&input, 1, milliseconds);
            if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
            std::array<char, 4096> bytes{};
            const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
            if (count < 0 && errno == EINTR) continue;
            require(count >= 0, "the standard input cannot be read: {}", std::strerror(errno));
            buffer_.append(bytes.data(), static_cast<std::size_t>(count));
            return count > 0;
        }
        return false;
    }

    std::string buffer_;
};

}  // namespace

void write_out(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        throw Error(ErrorKind::system, fmt::format("the text cannot be written to the standard output: {}",
                                                   std::strerror(errno)));
}

Json generation_record(const Generation& made) {
    return {{"text", made.text},
            {"ids", made.ids},
            {"ended_by", name_of(made.reason)},
            {"prompt_tokens", made.prompt_tokens},
            {"reused_tokens", made.reused_tokens},
            {"generated_tokens", made.ids.size()},
            {"prompt_seconds", made.prompt_seconds},
            {"seconds", made.seconds}};
}

int hold_conversation(const ChatFormat& chat, const Tokenizer& tokenizer, Generator& generator,
                      Json& messages, const GenerationOptions& options, bool as_json,
                      std::vector<Generation>& generations) {
    const bool on_terminal = ::isatty(STDIN_FILENO) != 0 && !as_json;
    const Json before = messages;
    LineReader lines;
    while (true) {
        if (on_terminal) write_out("> ");
        const auto line = lines.next();
        if (!line) break;
        if (line->empty()) continue;
        if (*line == "/clear") {
            messages = before;
            continue;
        }
        messages.push_back({{"role", "user"}, {"content", valid_utf8(*line)}});
        try {
            const auto ids = chat.ids(chat.text(messages), tokenizer);
            const auto show = [](std::string_view piece) { write_out(piece); };
            Generation made =
                generator.generate(ids, options, generations.size(), as_json ? TextCallback() : show);
            if (as_json) {
                Json record = {{"prompt", valid_utf8(*line)}};
                record.update(generation_record(made));
                write_out(record.dump() + "\n");
            } else {
                write_out("\n");
            }
            messages.push_back({{"role", "assistant"}, {"content", made.text}});
            if (made.reason == StopReason::context)
                log_warning("the answer ends because the context is full; /clear begins anew");
            generations.push_back(std::move(made));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::input || !on_terminal) throw;
            // What the template or the context refuses is not said; the conversation goes on.
            messages.erase(messages.size() - 1);
            log_warning("{}; /clear begins anew", error.what());
        }
        forget_interrupt();
    }
    if (on_terminal) write_out("\n");
    return interrupt_requested() ? static_cast<int>(ErrorKind::interrupted) : 0;
}

}  // namespace jlcm
