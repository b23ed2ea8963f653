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

// One term of a tile's sum: rows[r][0 … depth) times panel[0 … depth)[0 … kPanel).
struct Term {
  const float* rows[kTileRows];
  const float* panel;
};

// out[r][0 … columns) = bias + start[r] + sum over terms. `bias` and `start` may be null, `start` may
// be `out`. Where columns < kPanel, only so many are read and written; `bias` is read whole.
struct TileOutput {
  float* rows[kTileRows];
  const float* start[kTileRows];
  const float* bias = nullptr;
  bool has_start = false;
  int columns = kPanel;
};

// The last panel of a matrix whose width is no multiple of kPanel.
template <int Rows>
__attribute__((noinline)) void store_narrow(const Vec (*c)[kTileVectors], const TileOutput& out) {
  float row[kPanel];
  for (int i = 0; i < Rows; i++) {
    for (int j = 0; j < kTileVectors; j++) store(row + j * kLanes, c[i][j]);
    for (int o = 0; o < out.columns; o++)
      out.rows[i][o] = out.has_start ? row[o] + out.start[i][o] : row[o];
  }
}

template <int Rows>
__attribute__((noinline)) void multiply_tile(const Term* terms, int count, int depth,
                                             const TileOutput& out) {
  Vec c[Rows][kTileVectors];
  for (int j = 0; j < kTileVectors; j++) {
    const Vec bias = out.bias != nullptr ? load(out.bias + j * kLanes) : Vec{};
    for (int i = 0; i < Rows; i++) c[i][j] = bias;
  }
  for (const Term* term = terms; term != terms + count; term++) {
    const float* rows[Rows];
    for (int i = 0; i < Rows; i++) rows[i] = term->rows[i];
    const float* panel = term->panel;
    for (int k = 0; k < depth; k++, panel += kPanel) {
      Vec b[kTileVectors];
      for (int j = 0; j < kTileVectors; j++) b[j] = load(panel + j * kLanes);
      for (int i = 0; i < Rows; i++) {
        const Vec a = broadcast(rows[i][k]);
        for (int j = 0; j < kTileVectors; j++) c[i][j] += a * b[j];
      }
    }
  }
  // Unrolled by order: an index that is no constant would put c into memory.
  if (out.has_start && out.columns == kPanel) {
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
      for (int j = 0; j < kTileVectors; j++) c[i][j] += load(out.start[i] + j * kLanes);
  }
  if (out.columns == kPanel) {
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
      for (int j = 0; j < kTileVectors; j++) store(out.rows[i] + j * kLanes, c[i][j]);
    return;
  }
  store_narrow<Rows>(c, out);
}

inline void multiply_tile(int rows, const Term* terms, int count, int depth, const TileOutput& out) {
  with_constant_rows(rows, [&]<int Rows>() { multiply_tile<Rows>(terms, count, depth, out); });
}

// The tile of a weight gradient: out[r][0 … kPanel) (+)= sum over pairs of a[pair.a + r] * g[pair.g].
// The pairs are offsets in floats: `a` is packed kTileStride floats a pixel, `g` kPanel.
inline constexpr int kTileStride = 8;
static_assert(kTileStride >= kTileRows);
struct Pair {
  int a, g;
};

template <int Rows>
__attribute__((noinline)) void accumulate_tile(const float* a, const float* g, const Pair* pairs,
                                               int count, float* out, bool accumulate) {
  Vec c[Rows][kTileVectors] = {};
  for (const Pair* pair = pairs; pair != pairs + count; pair++) {
    const float* pa = a + pair->a;
    const float* pg = g + pair->g;
    Vec b[kTileVectors];
    for (int j = 0; j < kTileVectors; j++) b[j] = load(pg + j * kLanes);
    for (int i = 0; i < Rows; i++) {
      const Vec x = broadcast(pa[i]);
      for (int j = 0; j < kTileVectors; j++) c[i][j] += x * b[j];
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
