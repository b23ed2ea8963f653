// UTF-8, read and written a code point at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tiller {

// The next code point; a broken sequence gives 0, and one byte is passed.
inline uint32_t next_code_point(std::string_view text, size_t& i) {
  const auto byte = static_cast<unsigned char>(text[i++]);
  const int more = byte < 0x80 ? 0 : byte >> 5 == 6 ? 1 : byte >> 4 == 14 ? 2 : byte >> 3 == 30 ? 3 : -1;
  if (more < 0 || i + static_cast<size_t>(more) > text.size()) return 0;
  uint32_t point = more == 0 ? byte : byte & (0x3Fu >> more);
  for (int k = 0; k < more; k++) {
    const auto next = static_cast<unsigned char>(text[i + static_cast<size_t>(k)]);
    if (next >> 6 != 2) return 0;
    point = point << 6 | (next & 0x3Fu);
  }
  i += static_cast<size_t>(more);
  return point;
}

inline void append_utf8(std::string& text, uint32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  text += static_cast<char>((0xFF00u >> (more + 1) & 0xFF) | c >> 6 * more);
  for (int k = more - 1; k >= 0; k--) text += static_cast<char>(0x80 | (c >> 6 * k & 0x3F));
}

}  // namespace tiller
