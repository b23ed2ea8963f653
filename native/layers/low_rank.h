// low_rank.h   the trained low-rank part of a frozen matrix (E. Hu et al., "LoRA: low-rank adaptation of
//              large language models", 2021, section 4.1):  y += s B A x.
//              x [M, K]  A [P·r, K]  B_p [N/P, r]  z [M, P·r]  y [M, N];  P parts, so that matrices that
//              were stacked for one product (queries, keys, values) have an adapter each
// (1) z = s x Aᵀ;  y_p += z_p B_pᵀ        z is not kept: backward makes it again from x
// (2) dB_p = dy_pᵀ z_p                     overwritten or accumulated, as the block's turn is
// (3) dz_p = s dy_p B_p
// (4) dA = dzᵀ x                           likewise
// (5) dx += dz A                           accumulated
#pragma once
#include "compute/graph.h"
#include "kernels/gemm.h"
#include "kernels/weight_gradient.h"

namespace tiller {

struct LowRank {
  Block* down = nullptr;  // A [K, P·r], packed
  std::vector<Block*> up; // B, P packed blocks [r, N/P]
  float scale = 1;        // s = alpha / r

  int parts() const { return (int)up.size(); }
  int rank() const { return up[0]->in; }
  int columns() const { return up[0]->out; } // of one part
  int width() const { return down->out; }    // of z
  std::vector<Block*> blocks() const {
    std::vector<Block*> all{down};
    all.insert(all.end(), up.begin(), up.end());
    return all;
  }
};

// Rows at a time: what the frozen matrix gave is still in the cache when the low-rank part is added.
inline constexpr int kLowRankRows = 192;

// One source of a linear layer: rows `first` … of A belong to it.
struct LowRankSource {
  const float* x;
  int channels, first;
};

namespace low_rank_detail {

inline void scale_rows(float* z, size_t count, float s) {
  for (size_t i = 0; i < count; i++) z[i] *= s;
}

// (1) without the product with B
inline void project(const LowRank& l, const std::vector<LowRankSource>& sources, Range rows, float* z) {
  const int width = l.width(), height = rows.end - rows.begin;
  const float* start = nullptr;
  for (const auto& [x, channels, first] : sources) {
    multiply_rows({x + (size_t)rows.begin * channels, channels, channels, l.down->weight + (size_t)first * kPanel,
                   (size_t)l.down->in * kPanel, width, z, width, nullptr, start, width},
                  {0, height});
    start = z;
  }
  scale_rows(z, (size_t)height * width, l.scale);
}

} // namespace low_rank_detail

// Adds (1) to rows of y, on the calling thread.
inline void low_rank_forward(const LowRank& l, const std::vector<LowRankSource>& sources, Range rows, float* y) {
  const int n = l.parts() * l.columns(), width = l.width(), r = l.rank();
  Scratch scratch;
  float* z = scratch.take((size_t)(rows.end - rows.begin) * width);
  low_rank_detail::project(l, sources, rows, z);
  for (int p = 0; p < l.parts(); p++) {
    float* part = y + (size_t)rows.begin * n + p * l.columns();
    multiply_rows({z + p * r, width, r, l.up[p]->weight, (size_t)r * kPanel, l.columns(), part, n, nullptr, part, n},
                  {0, rows.end - rows.begin});
  }
}

// Floats that low_rank_backward() wants in `workspace`, for `rows` rows.
inline size_t low_rank_workspace(const LowRank& l, int rows) {
  return 2 * round_up((size_t)rows * l.width() + kTileStride, 16) + l.parts() * transposed_size(1, l.rank(), l.columns()) +
         transposed_size(1, l.down->in, l.width());
}

// (2) … (5). `dx`, one a source, may hold null.
inline void low_rank_backward(Pool& pool, const LowRank& l, const std::vector<LowRankSource>& sources, int rows,
                              const float* dy, const std::vector<float*>& dx, float* workspace) {
  static const PixelBlocks table = row_blocks();
  const int n = l.parts() * l.columns(), width = l.width(), r = l.rank();
  const size_t array = round_up((size_t)rows * width + kTileStride, 16), up_size = transposed_size(1, r, l.columns());
  float *z = workspace, *dz = z + array, *up_t = dz + array, *down_t = up_t + l.parts() * up_size;
  for (int p = 0; p < l.parts(); p++) transpose_panels(pool, l.up[p]->weight, *l.up[p], 0, r, up_t + p * up_size);
  pool.split(rows, [&](Range part) {
    const size_t at = (size_t)part.begin * width;
    low_rank_detail::project(l, sources, part, z + at);
    for (int p = 0; p < l.parts(); p++) { // (3)
      multiply_rows({dy + (size_t)part.begin * n + p * l.columns(), n, l.columns(), up_t + p * up_size,
                     (size_t)l.columns() * kPanel, r, dz + at + p * r, width},
                    {0, part.end - part.begin});
    }
    low_rank_detail::scale_rows(dz + at, (size_t)(part.end - part.begin) * width, l.scale);
  });
  for (int p = 0; p < l.parts(); p++) { // (2)
    weight_gradient(pool, {&table, rows, z + p * r, width, r, dy + p * l.columns(), n, l.columns(), l.up[p]->gradient, r, 0,
                           r, l.up[p]->accumulate_gradient()});
  }
  const bool accumulate = l.down->accumulate_gradient();
  for (size_t s = 0; s < sources.size(); s++) {
    const auto& [x, channels, first] = sources[s];
    weight_gradient(pool, {&table, rows, x, channels, channels, dz, width, width, l.down->gradient, l.down->in, first,
                           l.down->in, accumulate}); // (4)
    if (dx[s] == nullptr) continue;
    transpose_panels(pool, l.down->weight, *l.down, first, channels, down_t);
    multiply(pool, {dz, width, width, down_t, (size_t)width * kPanel, channels, dx[s], channels, nullptr, dx[s], channels},
             rows); // (5)
  }
}

// What is added to y, as nodes of a graph.
inline Tensor low_rank_nodes(Graph& graph, const LowRank& l, Tensor x) {
  Tensor z = ggml_scale(graph.context(), graph.linear(graph.weight(l.down), nullptr, x), l.scale);
  Tensor all = nullptr;
  for (int p = 0; p < l.parts(); p++) {
    Tensor part = graph.linear(graph.weight(l.up[p]), nullptr, graph.slice(z, 0, p * l.rank(), l.rank()));
    all = all ? ggml_concat(graph.context(), all, part, 0) : part;
  }
  return all;
}

// (2) … (5) as nodes; returns what is added to dx.
inline Tensor low_rank_nodes_back(Graph& graph, const LowRank& l, Tensor x, Tensor dy) {
  Tensor z = ggml_scale(graph.context(), graph.linear(graph.weight(l.down), nullptr, x), l.scale), dz = nullptr;
  for (int p = 0; p < l.parts(); p++) {
    Tensor part = graph.slice(dy, 0, p * l.columns(), l.columns());
    graph.add_gradient(l.up[p], graph.linear_grad_w(graph.slice(z, 0, p * l.rank(), l.rank()), part)); // (2)
    Tensor dpart = ggml_scale(graph.context(), graph.linear_grad_x(graph.weight(l.up[p]), part), l.scale);
    dz = dz ? ggml_concat(graph.context(), dz, dpart, 0) : dpart; // (3)
  }
  graph.add_gradient(l.down, graph.linear_grad_w(x, dz));    // (4)
  return graph.linear_grad_x(graph.weight(l.down), dz); // (5)
}

} // namespace tiller
