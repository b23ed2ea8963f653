// Pictures twice as large, each pixel four times, and back: for products that don't read an input so on the way.
#pragma once
#include <algorithm>

#include "compute/pool.h"
#include "compute/vector.h"

namespace tiller {

inline void upsample(Pool& pool, const float* x, int pictures, int height, int width, int channels, float* to) {
  pool.split(pictures * height * 2, [&](Range rows) {
    for (int row = rows.begin; row < rows.end; row++)
      for (int column = 0; column < 2 * width; column++) {
        const float* from = x + ((size_t)(row / 2) * width + column / 2) * channels;
        std::copy(from, from + channels, to + ((size_t)row * 2 * width + column) * channels);
      }
  });
}

// dx (+)= the sum of the four pixels of g that were made of each
inline void upsample_back(Pool& pool, const float* g, int pictures, int height, int width, int channels, float* dx, bool accumulate) {
  pool.split(pictures * height, [&](Range rows) {
    for (int row = rows.begin; row < rows.end; row++)
      for (int column = 0; column < width; column++) {
        const float* above = g + ((size_t)row * 4 * width + 2 * column) * channels;
        const float* below = above + (size_t)2 * width * channels;
        float* to = dx + ((size_t)row * width + column) * channels;
        for (int c = 0; c < channels; c++) {
          const float sum = (above[c] + above[channels + c]) + (below[c] + below[channels + c]);
          to[c] = accumulate ? to[c] + sum : sum;
        }
      }
  });
}

} // namespace tiller
