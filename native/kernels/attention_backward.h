// The backward pass of attention: the weights are computed again from the log-sum-exp (T. Dao et al.,
// "FlashAttention", 2022, algorithm 4), for one block of queries and one panel of keys at a time. Scores
// are kept with the keys innermost. Formulas: layers/attention.h.
#pragma once
#include "kernels/attention_tiles.h"

namespace tiller {

struct AttentionGradients {
  const float* dout; // as o
  float* dq;         // as q; null where not wanted
  float *dk, *dv;    // as k and v; both null where not wanted
  bool accumulate_q, accumulate_kv;
};

namespace attention_detail {

inline constexpr int kQueryBlock = 32; // queries at a time

// What the backward pass of one head works on. Packed rows are `size` long, wide ones `wide`.
struct HeadBuffers {
  int size, wide;
  float *q, *g;           // packed [query][size]; q is scaled by scale log2 e
  float *qt, *gt;         // the same as [block of queries][size][query]
  float *minus_lse, *minus_dot; // [query]
  float* dq;              // [query][wide]
  float *kt, *vt;         // [size][key of the panel]
  float* k;               // [key of the panel][wide]
  float *p, *ds;          // [query of the block][key of the panel]
  float *dkt, *dvt;       // [size][key of the panel]

  HeadBuffers(Scratch& scratch, int queries, int size) : size(size), wide(round_up(size, kLanes)) {
    const size_t padded = round_up(queries, kQueryBlock) * size;
    q = scratch.take(padded), g = scratch.take(padded);
    qt = scratch.take(padded), gt = scratch.take(padded);
    minus_lse = scratch.take(queries), minus_dot = scratch.take(queries);
    dq = scratch.take((size_t)queries * wide);
    kt = scratch.take(size * kPanel), vt = scratch.take(size * kPanel);
    k = scratch.take(wide * kPanel);
    p = scratch.take(kQueryBlock * kPanel), ds = scratch.take(kQueryBlock * kPanel);
    dkt = scratch.take(size * kPanel), dvt = scratch.take(size * kPanel);
  }
};

// rows[d][key] += sum over queries: a[query][d] * weights[query][key]
inline void add_to_keys(float* rows, const float* a, const float* weights, int size, int queries) {
  for_each_tile(size, [&](int first, int height) {
    with_constant_rows(height, [&]<int Rows>() {
      Vec c[Rows][kTileVectors];
      fill_tile(c, rows + first * kPanel, kPanel);
      add_products(c, a + first, 1, size, weights, kPanel, queries);
      store_tile(c, rows + first * kPanel, kPanel);
    });
  });
}

// dq[query][d] += sum over keys: ds[query][key] * k[key][d], Vectors of d at a time
template <int Vectors>
inline void add_to_queries(const HeadBuffers& h, float* dq, int queries, int keys, int d) {
  for_each_tile(queries, [&](int first, int height) {
    with_constant_rows(height, [&]<int Rows>() {
      Vec c[Rows][Vectors];
      fill_tile(c, dq + (size_t)first * h.wide + d, h.wide);
      add_products(c, h.ds + first * kPanel, kPanel, 1, h.k + d, h.wide, keys);
      store_tile(c, dq + (size_t)first * h.wide + d, h.wide);
    });
  });
}

// (4) … (8) for one block of queries against one panel of keys
inline void backward_block(const HeadBuffers& h, int q0, int queries, int k0, int keys, bool causal) {
  const float *qt = h.qt + (size_t)q0 * h.size, *gt = h.gt + (size_t)q0 * h.size;
  for_each_tile(queries, [&](int first, int height) {
    with_constant_rows(height, [&]<int Rows>() {
      Vec p[Rows][kTileVectors], ds[Rows][kTileVectors];
      for (int i = 0; i < Rows; i++)
        for (int j = 0; j < kTileVectors; j++) p[i][j] = broadcast(h.minus_lse[q0 + first + i]);
      add_products(p, qt + first, 1, kQueryBlock, h.kt, kPanel, h.size);
      for (int i = 0; i < Rows; i++)
        for (int j = 0; j < kTileVectors; j++) {
          p[i][j] = exp2_below_127(p[i][j]); // (4); past the last key it may be anything
          if (causal) p[i][j] = counting(k0 + j * kLanes) > q0 + first + i ? Vec{} : p[i][j];
        }
      store_tile(p, h.p + first * kPanel, kPanel);
      for (int i = 0; i < Rows; i++)
        for (int j = 0; j < kTileVectors; j++) ds[i][j] = broadcast(h.minus_dot[q0 + first + i]);
      add_products(ds, gt + first, 1, kQueryBlock, h.vt, kPanel, h.size);
      for (int i = 0; i < Rows; i++)
        for (int j = 0; j < kTileVectors; j++)
          ds[i][j] *= load(h.p + (first + i) * kPanel + j * kLanes); // (5)
      store_tile(ds, h.ds + first * kPanel, kPanel);
    });
  });
  add_to_keys(h.dvt, h.g + (size_t)q0 * h.size, h.p, h.size, queries);  // (6)
  add_to_keys(h.dkt, h.q + (size_t)q0 * h.size, h.ds, h.size, queries); // (7)
  float* dq = h.dq + (size_t)q0 * h.wide;
  int d = 0; // (8)
  for (; d + kPanel <= h.wide; d += kPanel) add_to_queries<kTileVectors>(h, dq, queries, keys, d);
  if (d < h.wide) add_to_queries<1>(h, dq, queries, keys, d);
}

inline void write(float* to, float value, bool accumulate) { *to = accumulate ? *to + value : value; }

} // namespace attention_detail

inline void attention_backward_head(const AttentionJob& job, const AttentionGradients& g, int n, int head) {
  using namespace attention_detail;
  const int size = job.head_size, os = job.o_stride(), qs = job.q_stride, ks = job.kv_stride;
  const size_t q_base = (size_t)n * job.queries * qs + head * size;
  const size_t k_base = (size_t)n * job.keys * ks + head * size;
  const size_t o_base = (size_t)n * job.queries * os + head * size;
  const float* lse = job.lse + ((size_t)n * job.heads + head) * job.queries;
  Scratch scratch;
  const HeadBuffers h(scratch, job.queries, size);
  const float q_scale = job.scale() * kLog2E;
  for (int t = 0; t < job.queries; t++) {
    float dot = 0;
    for (int d = 0; d < size; d++) {
      const float dout = g.dout[o_base + (size_t)t * os + d];
      h.q[(size_t)t * size + d] = job.q[q_base + (size_t)t * qs + d] * q_scale;
      h.g[(size_t)t * size + d] = dout;
      dot += dout * job.o[o_base + (size_t)t * os + d];
    }
    h.minus_lse[t] = -lse[t];
    h.minus_dot[t] = -dot;
  }
  for (int q0 = 0; q0 < job.queries; q0 += kQueryBlock) {
    const int count = std::min(kQueryBlock, job.queries - q0);
    const size_t at = (size_t)q0 * size;
    pack_transposed<kQueryBlock>(h.q + at, size, count, size, 1, h.qt + at);
    pack_transposed<kQueryBlock>(h.g + at, size, count, size, 1, h.gt + at);
  }
  std::fill(h.dq, h.dq + (size_t)job.queries * h.wide, 0.f);
  for (int k0 = 0; k0 < job.keys; k0 += kPanel) {
    const int count = std::min(kPanel, job.keys - k0);
    const float *k = job.k + k_base + (size_t)k0 * ks, *v = job.v + k_base + (size_t)k0 * ks;
    pack_transposed<kPanel>(k, ks, count, size, 1, h.kt);
    pack_transposed<kPanel>(v, ks, count, size, 1, h.vt);
    for (int i = 0; i < count; i++)
      for (int d = 0; d < h.wide; d++) h.k[i * h.wide + d] = d < size ? k[(size_t)i * ks + d] : 0;
    std::fill(h.dkt, h.dkt + size * kPanel, 0.f);
    std::fill(h.dvt, h.dvt + size * kPanel, 0.f);
    const int first = job.causal ? k0 / kQueryBlock * kQueryBlock : 0; // earlier queries see none
    for (int q0 = first; q0 < job.queries; q0 += kQueryBlock)
      backward_block(h, q0, std::min(kQueryBlock, job.queries - q0), k0, count, job.causal);
    for (int i = 0; g.dk != nullptr && i < count; i++)
      for (int d = 0; d < size; d++) {
        const size_t at = k_base + (size_t)(k0 + i) * ks + d;
        write(g.dk + at, h.dkt[d * kPanel + i] * (1 / kLog2E), g.accumulate_kv);
        write(g.dv + at, h.dvt[d * kPanel + i], g.accumulate_kv);
      }
  }
  for (int t = 0; g.dq != nullptr && t < job.queries; t++)
    for (int d = 0; d < size; d++)
      write(g.dq + q_base + (size_t)t * qs + d, h.dq[(size_t)t * h.wide + d] * job.scale(), g.accumulate_q);
}

} // namespace tiller
