// graph_attention.h   multi-head attention as ggml nodes; the backward computes the probabilities
// again, as [Tk, Tq] for every head is more than should be kept.
//
//   q, o [C, Tq, N]   k, v [C, Tk, N]   C = heads * d, head h has channels h*d … h*d + d-1
// (1) s = k·q / sqrt(d) (+ mask)   [Tk, Tq] for each head
// (2) p = softmax over Tk of s
// (3) o = Σ_Tk p v
// (4) gv = Σ_Tq p go
// (5) gp = v·go
// (6) gs = p (gp - Σ_Tk p gp) / sqrt(d)
// (7) gq = Σ_Tk gs k
// (8) gk = Σ_Tq gs q
#pragma once

#include <cmath>

#include "compute/graph_nodes.h"

namespace tiller {

struct AttentionGrads {
  Tensor q, k, v;
};

class AttentionNodes {
 public:
  // mask: [Tk, Tq], 0 or -inf, or none
  AttentionNodes(const Nodes& nodes, Tensor q, Tensor k, Tensor v, int heads, Tensor mask = nullptr)
      : n(nodes), c(nodes.context()), heads_(heads), q_(split(q)), k_(split(k)), v_(split(v)) {
    scale_ = 1.0f / std::sqrt(static_cast<float>(q_->ne[0]));
    p_ = ggml_soft_max_ext(c, n.matmul(k_, q_), mask, scale_, 0.0f);  // (1) (2)
  }

  Tensor forward() const { return merge(n.matmul(ggml_transpose(c, v_), p_)); }  // (3)

  AttentionGrads backward(Tensor grad_o) const {
    Tensor go = split(grad_o);
    Tensor gv = n.matmul(ggml_transpose(c, go), ggml_transpose(c, p_));  // (4)
    Tensor gp = n.matmul(v_, go);                                        // (5)
    Tensor gs = ggml_soft_max_ext_back(c, gp, p_, scale_, 0.0f);         // (6)
    Tensor gq = n.matmul(ggml_transpose(c, k_), gs);                     // (7)
    Tensor gk = n.matmul(ggml_transpose(c, q_), ggml_transpose(c, gs));  // (8)
    return {merge(gq), merge(gk), merge(gv)};
  }

 private:
  Nodes n;
  ggml_context* c;
  int heads_;
  Tensor q_, k_, v_, p_;
  float scale_;

  // [C, T, N] → [d, T, heads, N]
  Tensor split(Tensor x) const {
    Tensor heads = ggml_reshape_4d(c, n.cont(x), x->ne[0] / heads_, heads_, x->ne[1], x->ne[2]);
    return ggml_cont(c, ggml_permute(c, heads, 0, 2, 1, 3));
  }
  Tensor merge(Tensor x) const {
    Tensor tokens = ggml_cont(c, ggml_permute(c, x, 0, 2, 1, 3));
    return ggml_reshape_3d(c, tokens, x->ne[0] * heads_, x->ne[1], x->ne[3]);
  }
};

}  // namespace tiller
