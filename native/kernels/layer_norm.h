// Layer normalization, row by row. Formulas: layers/layer_norm.h.
#pragma once
#include <algorithm>
#include <cmath>

#include "compute/arena.h"
#include "compute/pool.h"

namespace tiller {

struct LayerNormJob {
  int rows, channels;
  const float *x, *gamma, *beta; // gamma and beta are padded to a panel
  float epsilon;
  float* statistics; // [rows, 2]: mean, 1 / deviation
};

// y [rows, C], overwritten
inline void layer_norm_forward(const LayerNormJob& job, Range rows, float* y) {
  const int channels = job.channels;
  for (int m = rows.begin; m < rows.end; m++) {
    const float* x = job.x + (size_t)m * channels;
    Vec sums{}, squares{};
    for (int c = 0; c < channels; c += kLanes) sums += load(x + c, channels - c);
    const float mean = sum(sums) / channels;
    for (int c = 0; c < channels; c += kLanes) {
      Vec d = load(x + c, channels - c) - mean;
      if (channels - c < kLanes)
        for (int i = channels - c; i < kLanes; i++) d[i] = 0;
      squares += d * d;
    }
    const float r = 1 / std::sqrt(sum(squares) / channels + job.epsilon);
    job.statistics[2 * m] = mean, job.statistics[2 * m + 1] = r;
    float* out = y + (size_t)m * channels;
    for (int c = 0; c < channels; c += kLanes) {
      const Vec xh = (load(x + c, channels - c) - mean) * r;
      store(out + c, xh * load(job.gamma + c) + load(job.beta + c), channels - c);
    }
  }
}

struct LayerNormGradients {
  const float* dy;
  float* dx; // null where not wanted
  bool accumulate;
  float* sums; // [runs, 2, round_up(C, lanes)]: each run's part of dbeta and dgamma
};

// Rows are summed up in runs of a fixed size, whichever thread does them.
inline constexpr int kLayerNormRun = 128;
inline int layer_norm_runs(int rows) { return (rows + kLayerNormRun - 1) / kLayerNormRun; }

inline void layer_norm_backward(const LayerNormJob& job, const LayerNormGradients& g, int run) {
  const int channels = job.channels;
  const size_t padded = round_up(channels, kLanes);
  float *dbeta = g.sums + (size_t)run * 2 * padded, *dgamma = dbeta + padded;
  std::fill(dbeta, dbeta + 2 * padded, 0.f);
  for (int m = run * kLayerNormRun; m < std::min(job.rows, (run + 1) * kLayerNormRun); m++) {
    const float mean = job.statistics[2 * m], r = job.statistics[2 * m + 1];
    const float *x = job.x + (size_t)m * channels, *dy = g.dy + (size_t)m * channels;
    Vec sum1{}, sum2{};
    for (int c = 0; c < channels; c += kLanes) {
      const Vec xh = (load(x + c, channels - c) - mean) * r, d = load(dy + c, channels - c);
      store(dbeta + c, load(dbeta + c) + d); // (4)
      store(dgamma + c, load(dgamma + c) + d * xh);
      const Vec scaled = d * load(job.gamma + c);
      sum1 += scaled;
      sum2 += scaled * xh;
    }
    if (g.dx == nullptr) continue;
    const float mean1 = sum(sum1) / channels, mean2 = sum(sum2) / channels;
    float* dx = g.dx + (size_t)m * channels;
    for (int c = 0; c < channels; c += kLanes) { // (3)
      const Vec xh = (load(x + c, channels - c) - mean) * r;
      Vec d = (load(dy + c, channels - c) * load(job.gamma + c) - mean1 - xh * mean2) * r;
      if (g.accumulate) d += load(dx + c, channels - c);
      store(dx + c, d, channels - c);
    }
  }
}

} // namespace tiller
