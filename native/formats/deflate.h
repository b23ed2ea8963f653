// DEFLATE in zlib's wrapping (RFC 1951, 1950): one block of fixed Huffman codes over LZ77 matches.
// Small, and the same bytes on every machine, which samples are named by.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace tiller {

class Deflate {
 public:
  static std::string zlib(std::span<const uint8_t> data) {
    Deflate deflate;
    deflate.out_ = "\x78\x01";
    deflate.bits(1, 1);  // the last block …
    deflate.bits(1, 2);  // … of fixed codes
    deflate.compress(data);
    deflate.literal(256);
    deflate.bits(0, (8 - deflate.used_) % 8);
    uint32_t a = 1, b = 0;  // Adler-32
    for (const uint8_t byte : data) a = (a + byte) % 65521, b = (b + a) % 65521;
    for (const uint32_t half : {b, a})
      deflate.out_ += {static_cast<char>(half >> 8), static_cast<char>(half)};
    return std::move(deflate.out_);
  }

 private:
  static constexpr int kWindow = 32768, kShortest = 3, kLongest = 258, kTries = 64;
  static constexpr int kHashBits = 15;

  static uint32_t hash(const uint8_t* p) {
    return (uint32_t{p[0]} | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16) * 0x9E3779B1u >> (32 - kHashBits);
  }

  // Greedy: the longest match among the last few places that began with the same three bytes.
  void compress(std::span<const uint8_t> data) {
    std::vector<int> head(size_t{1} << kHashBits, -1), previous(data.size(), -1);
    const int size = static_cast<int>(data.size());
    const auto enter = [&](int i) {
      if (i + kShortest > size) return;
      int& newest = head[hash(&data[i])];
      previous[i] = newest, newest = i;
    };
    for (int i = 0; i < size;) {
      int best = 0, distance = 0;
      const int limit = std::min(kLongest, size - i);
      int place = limit >= kShortest ? head[hash(&data[i])] : -1;
      for (int tries = kTries; place >= 0 && i - place <= kWindow && tries > 0;
           place = previous[place], tries--) {
        int length = 0;
        while (length < limit && data[place + length] == data[i + length]) length++;
        if (length > best) best = length, distance = i - place;
      }
      if (best < kShortest) best = 1, literal(data[i]);
      else match(best, distance);
      for (const int end = i + best; i < end; i++) enter(i);
    }
  }

  void bits(uint32_t value, int count) {
    for (int i = 0; i < count; i++) {
      if (used_ == 0) out_ += '\0';
      out_.back() = static_cast<char>(out_.back() | (value >> i & 1) << used_);
      used_ = (used_ + 1) % 8;
    }
  }
  // Huffman codes go out from their highest bit.
  void code(uint32_t value, int count) {
    for (int i = count - 1; i >= 0; i--) bits(value >> i & 1, 1);
  }
  void literal(int symbol) {
    if (symbol < 144) code(0x30 + symbol, 8);
    else if (symbol < 256) code(0x190 + symbol - 144, 9);
    else if (symbol < 280) code(symbol - 256, 7);
    else code(0xC0 + symbol - 280, 8);
  }
  void match(int length, int distance) {
    // Lengths 3 … 257 come in groups of four symbols whose step doubles; 258 has its own.
    if (length == kLongest) literal(285);
    else group(length - kShortest, 4, [&](int symbol) { literal(257 + symbol); });
    group(distance - 1, 2, [&](int symbol) { code(symbol, 5); });
  }
  // Values below 2n are themselves; above, n symbols share each number of extra bits.
  template <class Emit>
  void group(int value, int n, const Emit& emit) {
    int extra = 0;
    while (value >> extra >= 2 * n) extra++;
    emit(extra * n + (value >> extra));
    bits(value & ((1 << extra) - 1), extra);
  }

  std::string out_;
  int used_ = 0;  // bits of the last byte
};

}  // namespace tiller
