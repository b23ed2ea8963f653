// SHA-256 (FIPS 180-4), with the SHA instructions of x86 where the machine has them.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#if defined(__SHA__) && defined(__SSE4_1__)
#include <immintrin.h>
#define TILLER_SHA_INSTRUCTIONS 1
#endif

namespace tiller {

class Sha256 {
 public:
  // `portable`: without the machine's own instructions, which the test compares.
  explicit Sha256(bool portable = false) : portable_(portable) {}

  Sha256& update(const void* bytes, size_t count) {
    const auto* p = static_cast<const uint8_t*>(bytes);
    length_ += count;
    if (filled_ > 0) {
      const size_t taken = std::min(count, kBlock - filled_);
      std::memcpy(block_ + filled_, p, taken);
      filled_ += taken, p += taken, count -= taken;
      if (filled_ < kBlock) return *this;
      compress(block_, 1);
      filled_ = 0;
    }
    compress(p, count / kBlock);
    filled_ = count % kBlock;
    if (filled_ > 0) std::memcpy(block_, p + count - filled_, filled_);
    return *this;
  }
  Sha256& update(std::string_view text) { return update(text.data(), text.size()); }

  // 64 hex digits. The object is spent.
  std::string hex() {
    const uint64_t bits = length_ * 8;
    const uint8_t padding[kBlock] = {0x80};
    update(padding, 1 + (kBlock + 55 - filled_) % kBlock);  // up to 8 bytes short of a block
    uint8_t end[8];
    for (int i = 0; i < 8; i++) end[i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
    update(end, 8);
    std::string text;
    for (const uint32_t word : state_)
      for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
    return text;
  }

 private:
  static constexpr size_t kBlock = 64;
  // The first 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2).
  static constexpr uint32_t kRound[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

  void compress(const uint8_t* p, size_t blocks) {
#if defined(TILLER_SHA_INSTRUCTIONS)
    if (!portable_) return compress_fast(p, blocks);
#endif
    for (; blocks > 0; blocks--, p += kBlock) compress_block(p);
  }

  // Section 6.2.2.
  void compress_block(const uint8_t* p) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
      w[i] = uint32_t{p[4 * i]} << 24 | uint32_t{p[4 * i + 1]} << 16 | uint32_t{p[4 * i + 2]} << 8 |
             p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
      const uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (int i = 0; i < 64; i++) {
      const uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
      const uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const uint32_t added[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++) state_[i] += added[i];
  }

#if defined(TILLER_SHA_INSTRUCTIONS)
  // The state is kept as the instructions want it: ABEF and CDGH. Four rounds a turn; the message
  // schedule runs four words ahead in a ring of four registers.
  void compress_fast(const uint8_t* p, size_t blocks) {
    const __m128i reverse = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const auto words = [&](int i) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(state_.data() + i));
    };
    __m128i t = _mm_shuffle_epi32(words(0), 0xB1);     // CDAB
    __m128i cdgh = _mm_shuffle_epi32(words(4), 0x1B);  // EFGH
    __m128i abef = _mm_alignr_epi8(t, cdgh, 8);
    cdgh = _mm_blend_epi16(cdgh, t, 0xF0);
    for (; blocks > 0; blocks--, p += kBlock) {
      const __m128i abef_before = abef, cdgh_before = cdgh;
      __m128i w[4];
      for (int i = 0; i < 4; i++)
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i)), reverse);
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++) {
        if (i >= 4) {
          const __m128i near = _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4);
          const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]), near);
          w[i & 3] = _mm_sha256msg2_epu32(sum, w[(i + 3) & 3]);
        }
        const __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kRound + 4 * i));
        const __m128i wk = _mm_add_epi32(w[i & 3], k);
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0E));
      }
      abef = _mm_add_epi32(abef, abef_before);
      cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    t = _mm_shuffle_epi32(abef, 0x1B);     // FEBA
    cdgh = _mm_shuffle_epi32(cdgh, 0xB1);  // DCHG
    _mm_storeu_si128(reinterpret_cast<__m128i*>(state_.data()), _mm_blend_epi16(t, cdgh, 0xF0));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(state_.data() + 4), _mm_alignr_epi8(cdgh, t, 8));
  }
#endif

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t block_[kBlock];
  size_t filled_ = 0;
  uint64_t length_ = 0;
  bool portable_;
};

}  // namespace tiller
