// The register tiles under every matrix product. A is read row by row as it lies, one broadcast
// number at a time; B is packed into panels of kPanel columns. Sums run over k in order for every
// output, whatever the tile's height, so results don't depend on how rows are split.
#pragma once
#include <algorithm>

#include "compute/arena.h"

namespace tiller {

// Splits n rows into tiles as even as can be: 16 rows are 6 + 5 + 5, not 6 + 6 + 4, since a low tile
// leaves multipliers idle. Calls body(first row, rows).
template <class Body>
TILLER_INLINE void for_each_tile(int n, const Body& body) {
  const int tiles = (n + kTileRows - 1) / kTileRows;
  for (int left = tiles, row = 0; left > 0; left--) {
    const int rows = (n - row + left - 1) / left;
    body(row, rows);
    row += rows;
  }
}

// Calls f.template operator()<Rows>() with `rows` as a constant.
template <int Rows = kTileRows, class F>
TILLER_INLINE void with_constant_rows(int rows, const F& f) {
  if constexpr (Rows == 1) {
    f.template operator()<1>();
  } else {
    if (rows == Rows) return f.template operator()<Rows>();
    with_constant_rows<Rows - 1>(rows, f);
  }
}

// Where a tile's sums go: row i is out[i * stride + (0 … columns)], and starts from bias + start's row.
// `bias` (a whole panel is read) and `start` may be null; `start` may be `out`.
struct TileOutput {
  float* out;
  size_t stride;
  const float* start = nullptr;
  size_t start_stride = 0;
  const float* bias = nullptr;
  int columns = kPanel;
};

// The same for rows that lie anywhere.
struct ScatteredOutput {
  float* const* out;
  const float* const* start = nullptr;
  const float* bias = nullptr;
  int columns = kPanel;
  int offset = 0; // of the panel's first column, added to each row's pointer
};

TILLER_INLINE float* row_of(const TileOutput& to, int i) { return to.out + i * to.stride; }
TILLER_INLINE float* row_of(const ScatteredOutput& to, int i) { return to.out[i] + to.offset; }
TILLER_INLINE const float* start_of_row(const TileOutput& to, int i) { return to.start + i * to.start_stride; }
TILLER_INLINE const float* start_of_row(const ScatteredOutput& to, int i) { return to.start[i] + to.offset; }

template <int Rows>
TILLER_INLINE void begin_tile(Vec (&c)[Rows][kTileVectors], const float* bias) {
#pragma GCC unroll 2
  for (int j = 0; j < kTileVectors; j++) {
    const Vec b = bias != nullptr ? load(bias + j * kLanes) : Vec{};
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++) c[i][j] = b;
  }
}

// c[i] += rows[i][0 … depth) times panel[0 … depth)[0 … kPanel)
template <int Rows>
TILLER_INLINE void add_to_tile(Vec (&c)[Rows][kTileVectors], const float* const (&rows)[Rows], const float* panel,
                               int depth) {
  for (int k = 0; k < depth; k++, panel += kPanel) {
    Vec b[kTileVectors];
    for (int j = 0; j < kTileVectors; j++) b[j] = load(panel + j * kLanes);
    for (int i = 0; i < Rows; i++) {
      const Vec a = broadcast(rows[i][k]);
      for (int j = 0; j < kTileVectors; j++) c[i][j] += a * b[j];
    }
  }
}

// The last panel of a matrix whose width is no multiple of kPanel.
template <int Rows, class Output>
__attribute__((noinline)) void end_narrow_tile(const Vec (&c)[Rows][kTileVectors], const Output& to) {
  float row[kPanel];
  for (int i = 0; i < Rows; i++) {
    for (int j = 0; j < kTileVectors; j++) store(row + j * kLanes, c[i][j]);
    for (int o = 0; o < to.columns; o++) {
      row_of(to, i)[o] = to.start != nullptr ? row[o] + start_of_row(to, i)[o] : row[o];
    }
  }
}

// Everything is unrolled: an index that is no constant would put the sums into memory.
template <int Rows, class Output>
TILLER_INLINE void end_tile(Vec (&c)[Rows][kTileVectors], const Output& to) {
  if (to.columns != kPanel) {
    Vec copy[Rows][kTileVectors];
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
      for (int j = 0; j < kTileVectors; j++) copy[i][j] = c[i][j];
    return end_narrow_tile<Rows>(copy, to);
  }
  if (to.start != nullptr) {
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
      for (int j = 0; j < kTileVectors; j++) c[i][j] += load(start_of_row(to, i) + j * kLanes);
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < kTileVectors; j++) store(row_of(to, i) + j * kLanes, c[i][j]);
}

// A tile of a matrix product: rows a + i * a_stride.
template <int Rows>
__attribute__((noinline)) void multiply_tile(const float* a, size_t a_stride, const float* panel, int depth,
                                             const TileOutput& to) {
  Vec c[Rows][kTileVectors];
  const float* rows[Rows];
  for (int i = 0; i < Rows; i++) rows[i] = a + i * a_stride;
  begin_tile(c, to.bias);
  add_to_tile<Rows>(c, rows, panel, depth);
  end_tile(c, to);
}

// A tile of a convolution: rows[tap][i] times panels[tap], added up over the taps.
template <int Rows>
__attribute__((noinline)) void convolve_tile(const float* const (*rows)[kTileRows], const float* const* panels,
                                             int taps, int depth, const ScatteredOutput& to) {
  Vec c[Rows][kTileVectors];
  begin_tile(c, to.bias);
  for (int tap = 0; tap < taps; tap++) {
    const float* here[Rows];
    for (int i = 0; i < Rows; i++) here[i] = rows[tap][i];
    add_to_tile<Rows>(c, here, panels[tap], depth);
  }
  end_tile(c, to);
}

// Which input pixel meets which output pixel.
struct Pair {
  int in, out;
};

// A tile of a weight gradient:
// out[r][0 … kPanel) (+)= sum over pairs of x[pair.in * x_stride + r] * g[pair.out * kPanel + (0 … kPanel))
template <int Rows>
__attribute__((noinline)) void accumulate_tile(const float* x, size_t x_stride, const float* g,
                                               const Pair* pairs, int count, float* out, bool accumulate) {
  Vec c[Rows][kTileVectors] = {};
  for (const Pair* pair = pairs; pair != pairs + count; pair++) {
    const float* px = x + pair->in * x_stride;
    const float* pg = g + (size_t)pair->out * kPanel;
    Vec b[kTileVectors];
    for (int j = 0; j < kTileVectors; j++) b[j] = load(pg + j * kLanes);
    for (int i = 0; i < Rows; i++) {
      const Vec a = broadcast(px[i]);
      for (int j = 0; j < kTileVectors; j++) c[i][j] += a * b[j];
    }
  }
  if (accumulate) {
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
      for (int j = 0; j < kTileVectors; j++) c[i][j] += load(out + i * kPanel + j * kLanes);
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < kTileVectors; j++) store(out + i * kPanel + j * kLanes, c[i][j]);
}

} // namespace tiller
