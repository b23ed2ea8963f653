// The two formats of 16 bits, read exactly and written rounded to nearest, ties to even (IEEE 754-2019,
// section 4.3.1): F16 with 5 bits of exponent and 10 of fraction; BF16, the upper half of an F32.
#pragma once

#include <bit>
#include <cstdint>

namespace tiller {

inline float from_f16(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16, exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent > 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float tiny = static_cast<float>(fraction) * 0x1p-24f;
  return sign ? -tiny : tiny;
}

inline float from_bf16(uint16_t half) { return std::bit_cast<float>(uint32_t{half} << 16); }

// From 65520 on it is infinite.
inline uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7FFFFFFF;
  if (size > 0x7F800000) return static_cast<uint16_t>(sign | 0x7E00);
  if (size >= 0x47800000) return static_cast<uint16_t>(sign | 0x7C00);
  if (size < 0x38800000) {  // below 2^-14: the last place of 0.5 is 2^-24, so the sum rounds to it
    const auto sum = std::bit_cast<uint32_t>(std::bit_cast<float>(size) + 0.5f);
    return static_cast<uint16_t>(sign | (sum - 0x3F000000));
  }
  return static_cast<uint16_t>(sign | ((size + 0xFFF + (size >> 13 & 1) - (112u << 23)) >> 13));
}

inline uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

}  // namespace tiller
