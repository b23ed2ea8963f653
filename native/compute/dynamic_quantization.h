// Eight bits a number, a block at a time: each number is the nearest of 256 values times the block's
// largest magnitude (T. Dettmers et al., "8-bit optimizers via block-wise quantization", 2022, sections
// 1.3 and 2). The values are dense near the block's largest and reach down to a millionth of it: seven
// decades of evenly spread values, each decade twice as fine as the one below. Where the paper has the
// centre of the topmost step, here is 1 itself, so that what is read back gives the same bytes again.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "compute/vector.h"

namespace tiller {

class DynamicCode {
 public:
  static constexpr int kBlock = 256;

  static const DynamicCode& of_signed() {
    static const DynamicCode code(true);
    return code;
  }
  static const DynamicCode& of_unsigned() {
    static const DynamicCode code(false);
    return code;
  }

  const float* values() const { return values_.data(); }

  // Values at kBlock codes, times the block's scale.
  void read(const uint8_t* codes, float scale, float* to) const {
    for (int i = 0; i < kBlock; i++) to[i] = values_[codes[i]] * scale;
  }
  // Nearest codes of kBlock numbers; returns the scale. A block of zeros has scale 0.
  float write(const float* from, uint8_t* codes) const {
    float scale = 0;
    for (int i = 0; i < kBlock; i++) scale = std::max(scale, std::abs(from[i]));
    const float inverse = scale > 0 ? 1 / scale : 0;
    for (int i = 0; i < kBlock; i++) codes[i] = nearest(std::min(1.f, std::abs(from[i]) * inverse), from[i] < 0);
    return scale;
  }

 private:
  // Magnitudes in rising order from 0; a signed code puts their negatives behind them.
  explicit DynamicCode(bool is_signed) {
    magnitudes_.push_back(0);
    for (int decade = 0; decade < 7; decade++) {
      const int steps = 1 << (decade + (is_signed ? 0 : 1));
      for (int i = 0; i < steps; i++) {
        const double centre = 0.1 + 0.9 * (i + 0.5) / steps;
        magnitudes_.push_back((float)(centre * std::pow(10, decade - 6)));
      }
    }
    if (is_signed) magnitudes_.back() = 1;
    else magnitudes_.push_back(1);
    negative_ = (int)magnitudes_.size() - 1; // the code of -magnitudes_[i] is this + i
    for (size_t i = 0; i < magnitudes_.size(); i++) {
      values_[i] = magnitudes_[i];
      if (is_signed && i > 0) values_[negative_ + i] = -magnitudes_[i];
    }
    make_table();
  }

  // Numbers that share their upper 16 bits lie within one part in 128, closer than any two values: at
  // most one border between values lies among them.
  void make_table() {
    table_.resize(kTable);
    for (int bits = 0; bits < kTable; bits++) {
      const float low = std::bit_cast<float>((uint32_t)bits << 16);
      const auto border = [&](size_t i) { return (magnitudes_[i] + magnitudes_[i + 1]) / 2; };
      size_t i = 0;
      while (i + 1 < magnitudes_.size() && border(i) <= low) i++;
      table_[bits] = {(uint8_t)i, i + 1 < magnitudes_.size() ? border(i) : INFINITY};
    }
  }

  uint8_t nearest(float magnitude, bool is_negative) const {
    const auto& [low, border] = table_[std::bit_cast<uint32_t>(magnitude) >> 16];
    const int i = low + (magnitude >= border);
    return (uint8_t)(is_negative && i > 0 ? negative_ + i : i);
  }

  struct Entry {
    uint8_t low;
    float border;
  };
  static constexpr int kTable = (0x3F800000 >> 16) + 1; // up to 1
  std::vector<float> magnitudes_;
  std::array<float, 256> values_{};
  std::vector<Entry> table_;
  int negative_;
};

} // namespace tiller
