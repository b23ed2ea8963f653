// What is added to every row of channels, and the sums over rows.
#pragma once
#include "compute/parameters.h"
#include "compute/pool.h"

namespace tiller {

// Each may be null.
struct RowStart {
  const float* bias;            // padded to a panel
  const float* residual;        // as y
  const float* per_picture = nullptr; // [n, channels], of `picture` rows each
  int picture = 1;
};

// y[row] += bias + residual[row] + per_picture[row / picture]
inline void add_to_rows(Pool& pool, const RowStart& start, float* y, int rows, int channels) {
  if (!start.bias && !start.residual && !start.per_picture) return;
  pool.split(rows, [&](Range part) {
    for (int row = part.begin; row < part.end; row++) {
      const size_t at = (size_t)row * channels, picture = (size_t)(row / start.picture) * channels;
      for (int c = 0; c < channels; c += kLanes) {
        const int count = channels - c;
        Vec sum = load(y + at + c, count);
        if (start.bias) sum += load(start.bias + c);
        if (start.residual) sum += load(start.residual + at + c, count);
        if (start.per_picture) sum += load(start.per_picture + picture + c, count);
        store(y + at + c, sum, count);
      }
    }
  });
}

// The bias' gradient (+)= the sum over rows of g
inline void sum_rows(Pool& pool, const float* g, int rows, Block& bias) {
  const bool accumulate = bias.accumulate_gradient();
  const int channels = bias.out;
  pool.split((channels + kLanes - 1) / kLanes, [&](Range part) {
    for (int c = part.begin * kLanes; c < std::min(part.end * kLanes, channels); c += kLanes) {
      Vec sum = accumulate ? load(bias.gradient + c) : Vec{};
      for (int row = 0; row < rows; row++) sum += load(g + (size_t)row * channels + c, channels - c);
      store(bias.gradient + c, sum);
    }
  });
}

} // namespace tiller
