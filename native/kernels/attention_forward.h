// Attention without its matrix of weights: one head of one picture at a time, in panels of queries that
// stay in L1, with a running softmax over blocks of keys (T. Dao et al., "FlashAttention", 2022,
// algorithm 1). Scores are kept with the queries innermost, so that no sum runs across a vector.
// Formulas: layers/attention.h.
#pragma once
#include "kernels/attention_tiles.h"

namespace tiller {

namespace attention_detail {

inline constexpr int kKeyBlock = 128; // keys between two rescalings of the running softmax
inline constexpr float kMasked = -1e30f;

} // namespace attention_detail

// `panels`: which of the head's panels of queries; what one gives doesn't depend on the others.
inline void attention_forward_head(const AttentionJob& job, int n, int head, Range panels) {
  using namespace attention_detail;
  const int size = job.head_size, qs = job.q_stride, ks = job.kv_stride;
  const float* q = job.q + (size_t)n * job.queries * qs + head * size;
  const float* k = job.k + (size_t)n * job.keys * ks + head * size;
  const float* v = job.v + (size_t)n * job.keys * ks + head * size;
  float* o = job.o + (size_t)n * job.queries * job.o_stride() + head * size;
  float* lse = job.lse + ((size_t)n * job.heads + head) * job.queries;
  Scratch scratch;
  float* scores = scratch.take(kKeyBlock * kPanel); // [key][query]
  float *qt = scratch.take(size * kPanel), *ot = scratch.take(size * kPanel); // [channel][query]
  float* kt = scratch.take(round_up(job.keys, kKeyBlock) * size); // [block of keys][channel][key]
  for (int k0 = 0; k0 < job.keys; k0 += kKeyBlock) {
    const int count = std::min(kKeyBlock, job.keys - k0);
    pack_transposed<kKeyBlock>(k + (size_t)k0 * ks, ks, count, size, 1, kt + (size_t)k0 * size);
  }
  for (int q0 = panels.begin * kPanel; q0 < std::min(job.queries, panels.end * kPanel); q0 += kPanel) {
    const int count = std::min(kPanel, job.queries - q0);
    const int keys = job.causal ? std::min(job.keys, q0 + count) : job.keys;
    pack_transposed<kPanel>(q + (size_t)q0 * qs, qs, count, size, job.scale() * kLog2E, qt);
    Vec most[kTileVectors], total[kTileVectors] = {};
    for (auto& m : most) m = broadcast(kMasked);
    for (int k0 = 0; k0 < keys; k0 += kKeyBlock) {
      const int block = std::min(kKeyBlock, keys - k0);
      Vec before[kTileVectors];
      for (int j = 0; j < kTileVectors; j++) before[j] = most[j];
      for_each_tile(block, [&](int first, int rows) { // (1)
        with_constant_rows(rows, [&]<int Rows>() {
          Vec c[Rows][kTileVectors] = {};
          add_products(c, kt + (size_t)k0 * size + first, 1, kKeyBlock, qt, kPanel, size);
          for (int j = 0; job.causal && j < kTileVectors; j++)
            for (int i = 0; i < Rows; i++)
              c[i][j] = counting(q0 + j * kLanes) < k0 + first + i ? broadcast(kMasked) : c[i][j];
          for (int i = 0; i < Rows; i++)
            for (int j = 0; j < kTileVectors; j++) most[j] = max(most[j], c[i][j]);
          store_tile(c, scores + first * kPanel, kPanel);
        });
      });
      Vec shrink[kTileVectors];
      for (int j = 0; j < kTileVectors; j++) {
        shrink[j] = exp2_below_127(before[j] - most[j]);
        total[j] *= shrink[j];
      }
      for (int i = 0; i < block; i++) // (2)
        for (int j = 0; j < kTileVectors; j++) {
          const Vec p = exp2_below_127(load(scores + i * kPanel + j * kLanes) - most[j]);
          total[j] += p;
          store(scores + i * kPanel + j * kLanes, p);
        }
      for_each_tile(size, [&](int first, int rows) { // (3)
        with_constant_rows(rows, [&]<int Rows>() {
          Vec c[Rows][kTileVectors] = {};
          if (k0 > 0) {
            fill_tile(c, ot + first * kPanel, kPanel);
            for (int i = 0; i < Rows; i++)
              for (int j = 0; j < kTileVectors; j++) c[i][j] *= shrink[j];
          }
          add_products(c, v + (size_t)k0 * ks + first, 1, ks, scores, kPanel, block);
          store_tile(c, ot + first * kPanel, kPanel);
        });
      });
    }
    float inverse[kPanel], highest[kPanel];
    for (int j = 0; j < kTileVectors; j++) {
      store(inverse + j * kLanes, 1.f / total[j]);
      store(highest + j * kLanes, most[j]);
    }
    for (int i = 0; i < count; i++) {
      lse[q0 + i] = highest[i] - std::log2(inverse[i]);
      float* out = o + (size_t)(q0 + i) * job.o_stride();
      for (int d = 0; d < size; d++) out[d] = ot[d * kPanel + i] * inverse[i];
    }
  }
}

} // namespace tiller
