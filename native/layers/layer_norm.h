// layer_norm.h   y = γ xh + β, xh = (x - m) r, per row (Ba, Kiros and Hinton, 2016).
//                x, y [M, C]  γ, β [C]  m, r [M]
// (1) m = mean x, r = 1/√(mean (x - m)² + ε)          kept for backward
// (2) y = γ (x - m) r + β                             overwritten
// (3) dx = r (γ dy - mean(γ dy) - xh mean(γ dy xh))   overwritten or accumulated
// (4) dβ = sum dy, dγ = sum dy xh, over rows          overwritten or accumulated
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/layer_norm.h"

namespace tiller {

struct LayerNorm : Layer {
  Value *x, *y, *statistics;
  Block *gamma, *beta;
  const float epsilon;

  LayerNorm(Tape& tape, Value* x, Block* gamma, Block* beta, float epsilon = 1e-5f)
      : Layer(tape), x(keeps(reads(x))), gamma(gamma), beta(beta), epsilon(epsilon) {
    trains({gamma, beta});
    y = makes(x->shape, gamma->trainable);
    statistics = saves({x->shape.n, x->shape.h, x->shape.w, 2});
  }

  const char* kind() const override { return "layer_norm"; }

  void forward() override {
    pool().split(x->rows(), [&](Range rows) { layer_norm_forward(job(), rows, y->data); }); // (1), (2)
  }

  void backward() override {
    const bool wanted = x->needs_gradient;
    const LayerNormGradients gradients{y->gradient, wanted ? x->gradient : nullptr,
                                       wanted && x->accumulate_gradient(), workspace()};
    pool().split(layer_norm_runs(x->rows()), [&](Range runs) {
      for (int run = runs.begin; run < runs.end; run++) layer_norm_backward(job(), gradients, run);
    });
    if (!gamma->trainable) return;
    add_runs(beta, 0);
    add_runs(gamma, 1);
  }

  size_t workspace_size() const override {
    return tape->training ? (size_t)layer_norm_runs(x->rows()) * 2 * round_up(x->channels(), kLanes) : 0;
  }

  void graph_forward(Graph& graph) override {
    Tensor xh = graph.norm(graph.tokens(x), epsilon); // (1)
    graph.set_tokens(y, graph.plus(graph.times(xh, graph.weight(gamma)), graph.weight(beta))); // (2)
  }

  void graph_backward(Graph& graph) override {
    Tensor in = graph.tokens(x), dy = graph.gradient(y);
    graph.add_gradient(x, graph.norm_back(in, graph.times(dy, graph.weight(gamma)), epsilon)); // (3)
    graph.add_gradient(beta, graph.sum_over_rows(dy));                                         // (4)
    graph.add_gradient(gamma, graph.sum_over_rows(graph.times(dy, graph.norm(in, epsilon))));
  }

 private:
  LayerNormJob job() const {
    return {x->rows(), x->channels(), x->data, gamma->weight, beta->weight, epsilon, statistics->data};
  }

  // (4), the sum over the runs in their order
  void add_runs(Block* block, int which) {
    const bool accumulate = block->accumulate_gradient();
    const size_t padded = round_up(x->channels(), kLanes);
    const int runs = layer_norm_runs(x->rows());
    for (int c = 0; c < x->channels(); c++) {
      float sum = accumulate ? block->gradient[c] : 0;
      for (int run = 0; run < runs; run++) sum += workspace()[((size_t)run * 2 + which) * padded + c];
      block->gradient[c] = sum;
    }
  }
};

} // namespace tiller
