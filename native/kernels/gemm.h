// Linear layers: x [M, K] times packed panels [K, N], and the transposition of panels for the
// gradient of x.
#pragma once
#include "compute/parameters.h"
#include "compute/pool.h"
#include "kernels/tile.h"

namespace tiller {

struct Gemm {
  const float* a; // [rows, depth], a_stride floats from row to row
  int a_stride;
  int depth;
  const float* panels; // the first row that is used of the first panel
  size_t panel_size;   // floats from panel to panel
  int columns;         // of the output
  float* c;
  int c_stride;
  const float* bias = nullptr;     // padded to a panel
  const float* residual = nullptr; // added to the result; may be c
  int residual_stride = 0;
};

// Rows and depth of a block: a quarter of a 512 KiB L2 for A, and a panel that stays in L1 or L2.
inline constexpr int kDepthBlock = 512;
inline constexpr int kRowBlockFloats = 32 * 1024;

// c = bias + a * panels + residual, on the calling thread.
inline void multiply_rows(const Gemm& g, Range rows) {
  const int depth_block = std::min(g.depth, kDepthBlock);
  const int row_block = std::max(kTileRows, kRowBlockFloats / std::max(1, depth_block));
  for (int m0 = rows.begin; m0 < rows.end; m0 += row_block) {
    const int m1 = std::min(rows.end, m0 + row_block);
    for (int k0 = 0; k0 < g.depth; k0 += depth_block)
      for (int o = 0, p = 0; o < g.columns; o += kPanel, p++)
        for_each_tile(m1 - m0, [&](int offset, int height) {
          const size_t m = (size_t)m0 + offset;
          TileOutput to{g.c + m * g.c_stride + o, (size_t)g.c_stride};
          to.columns = std::min(kPanel, g.columns - o);
          if (k0 > 0) {
            to.start = to.out, to.start_stride = to.stride;
          } else {
            to.bias = g.bias != nullptr ? g.bias + o : nullptr;
            to.start = g.residual != nullptr ? g.residual + m * g.residual_stride + o : nullptr;
            to.start_stride = g.residual_stride;
          }
          const float* panel = g.panels + p * g.panel_size + (size_t)k0 * kPanel;
          const int depth = std::min(depth_block, g.depth - k0);
          with_constant_rows(height, [&]<int Rows>() {
            multiply_tile<Rows>(g.a + m * g.a_stride + k0, g.a_stride, panel, depth, to);
          });
        });
  }
}

inline void multiply(Pool& pool, const Gemm& g, int rows) {
  pool.split(rows, [&](Range part) { multiply_rows(g, part); });
}

// How many floats transpose_panels() writes.
inline size_t transposed_size(int taps, int in, int out) {
  return round_up(in, kPanel) * (size_t)taps * out;
}

// Panels [out][taps][in], of which inputs [in_begin, in_begin + in_count) are taken, to panels
// [in_count][taps][out]. Columns past in_count are left as they are: what is computed from them is never stored.
inline void transpose_panels(Pool& pool, const float* from, const Block& block, int in_begin,
                             int in_count, float* to) {
  const int taps = block.taps, in = block.in, out = block.out;
  const size_t from_size = (size_t)block.rows() * kPanel, to_size = (size_t)taps * out * kPanel;
  const auto squares = [&](int tap, int i, const float* source, float* target) {
    const int i_count = std::min(kLanes, in_count - i);
    const float* row = source + ((size_t)tap * in + in_begin + i) * kPanel;
    float* column = target + (size_t)tap * out * kPanel + i % kPanel;
    for (int o = 0; o < out; o += kLanes) {
      const float* s = row + (size_t)(o / kPanel) * from_size + o % kPanel;
      float* t = column + (size_t)o * kPanel;
      const int o_count = std::min(kLanes, out - o);
      if (i_count == kLanes && o_count == kLanes) {
        transpose_square(s, kPanel, t, kPanel);
      } else {
        for (int oo = 0; oo < o_count; oo++)
          for (int ii = 0; ii < i_count; ii++) t[oo * kPanel + ii] = s[ii * kPanel + oo];
      }
    }
  };
  pool.split((in_count + kLanes - 1) / kLanes, [&](Range part) {
    for (int i = part.begin * kLanes; i < std::min(part.end * kLanes, in_count); i += kLanes)
      for (int tap = 0; tap < taps; tap++) squares(tap, i, from, to + (size_t)(i / kPanel) * to_size);
  });
}

} // namespace tiller
