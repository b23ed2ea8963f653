// attention.h   o = softmax(q kᵀ/√d) v, per picture and head (Vaswani et al., 2017, section 3.2.1).
//               q [n, T, D] at column `q_column` of its value, k, v [n, S, D] at columns `k_column`,
//               `v_column` of theirs, o [n, T, D], D = heads · d. Self-attention reads one value
//               [n, T, 3D] for all three. `causal`: query t sees keys 0 … t.
// (1) s = q kᵀ/√d           in base 2: times log₂ e
// (2) p = 2^(s - l), l = log₂ sum 2^s     l is kept for backward, p is not
// (3) o = p v               overwritten
// (4) p again from q, k and l
// (5) ds = p (do vᵀ - sum do·o)
// (6) dv = pᵀ do,  (7) dk = dsᵀ q/√d,  (8) dq = ds k/√d      overwritten or accumulated
#pragma once
#include <map>

#include "compute/graph.h"
#include "compute/graph_attention.h"
#include "compute/tape.h"
#include "kernels/attention_backward.h"
#include "kernels/attention_forward.h"

namespace tiller {

struct Attention : Layer {
  struct Columns {
    int q = 0, k = 0, v = 0;
  };

  Value *q, *kv, *o, *lse; // q and kv may be the same value
  const Columns columns;
  const int heads, head_size;
  const bool causal;

  Attention(Tape& tape, Value* q, Value* kv, Columns columns, int heads, int head_size, bool causal = false)
      : Layer(tape), q(keeps(reads(q))), kv(q == kv ? kv : keeps(reads(kv))), columns(columns),
        heads(heads), head_size(head_size), causal(causal) {
    o = keeps(makes({q->shape.n, q->shape.h, q->shape.w, heads * head_size}, false));
    lse = saves({q->shape.n, 1, heads, q->shape.tokens()});
  }

  const char* kind() const override { return "attention"; }

  void forward() override {
    // An autoencoder's one head is work for all threads: each then takes some of its panels.
    const AttentionJob all = job();
    const int items = q->shape.n * heads, parts = (pool().threads() + items - 1) / items;
    pool().split(items * parts, [&](Range range) {
      for (int i = range.begin; i < range.end; i++) {
        const int item = i / parts;
        attention_forward_head(all, item / heads, item % heads, part_of(all.panels(), i % parts, parts));
      }
    });
  }

  void backward() override {
    AttentionGradients g{o->gradient, nullptr, nullptr, nullptr, false, false};
    if (q->needs_gradient) {
      g.dq = q->gradient + columns.q;
      g.accumulate_q = q->accumulate_gradient();
    }
    if (kv->needs_gradient) {
      g.dk = kv->gradient + columns.k;
      g.dv = kv->gradient + columns.v;
      g.accumulate_kv = q == kv ? g.accumulate_q : kv->accumulate_gradient();
    }
    each_head([&](int n, int head) { attention_backward_head(job(), g, n, head); });
  }

  void graph_forward(Graph& graph) override { graph.set_tokens(o, nodes(graph).forward()); } // (1) … (3)

  void graph_backward(Graph& graph) override {
    const auto [dq, dk, dv] = nodes(graph).backward(graph.gradient(o)); // (4) … (8)
    if (q == kv) return graph.add_gradient(q, side_by_side(graph, {{columns.q, dq}, {columns.k, dk}, {columns.v, dv}}));
    graph.add_gradient(q, side_by_side(graph, {{columns.q, dq}}));
    graph.add_gradient(kv, side_by_side(graph, {{columns.k, dk}, {columns.v, dv}}));
  }

 private:
  AttentionNodes nodes(Graph& graph) const {
    const auto part = [&](const Value* value, int column) {
      return graph.slice(graph.tokens(value), 0, column, heads * head_size);
    };
    return {graph, part(q, columns.q), part(kv, columns.k), part(kv, columns.v), heads,
            causal ? graph.causal_mask(q->shape.tokens()) : nullptr};
  }

  // Gradients of parts of a value, which make up the whole of it.
  static Tensor side_by_side(Graph& graph, std::map<int, Tensor> parts) {
    Tensor all = nullptr;
    for (const auto& [column, part] : parts) all = all ? ggml_concat(graph.context(), all, part, 0) : part;
    return all;
  }

  template <class Body>
  void each_head(const Body& body) {
    pool().split(q->shape.n * heads, [&](Range range) {
      for (int i = range.begin; i < range.end; i++) body(i / heads, i % heads);
    });
  }

  AttentionJob job() const {
    return {q->shape.tokens(), kv->shape.tokens(), heads, head_size, causal,
            q->data + columns.q, q->channels(), kv->data + columns.k, kv->data + columns.v,
            kv->channels(), o->data, lse->data};
  }
};

} // namespace tiller
