// The gated feed-forward in tiles: what is eight times as wide as the stream never leaves the cache,
// and is computed again by the backward pass. Formulas: layers/feed_forward.h.
#pragma once
#include "kernels/functions.h"
#include "kernels/gemm.h"
#include "kernels/weight_gradient.h"

namespace tiller {

struct FeedForwardJob {
  int channels, hidden;
  const float* x;                   // [rows, channels]
  const float *value, *gate, *down; // panels: [channels, hidden] twice, [hidden, channels]
  const float *value_bias, *gate_bias, *down_bias;
};

// Rows of a tile and hidden columns at a time (a multiple of every panel's width).
inline constexpr int kFeedForwardRows = 64;
inline constexpr int kHiddenChunk = 256;
// Rows between two rounds of weight gradients.
inline constexpr int kFeedForwardBlock = 512;

namespace feed_forward_detail {

// u = x Wᵤᵀ + bᵤ or g = x W_gᵀ + b_g for hidden columns [h, h + count)
inline void project(const FeedForwardJob& job, const float* panels, const float* bias, Range rows, int h,
                    int count, float* to, int to_stride) {
  const size_t panel_size = (size_t)job.channels * kPanel;
  multiply_rows({job.x + (size_t)rows.begin * job.channels, job.channels, job.channels,
                 panels + h / kPanel * panel_size, panel_size, count, to, to_stride, bias + h},
                {0, rows.end - rows.begin});
}

} // namespace feed_forward_detail

// y = residual + (u gelu(g)) W_dᵀ + b_d for these rows; residual may be null
inline void feed_forward(const FeedForwardJob& job, Range rows, const float* residual, float* y) {
  using feed_forward_detail::project;
  const int chunk = std::min(kHiddenChunk, job.hidden), channels = job.channels;
  const int stride = (int)round_up(chunk, kPanel);
  Scratch scratch;
  float* u = scratch.take((size_t)kFeedForwardRows * stride);
  float* g = scratch.take((size_t)kFeedForwardRows * stride);
  for (int m = rows.begin; m < rows.end; m += kFeedForwardRows) {
    const Range tile{m, std::min(rows.end, m + kFeedForwardRows)};
    const int height = tile.end - tile.begin;
    float* out = y + (size_t)m * channels;
    for (int h = 0; h < job.hidden; h += chunk) {
      const int count = std::min(chunk, job.hidden - h);
      project(job, job.value, job.value_bias, tile, h, count, u, stride); // (1)
      project(job, job.gate, job.gate_bias, tile, h, count, g, stride);
      for (int i = 0; i < height; i++)
        for (int c = 0; c < count; c += kLanes) { // (2)
          const size_t at = (size_t)i * stride + c;
          store(u + at, load(u + at) * gelu(load(g + at)));
        }
      const bool first = h == 0; // (3)
      const float* start = !first ? out : residual != nullptr ? residual + (size_t)m * channels : nullptr;
      multiply_rows({u, stride, count, job.down + (size_t)h * kPanel, (size_t)job.hidden * kPanel, channels,
                     out, channels, first ? job.down_bias : nullptr, start, channels},
                    {0, height});
    }
  }
}

// The backward pass's arrays for one block of rows, all [block, stride].
struct FeedForwardBlock {
  float *value, *gate, *product; // first u, g, d(product); then du, dg, the product itself
  int stride;
};

// (4) … (6) for rows [rows.begin, rows.end) of the block that begins at row `base`. The transposed
// panels are `value_t`, `gate_t` [hidden, channels] and `down_t` [channels, hidden]. dx may be null.
struct FeedForwardGradients {
  const float *value_t, *gate_t, *down_t;
  const float* dy;
  float* dx;
  bool accumulate;
};

inline void feed_forward_backward(const FeedForwardJob& job, const FeedForwardGradients& g,
                                  const FeedForwardBlock& block, int base, Range rows) {
  using feed_forward_detail::project;
  const int channels = job.channels, hidden = job.hidden, stride = block.stride;
  for (int i0 = rows.begin; i0 < rows.end; i0 += kFeedForwardRows) {
    const int height = std::min(kFeedForwardRows, rows.end - i0), m = base + i0;
    const size_t at = (size_t)i0 * stride;
    float *u = block.value + at, *gate = block.gate + at, *p = block.product + at;
    const Range tile{m, m + height};
    project(job, job.value, job.value_bias, tile, 0, hidden, u, stride); // (1)
    project(job, job.gate, job.gate_bias, tile, 0, hidden, gate, stride);
    const float* dy = g.dy + (size_t)m * channels;
    multiply_rows({dy, channels, channels, g.down_t, (size_t)channels * kPanel, hidden, p, stride}, // (4)
                  {0, height});
    for (int i = 0; i < height; i++)
      for (int c = 0; c < hidden; c += kLanes) { // (5)
        const size_t e = (size_t)i * stride + c;
        const Vec value = load(u + e), x = load(gate + e), dp = load(p + e);
        const auto [cumulative, density] = normal_distribution(x);
        const Vec act = x * cumulative;
        store(u + e, dp * act);
        store(gate + e, dp * value * (cumulative + x * density * kDensityFactor));
        store(p + e, value * act);
      }
    if (g.dx == nullptr) continue;
    float* dx = g.dx + (size_t)m * channels; // (6)
    const size_t panel_size = (size_t)hidden * kPanel;
    multiply_rows({u, stride, hidden, g.value_t, panel_size, channels, dx, channels, nullptr,
                   g.accumulate ? dx : nullptr, channels},
                  {0, height});
    multiply_rows({gate, stride, hidden, g.gate_t, panel_size, channels, dx, channels, nullptr, dx, channels},
                  {0, height});
  }
}

} // namespace tiller
