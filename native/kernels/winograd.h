// 3x3 convolutions of stride 1 with a border of one zero by Winograd's F(4x4, 3x3), for layers of many
// channels: a quarter of the products, and transforms that are small beside them (winograd_transforms.h).
// The same for both gradients: the convolution with the kernel turned round and transposed, and the
// transposed transforms.
//
// Pictures are cut in tiles of 4x4 outputs, some of which go together:
//   V [36][tile][in channel]     transformed once, for all outputs; in the last-level cache
//   U [36][in channel][panel]    of some input channels and one panel of outputs, made where it is used: four
//   M [36][tile][panel]          times the weights would not fit anywhere
// Rounding errors are about ten times those of plain sums, some 1e-6 of the result.
#pragma once
#include <algorithm>

#include "compute/parameters.h"
#include "compute/pool.h"
#include "kernels/tile.h"
#include "kernels/winograd_transforms.h"

namespace tiller::winograd {

inline constexpr int kTiles = 48;   // at a time
inline constexpr int kDepth = 64;   // input channels of one U
inline constexpr int kColumns = 48; // input channels of one block of weights' gradients
inline constexpr int kVectors = kPanel / kLanes;

// Floats from one point's matrix to the next: an odd number of cache lines, else the 36 places that a
// transform writes at once would share a few sets of the cache.
constexpr size_t point_size(size_t rows, size_t columns) {
  const size_t lines = (rows * columns + 15) / 16;
  return (lines | 1) * 16;
}

struct Pictures {
  int count, height, width;
  int across() const { return (width + kOut - 1) / kOut; }
  int tiles_of_one() const { return across() * ((height + kOut - 1) / kOut); }
  int tiles() const { return count * tiles_of_one(); }
};

// Where a tile's first output lies.
struct Place {
  size_t picture; // its first pixel's number in the whole array
  int y, x;
};
inline Place place_of(const Pictures& p, int tile) {
  const int n = tile / p.tiles_of_one(), rest = tile % p.tiles_of_one();
  return {(size_t)n * p.height * p.width, rest / p.across() * kOut, rest % p.across() * kOut};
}

// V of tiles [tiles.begin, tiles.end), which begin at `first` of `block` tiles in v.
inline void transform_inputs(const Pictures& p, const float* x, int channels, Range tiles, int first, int block, float* v) {
  const size_t point = point_size(block, channels);
  for (int tile = tiles.begin; tile < tiles.end; tile++) {
    const Place at = place_of(p, tile);
    float* to = v + (size_t)(tile - first) * channels;
    for (int c = 0; c < channels; c += kLanes) {
      const int count = channels - c;
      Vec d[kPoints];
      for (int i = 0; i < kIn; i++)
        for (int j = 0; j < kIn; j++) {
          const int row = at.y + i - 1, column = at.x + j - 1;
          const bool inside = row >= 0 && column >= 0 && row < p.height && column < p.width;
          d[i * kIn + j] = inside ? load(x + (at.picture + (size_t)row * p.width + column) * channels + c, count) : Vec{};
        }
      for (int j = 0; j < kIn; j++) inputs(d + j, kIn);
      for (int i = 0; i < kIn; i++) inputs(d + i * kIn, 1);
      for (int k = 0; k < kPoints; k++) store(to + k * point + c, d[k], count);
    }
  }
}

// U of `count` input channels: tap t of channel c is the panel row at from + t * tap_stride + c * kPanel.
inline void transform_weights(const float* from, size_t tap_stride, int count, float* u) {
  const size_t point = point_size(count, kPanel);
  for (int c = 0; c < count; c++)
    for (int j = 0; j < kVectors; j++) {
      Vec g[kTaps * kTaps], half[kIn * kTaps], all[kPoints];
      for (int t = 0; t < kTaps * kTaps; t++) g[t] = load(from + t * tap_stride + (size_t)c * kPanel + j * kLanes);
      for (int k = 0; k < kTaps; k++) weights(g + k, kTaps, half + k, kTaps);
      for (int i = 0; i < kIn; i++) weights(half + i * kTaps, 1, all + i * kIn, 1);
      for (int k = 0; k < kPoints; k++) store(u + k * point + (size_t)c * kPanel + j * kLanes, all[k]);
    }
}

// The weights of the other direction: panels over input channels [c, c + kPanel), for outputs [o, o + count):
// to[tap][output][input of the panel], the taps turned round.
inline void turn_weights(const Block& w, int c, int o, int count, float* to) {
  const size_t panel = (size_t)w.rows() * kPanel;
  const int inputs = std::min(kPanel, w.in - c);
  for (int t = 0; t < kTaps * kTaps; t++) {
    float* rows = to + (size_t)(kTaps * kTaps - 1 - t) * count * kPanel;
    for (int out = 0; out < count; out += kLanes)
      for (int in = 0; in < kPanel; in += kLanes) {
        const float* from = w.weight + (o + out) / kPanel * panel + ((size_t)t * w.in + c + in) * kPanel + (o + out) % kPanel;
        if (out + kLanes <= count && in + kLanes <= inputs) {
          transpose_square(from, kPanel, rows + (size_t)out * kPanel + in, kPanel);
          continue;
        }
        for (int k = 0; k < std::min(kLanes, count - out); k++)
          for (int i = 0; i < kLanes; i++)
            rows[(size_t)(out + k) * kPanel + in + i] = in + i < inputs ? from[(size_t)i * kPanel + k] : 0;
      }
  }
}

// One convolution: `weights(panel, channel, count, scratch)` gives the first tap's row of a panel and the
// distance of taps.
struct Outputs {
  float* out;
  int channels;
  const float* bias = nullptr;        // padded to a panel
  const float* per_picture = nullptr; // [n, channels]
  const float* residual = nullptr;    // as out; may be out
};

// Y of one panel from M; what lies past the picture's edge is dropped.
inline void finish_tiles(const Pictures& p, Range tiles, int first, int block, int panel, const float* m, const Outputs& to) {
  const int column = panel * kPanel;
  const size_t point = point_size(block, kPanel);
  for (int tile = tiles.begin; tile < tiles.end; tile++) {
    const Place at = place_of(p, tile);
    const size_t n = at.picture / ((size_t)p.height * p.width);
    for (int j = 0; j < kVectors; j++) {
      const int c = column + j * kLanes, count = to.channels - c;
      if (count <= 0) break;
      Vec points[kPoints], half[kOut * kIn], y[kOut * kOut];
      for (int k = 0; k < kPoints; k++) points[k] = load(m + k * point + (size_t)(tile - first) * kPanel + j * kLanes);
      for (int k = 0; k < kIn; k++) outputs(points + k, kIn, half + k, kIn);
      for (int i = 0; i < kOut; i++) outputs(half + i * kIn, 1, y + i * kOut, 1);
      Vec start = to.bias != nullptr ? load(to.bias + c) : Vec{};
      if (to.per_picture != nullptr) start += load(to.per_picture + n * to.channels + c, count);
      for (int i = 0; i < std::min(kOut, p.height - at.y); i++)
        for (int k = 0; k < std::min(kOut, p.width - at.x); k++) {
          const size_t pixel = (at.picture + (size_t)(at.y + i) * p.width + at.x + k) * to.channels + c;
          Vec sum = y[i * kOut + k] + start;
          if (to.residual != nullptr) sum += load(to.residual + pixel, count);
          store(to.out + pixel, sum, count);
        }
    }
  }
}

// Weights is weights(panel, first channel, count, scratch) → {the first tap's row, floats from tap to tap}
template <class Weights>
inline void convolve(Pool& pool, const Pictures& p, const float* x, int channels, const Weights& weights_of, const Outputs& to) {
  const int all = p.tiles(), panels = (to.channels + kPanel - 1) / kPanel;
  Scratch shared;
  float* v = shared.take(kPoints * point_size(std::min(all, kTiles), channels));
  for (int first = 0; first < all; first += kTiles) {
    const int block = std::min(kTiles, all - first);
    pool.split(block, [&](Range part) {
      transform_inputs(p, x, channels, {first + part.begin, first + part.end}, first, block, v);
    });
    pool.split(panels, [&](Range part) {
      Scratch scratch;
      float* turned = scratch.take((size_t)kTaps * kTaps * kDepth * kPanel);
      float* u = scratch.take(kPoints * point_size(kDepth, kPanel));
      float* m = scratch.take(kPoints * point_size(block, kPanel));
      for (int panel = part.begin; panel < part.end; panel++) {
        for (int c = 0; c < channels; c += kDepth) {
          const int depth = std::min(kDepth, channels - c);
          const auto [rows, tap_stride] = weights_of(panel, c, depth, turned);
          transform_weights(rows, tap_stride, depth, u);
          for (int k = 0; k < kPoints; k++)
            for_each_tile(block, [&](int row, int height) {
              TileOutput out{m + k * point_size(block, kPanel) + (size_t)row * kPanel, kPanel};
              if (c > 0) out.start = out.out, out.start_stride = kPanel;
              const float* a = v + k * point_size(block, channels) + (size_t)row * channels + c;
              with_constant_rows(height, [&]<int Rows>() {
                multiply_tile<Rows>(a, channels, u + k * point_size(depth, kPanel), depth, out);
              });
            });
        }
        finish_tiles(p, {first, first + block}, first, block, panel, m, to);
      }
    });
  }
}

// y = conv(x) + start
inline void forward(Pool& pool, const Pictures& p, const float* x, const Block& w, const Outputs& to) {
  convolve(pool, p, x, w.in, [&](int panel, int c, int, float*) {
    return std::pair{(const float*)w.weight + ((size_t)panel * w.rows() + c) * kPanel, (size_t)w.in * kPanel};
  }, to);
}

// dx = the other direction's convolution of dy
inline void backward(Pool& pool, const Pictures& p, const float* dy, const Block& w, const Outputs& to) {
  convolve(pool, p, dy, w.out, [&](int panel, int o, int count, float* turned) {
    turn_weights(w, panel * kPanel, o, count, turned);
    return std::pair{(const float*)turned, (size_t)count * kPanel};
  }, to);
}

// ---- the gradient of the weights ---------------------------------------------------------------

// A dY Aᵀ of one panel: [36][tile][panel]
inline void transform_gradients(const Pictures& p, const float* dy, int channels, int panel, int first, int block, float* to) {
  for (int tile = 0; tile < block; tile++) {
    const Place at = place_of(p, first + tile);
    for (int j = 0; j < kVectors; j++) {
      const int c = panel * kPanel + j * kLanes, count = std::max(0, channels - c);
      Vec y[kOut * kOut], half[kIn * kOut], points[kPoints];
      for (int i = 0; i < kOut; i++)
        for (int k = 0; k < kOut; k++) {
          const bool inside = at.y + i < p.height && at.x + k < p.width && count > 0;
          y[i * kOut + k] =
              inside ? load(dy + (at.picture + (size_t)(at.y + i) * p.width + at.x + k) * channels + c, count) : Vec{};
        }
      for (int k = 0; k < kOut; k++) outputs_back(y + k, kOut, half + k, kOut);
      for (int i = 0; i < kIn; i++) outputs_back(half + i * kOut, 1, points + i * kIn, 1);
      for (int k = 0; k < kPoints; k++) store(to + k * point_size(block, kPanel) + (size_t)tile * kPanel + j * kLanes, points[k]);
    }
  }
}

// du[row][panel] = sum over tiles: v[tile][row] g[tile][panel]
template <int Rows>
__attribute__((noinline)) void multiply_over_tiles(const float* v, size_t v_stride, const float* g, int tiles, float* du) {
  Vec c[Rows][kTileVectors] = {};
  for (int t = 0; t < tiles; t++, v += v_stride, g += kPanel) {
    Vec b[kTileVectors];
    for (int j = 0; j < kTileVectors; j++) b[j] = load(g + j * kLanes);
    for (int i = 0; i < Rows; i++) {
      const Vec a = broadcast(v[i]);
      for (int j = 0; j < kTileVectors; j++) c[i][j] += a * b[j];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < kTileVectors; j++) store(du + i * kPanel + j * kLanes, c[i][j]);
}

// dW (+)= Gᵀ dU G of input channels [c, c + count) and one panel
inline void finish_weights(const Block& w, int panel, int c, int count, const float* du, bool accumulate) {
  for (int i = 0; i < count; i++)
    for (int j = 0; j < kVectors; j++) {
      Vec u[kPoints], half[kTaps * kIn], g[kTaps * kTaps];
      for (int k = 0; k < kPoints; k++) u[k] = load(du + k * point_size(count, kPanel) + (size_t)i * kPanel + j * kLanes);
      for (int k = 0; k < kIn; k++) weights_back(u + k, kIn, half + k, kIn);
      for (int k = 0; k < kTaps; k++) weights_back(half + k * kIn, 1, g + k * kTaps, 1);
      for (int t = 0; t < kTaps * kTaps; t++) {
        float* to = w.gradient + ((size_t)panel * w.rows() + (size_t)t * w.in + c + i) * kPanel + j * kLanes;
        store(to, accumulate ? load(to) + g[t] : g[t]);
      }
    }
}

inline void weight_gradient(Pool& pool, const Pictures& p, const float* x, const float* dy, const Block& w, bool accumulate) {
  const int all = p.tiles();
  Scratch shared;
  float* v = shared.take(kPoints * point_size(std::min(all, kTiles), w.in));
  for (int first = 0; first < all; first += kTiles) {
    const int block = std::min(kTiles, all - first);
    pool.split(block, [&](Range part) {
      transform_inputs(p, x, w.in, {first + part.begin, first + part.end}, first, block, v);
    });
    pool.split(w.panels(), [&](Range part) {
      Scratch scratch;
      float* g = scratch.take(kPoints * point_size(block, kPanel));
      float* du = scratch.take(kPoints * point_size(kColumns, kPanel));
      for (int panel = part.begin; panel < part.end; panel++) {
        transform_gradients(p, dy, w.out, panel, first, block, g);
        for (int c = 0; c < w.in; c += kColumns) {
          const int count = std::min(kColumns, w.in - c);
          for (int k = 0; k < kPoints; k++)
            for_each_tile(count, [&](int row, int height) {
              const float* a = v + k * point_size(block, w.in) + c + row;
              float* to = du + k * point_size(count, kPanel) + (size_t)row * kPanel;
              with_constant_rows(height, [&]<int Rows>() {
                multiply_over_tiles<Rows>(a, w.in, g + k * point_size(block, kPanel), block, to);
              });
            });
          finish_weights(w, panel, c, count, du, accumulate || first > 0);
        }
      }
    });
  }
}

} // namespace tiller::winograd
