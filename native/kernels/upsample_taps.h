// A 3x3 convolution of a picture that was upsampled x2 (nearest): in each direction the three taps fall
// on only two pixels of the small picture, so their weights can be added first. An output of phase
// (y % 2, x % 2) then has 4 taps, 16 over all phases, instead of 9 for each: 4/9 of the work in the
// forward pass and in both gradients (W. Shi et al., "Is the deconvolution layer the same as a
// convolutional layer?", 2016, has the same view from the other side).
#pragma once
#include "compute/parameters.h"
#include "compute/pool.h"

namespace tiller {

inline constexpr int kUpsampleTaps = 16;

// `cell` 0 … 3: which of the 2x2 pixels, row by row.
inline int upsample_tap(int phase_y, int phase_x, int cell) { return (phase_y * 2 + phase_x) * 4 + cell; }

// Whether, in one direction, tap d of 3 falls on `cell` of 2 for outputs of this phase.
inline bool falls_on(int phase, int cell, int d) { return (d + 1 - phase) / 2 == cell; }

// The 16 taps' original ones: calls visit(tap of 16, tap of 9).
template <class Visit>
inline void for_each_part(const Visit& visit) {
  for (int tap = 0; tap < kUpsampleTaps; tap++)
    for (int d = 0; d < 9; d++)
      if (falls_on(tap / 8, tap / 2 % 2, d / 3) && falls_on(tap / 4 % 2, tap % 2, d % 3)) visit(tap, d);
}

inline size_t upsample_size(const Block& block) {
  return (size_t)block.panels() * kUpsampleTaps * block.in * kPanel;
}

// to [panel][16][in] = sums of the block's weights, overwritten
inline void merge_taps(Pool& pool, const Block& block, float* to) {
  const size_t tap_size = (size_t)block.in * kPanel;
  pool.split(block.panels() * kUpsampleTaps, [&](Range range) {
    for (int i = range.begin; i < range.end; i++) {
      float* sum = to + (size_t)i * tap_size;
      const float* panel = block.weight + (size_t)(i / kUpsampleTaps) * 9 * tap_size;
      std::memset(sum, 0, tap_size * sizeof(float));
      for_each_part([&](int tap, int d) {
        if (tap != i % kUpsampleTaps) return;
        for (size_t k = 0; k < tap_size; k++) sum[k] += panel[d * tap_size + k];
      });
    }
  });
}

// The block's gradient (+)= the gradients of the sums that each weight is in; from [panel][16][in]
inline void spread_gradient(Pool& pool, const float* from, const Block& block, bool accumulate) {
  const size_t tap_size = (size_t)block.in * kPanel;
  pool.split(block.panels() * 9, [&](Range range) {
    for (int i = range.begin; i < range.end; i++) {
      float* gradient = block.gradient + (size_t)i * tap_size;
      const float* panel = from + (size_t)(i / 9) * kUpsampleTaps * tap_size;
      if (!accumulate) std::memset(gradient, 0, tap_size * sizeof(float));
      for_each_part([&](int tap, int d) {
        if (d != i % 9) return;
        for (size_t k = 0; k < tap_size; k++) gradient[k] += panel[tap * tap_size + k];
      });
    }
  });
}

} // namespace tiller
