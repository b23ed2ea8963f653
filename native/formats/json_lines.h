// JSON lines: events out on stdout, commands in on stdin. native/PROTOCOL.md says what they hold.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <optional>
#include <string>

#include "formats/files.h"
#include "formats/json.h"

namespace tiller {

// A number that JSON may lack.
inline Json number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

// One line, one write(2): a reader of the file never sees half a line unless the disk is full.
inline void write_line(int file, const Json& event) {
  std::string line = event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  for (const char *p = line.data(), *end = p + line.size(); p < end;) {
    const ssize_t written = write(file, p, static_cast<size_t>(end - p));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_errno("can't write an event");
    p += written;
  }
}

// Lines of a descriptor without waiting. The end of the stream means nothing, as the protocol says.
class LineReader {
 public:
  explicit LineReader(int file) : file_(file) {}

  // The next line that is a JSON object; none if there is no whole line. Other lines are passed to
  // `refused`.
  template <class Refused>
  std::optional<Json> next(const Refused& refused) {
    for (;;) {
      const size_t end = buffer_.find('\n');
      if (end == std::string::npos) {
        if (!fill()) return std::nullopt;
        continue;
      }
      const std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      Json parsed = parse_json(line);
      if (parsed.is_object()) return parsed;
      refused(line);
    }
  }

 private:
  // By poll and not by O_NONBLOCK, which whoever shares the descriptor would see too.
  bool fill() {
    pollfd wanted{file_, POLLIN, 0};
    if (ended_ || poll(&wanted, 1, 0) <= 0 || !(wanted.revents & (POLLIN | POLLHUP))) return false;
    char bytes[4096];
    const ssize_t count = read(file_, bytes, sizeof bytes);
    if (count == 0) ended_ = true;
    if (count <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(count));
    if (buffer_.size() > kLongestLine && buffer_.find('\n') == std::string::npos) buffer_.clear();
    return true;
  }

  static constexpr size_t kLongestLine = 1 << 20;
  int file_;
  bool ended_ = false;
  std::string buffer_;
};

}  // namespace tiller
