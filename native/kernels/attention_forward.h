// Attention without its matrix of weights: one head of one picture at a time, in panels of queries that
// stay in L1, with a running softmax over blocks of keys (T. Dao et al., "FlashAttention", 2022,
// algorithm 1). Scores are kept with the queries innermost, so that no sum runs across a vector.
// Formulas: layers/attention.h.
#pragma once
#include "kernels/attention_tiles.h"

namespace tiller {

namespace attention_detail {

inline constexpr int kKeyBlock = 128; // keys between two rescalings of the running softmax
inline constexpr int kQueryPanels = 4; // panels that go through a block of keys while it is near
inline constexpr float kMasked = -1e30f;

// A head's keys and values, one row after another: as they lie among the others', rows of many keys would
// share a few sets of the cache.
struct PackedKeys {
  float *kt; // [block of keys][channel][key]
  float *v;  // [key][channel]

  PackedKeys(Scratch& scratch, const AttentionJob& job, const float* k, const float* from_v) {
    const int size = job.head_size, stride = job.kv_stride;
    kt = scratch.take(round_up(job.keys, kKeyBlock) * size);
    v = scratch.take((size_t)job.keys * size);
    for (int k0 = 0; k0 < job.keys; k0 += kKeyBlock) {
      const int count = std::min(kKeyBlock, job.keys - k0);
      pack_transposed<kKeyBlock>(k + (size_t)k0 * stride, stride, count, size, 1, kt + (size_t)k0 * size);
    }
    for (int i = 0; i < job.keys; i++) std::memcpy(v + (size_t)i * size, from_v + (size_t)i * stride, size * sizeof(float));
  }
};

// A panel of queries on its way through the keys.
struct QueryPanel {
  int first, count, keys; // queries; how many keys they see
  float *qt, *ot;         // [channel][query]
  Vec most[kTileVectors], total[kTileVectors];

  QueryPanel(Scratch& scratch, const AttentionJob& job, const float* q, int first) : first(first) {
    const int size = job.head_size;
    count = std::min(kPanel, job.queries - first);
    keys = job.causal ? std::min(job.keys, first + count) : job.keys;
    qt = scratch.take(size * kPanel), ot = scratch.take(size * kPanel);
    pack_transposed<kPanel>(q + (size_t)first * job.q_stride, job.q_stride, count, size, job.scale() * kLog2E, qt);
    for (int j = 0; j < kTileVectors; j++) most[j] = broadcast(kMasked), total[j] = Vec{};
  }
};

// (1) … (3) for one panel and one block of keys; `scores` is [key][query].
inline void through_block(const AttentionJob& job, const PackedKeys& packed, QueryPanel& panel, int k0, float* scores) {
  const int size = job.head_size, block = std::min(kKeyBlock, panel.keys - k0);
  Vec before[kTileVectors];
  for (int j = 0; j < kTileVectors; j++) before[j] = panel.most[j];
  for_each_tile(block, [&](int first, int rows) { // (1)
    with_constant_rows(rows, [&]<int Rows>() {
      Vec c[Rows][kTileVectors] = {};
      add_products(c, packed.kt + (size_t)k0 * size + first, 1, kKeyBlock, panel.qt, kPanel, size);
      for (int j = 0; job.causal && j < kTileVectors; j++)
        for (int i = 0; i < Rows; i++)
          c[i][j] = counting(panel.first + j * kLanes) < k0 + first + i ? broadcast(kMasked) : c[i][j];
      for (int i = 0; i < Rows; i++)
        for (int j = 0; j < kTileVectors; j++) panel.most[j] = max(panel.most[j], c[i][j]);
      store_tile(c, scores + first * kPanel, kPanel);
    });
  });
  Vec shrink[kTileVectors];
  for (int j = 0; j < kTileVectors; j++) {
    shrink[j] = exp2_below_127(before[j] - panel.most[j]);
    panel.total[j] *= shrink[j];
  }
  for (int i = 0; i < block; i++) // (2)
    for (int j = 0; j < kTileVectors; j++) {
      const Vec p = exp2_below_127(load(scores + i * kPanel + j * kLanes) - panel.most[j]);
      panel.total[j] += p;
      store(scores + i * kPanel + j * kLanes, p);
    }
  for_each_tile(size, [&](int first, int rows) { // (3)
    with_constant_rows(rows, [&]<int Rows>() {
      Vec c[Rows][kTileVectors] = {};
      if (k0 > 0) {
        fill_tile(c, panel.ot + first * kPanel, kPanel);
        for (int i = 0; i < Rows; i++)
          for (int j = 0; j < kTileVectors; j++) c[i][j] *= shrink[j];
      }
      add_products(c, packed.v + (size_t)k0 * size + first, 1, size, scores, kPanel, block);
      store_tile(c, panel.ot + first * kPanel, kPanel);
    });
  });
}

inline void finish_panel(const AttentionJob& job, const QueryPanel& panel, float* o, float* lse) {
  float inverse[kPanel], highest[kPanel];
  for (int j = 0; j < kTileVectors; j++) {
    store(inverse + j * kLanes, 1.f / panel.total[j]);
    store(highest + j * kLanes, panel.most[j]);
  }
  for (int i = 0; i < panel.count; i++) {
    lse[panel.first + i] = highest[i] - std::log2(inverse[i]);
    float* out = o + (size_t)(panel.first + i) * job.o_stride();
    for (int d = 0; d < job.head_size; d++) out[d] = panel.ot[d * kPanel + i] * inverse[i];
  }
}

} // namespace attention_detail

// `panels`: which of the head's panels of queries; what one gives doesn't depend on the others.
inline void attention_forward_head(const AttentionJob& job, int n, int head, Range panels) {
  using namespace attention_detail;
  const int size = job.head_size;
  const size_t keys = (size_t)n * job.keys * job.kv_stride + head * size;
  const float* q = job.q + (size_t)n * job.queries * job.q_stride + head * size;
  float* o = job.o + (size_t)n * job.queries * job.o_stride() + head * size;
  float* lse = job.lse + ((size_t)n * job.heads + head) * job.queries;
  Scratch scratch;
  float* scores = scratch.take(kKeyBlock * kPanel);
  const PackedKeys packed(scratch, job, job.k + keys, job.v + keys);
  for (int p = panels.begin; p < panels.end; p += kQueryPanels) {
    Scratch of_group;
    std::vector<QueryPanel> group;
    int most_keys = 0;
    for (int i = p; i < std::min(p + kQueryPanels, panels.end); i++) {
      group.emplace_back(of_group, job, q, i * kPanel);
      most_keys = std::max(most_keys, group.back().keys);
    }
    for (int k0 = 0; k0 < most_keys; k0 += kKeyBlock)
      for (QueryPanel& panel : group)
        if (k0 < panel.keys) through_block(job, packed, panel, k0, scores);
    for (const QueryPanel& panel : group) finish_panel(job, panel, o, lse);
  }
}

} // namespace tiller
