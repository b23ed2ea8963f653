// What both passes of attention are made of: the job, and products of small tiles whose operands may be
// read down or across. Formulas: layers/attention.h.
#pragma once
#include <cmath>

#include "compute/arena.h"
#include "compute/pool.h"
#include "kernels/functions.h"
#include "kernels/tile.h"

namespace tiller {

struct AttentionJob {
  int queries, keys, heads, head_size;
  bool causal;
  const float* q; // query t of picture n: q + (n * queries + t) * q_stride + head * head_size
  int q_stride;
  const float *k, *v; // with kv_stride
  int kv_stride;
  float* o; // [pictures, queries, heads * head_size]
  float* lse; // [pictures, heads, queries]: log2 of the sum of 2^score

  int o_stride() const { return heads * head_size; }
  int panels() const { return (queries + kPanel - 1) / kPanel; } // of queries
  float scale() const { return 1 / std::sqrt((float)head_size); }
};

namespace attention_detail {

// c[i][j] += sum over k: a[i * a_row + k * a_step] * b[k * b_step + j]
template <int Rows, int Vectors>
TILLER_INLINE void add_products(Vec (&c)[Rows][Vectors], const float* a, int a_row, int a_step,
                                const float* b, int b_step, int depth) {
  for (int k = 0; k < depth; k++, a += a_step, b += b_step) {
    Vec y[Vectors];
    for (int j = 0; j < Vectors; j++) y[j] = load(b + j * kLanes);
    for (int i = 0; i < Rows; i++) {
      const Vec x = broadcast(a[(ptrdiff_t)i * a_row]);
      for (int j = 0; j < Vectors; j++) c[i][j] += x * y[j];
    }
  }
}

template <int Rows, int Vectors>
TILLER_INLINE void fill_tile(Vec (&c)[Rows][Vectors], const float* from, int stride) {
  for (int i = 0; i < Rows; i++)
    for (int j = 0; j < Vectors; j++) c[i][j] = load(from + (ptrdiff_t)i * stride + j * kLanes);
}
template <int Rows, int Vectors>
TILLER_INLINE void store_tile(const Vec (&c)[Rows][Vectors], float* to, int stride) {
  for (int i = 0; i < Rows; i++)
    for (int j = 0; j < Vectors; j++) store(to + (ptrdiff_t)i * stride + j * kLanes, c[i][j]);
}

// first, first + 1, …
TILLER_INLINE VecInt counting(int first) {
  VecInt v;
  for (int i = 0; i < kLanes; i++) v[i] = first + i;
  return v;
}

// to[d][i] = from[i][d] * factor for `count` of Width rows; the others are zero.
template <int Width>
inline void pack_transposed(const float* from, int stride, int count, int size, float factor, float* to) {
  for (int d = 0; d < size; d++, to += Width) {
    for (int i = 0; i < count; i++) to[i] = from[(size_t)i * stride + d] * factor;
    for (int i = count; i < Width; i++) to[i] = 0;
  }
}

} // namespace attention_detail

} // namespace tiller
