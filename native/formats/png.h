// PNG of 8-bit RGB, without interlacing (PNG specification, third edition).
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/deflate.h"

namespace tiller {

namespace detail {

inline std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

inline uint32_t crc32(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const unsigned char byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

inline std::string png_chunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type) + std::string(data);
  return big_endian(static_cast<uint32_t>(data.size())) + body + big_endian(crc32(body));
}

inline int paeth(int left, int up, int corner) {
  const int p = left + up - corner, a = std::abs(p - left), b = std::abs(p - up), c = std::abs(p - corner);
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

}  // namespace detail

// rgb [height, width, 3]. `texts`: tEXt chunks, keyword and Latin-1 text.
inline std::string encode_png(std::span<const uint8_t> rgb, int width, int height,
                              std::span<const std::array<std::string, 2>> texts = {}) {
  constexpr int kFilters = 5, kPixel = 3;
  const size_t row = static_cast<size_t>(width) * kPixel;
  std::vector<uint8_t> filtered;
  std::vector<uint8_t> candidates[kFilters];
  const auto at = [&](int y, long x) {
    return y < 0 || x < 0 ? 0 : int{rgb[y * row + static_cast<size_t>(x)]};
  };
  for (int y = 0; y < height; y++) {
    // The filter whose bytes, read as signed, are smallest: the specification's own heuristic.
    size_t best = 0, best_sum = SIZE_MAX;
    for (size_t filter = 0; filter < kFilters; filter++) {
      auto& bytes = candidates[filter];
      bytes.assign(1, static_cast<uint8_t>(filter));
      size_t sum = 0;
      for (long x = 0; x < static_cast<long>(row); x++) {
        const int left = at(y, x - kPixel), up = at(y - 1, x), corner = y > 0 ? at(y - 1, x - kPixel) : 0;
        const int guess[kFilters] = {0, left, up, (left + up) / 2, detail::paeth(left, up, corner)};
        bytes.push_back(static_cast<uint8_t>(at(y, x) - guess[filter]));
        sum += static_cast<size_t>(std::abs(static_cast<int8_t>(bytes.back())));
      }
      if (sum < best_sum) best = filter, best_sum = sum;
    }
    filtered.insert(filtered.end(), candidates[best].begin(), candidates[best].end());
  }
  std::string header =
      detail::big_endian(static_cast<uint32_t>(width)) + detail::big_endian(static_cast<uint32_t>(height));
  header += {8, 2, 0, 0, 0};  // 8 bits, RGB, deflate, the five filters, not interlaced
  std::string png = "\x89PNG\r\n\x1a\n" + detail::png_chunk("IHDR", header);
  for (const auto& [key, text] : texts) png += detail::png_chunk("tEXt", key + '\0' + text);
  return png + detail::png_chunk("IDAT", Deflate::zlib(filtered)) + detail::png_chunk("IEND", "");
}

}  // namespace tiller
