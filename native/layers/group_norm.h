// group_norm.h   y = silu(γ xh + β) or γ xh + β; xh = (x - m) r, per picture and group of channels.
//                x [n, H, W, C₁]  x2 [n, H, W, C₂] or none  y [n, H, W, C]  γ, β [C], C = C₁ + C₂
//                The groups are of [x, x2] side by side; that tensor itself never exists.
// (1) m = mean x, r = 1/√(mean (x - m)² + ε)     per picture and group; kept for backward
// (2) y = act(γ (x - m) r + β)                    overwritten
// (3) dz = dy act'(γ xh + β)                      in dy's place
// (4) dβ = sum dz, dγ = sum dz xh                 over pictures and pixels; overwritten or accumulated
// (5) m₁ = mean γ dz, m₂ = mean γ dz xh           per picture and group
// (6) dx = r (γ dz - m₁ - xh m₂)                  overwritten or accumulated
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/group_norm.h"

namespace tiller {

struct GroupNorm : Layer {
  struct Options {
    int groups = 32;
    float epsilon = 1e-5f;
    bool silu = false;
    Value* second_source = nullptr;
  };

  Value *x, *x2, *y, *statistics;
  Block *gamma, *beta;
  const int groups;
  const float epsilon;
  const bool silu;

  GroupNorm(Tape& tape, Value* x, Block* gamma, Block* beta, Options options)
      : Layer(tape), x(keeps(reads(x))), x2(keeps(reads(options.second_source))), gamma(gamma),
        beta(beta), groups(options.groups), epsilon(options.epsilon), silu(options.silu) {
    const int channels = x->channels() + (x2 != nullptr ? x2->channels() : 0);
    if (groups < 1 || channels % groups != 0) {
      throw std::invalid_argument(std::to_string(channels) + " channels can't be normalized in " +
                                  std::to_string(groups) + " groups of the same size");
    }
    trains({gamma, beta});
    y = makes({x->shape.n, x->shape.h, x->shape.w, channels}, gamma->trainable);
    statistics = saves({x->shape.n, 1, groups, 2});
  }

  const char* kind() const override { return "group_norm"; }

  void forward() override { group_norm_forward(pool(), job(), y->data); } // (1), (2)

  void backward() override {
    GroupNormGradients gradients{y->gradient, {nullptr, nullptr}, {false, false}, workspace()};
    const std::array sources{x, x2};
    for (int s = 0; s < 2; s++) {
      if (sources[s] == nullptr || !sources[s]->needs_gradient) continue;
      gradients.dx[s] = sources[s]->gradient;
      gradients.accumulate[s] = sources[s]->accumulate_gradient();
    }
    pool().split(x->shape.n, [&](Range pictures) {
      for (int n = pictures.begin; n < pictures.end; n++) group_norm_backward(job(), gradients, n);
    });
    if (!gamma->trainable) return;
    add_pictures(beta, 0);
    add_pictures(gamma, 1);
  }

  size_t workspace_size() const override {
    return tape->training ? (size_t)x->shape.n * 2 * round_up(y->channels(), kLanes) : 0;
  }

  void graph_forward(Graph& graph) override {
    Tensor z = scaled(graph, graph.as_like(graph.norm(in_groups(graph, sources(graph)), epsilon), sources(graph)));
    graph.set_planes(y, silu ? graph.silu(z) : z); // (1), (2)
  }

  void graph_backward(Graph& graph) override {
    Tensor in = sources(graph), dz = graph.gradient_planes(y);
    Tensor xh = graph.as_like(graph.norm(in_groups(graph, in), epsilon), in);
    if (silu) dz = graph.silu_back(scaled(graph, xh), dz); // (3)
    graph.add_gradient(beta, graph.sum_over_planes(dz));   // (4)
    graph.add_gradient(gamma, graph.sum_over_planes(graph.times(dz, xh)));
    Tensor g = in_groups(graph, graph.times(dz, per_channel(graph, gamma)));
    Tensor dx = graph.as_like(graph.norm_back(in_groups(graph, in), g, epsilon), in); // (5), (6)
    graph.add_gradient_planes(x, x2 ? graph.slice(dx, 2, 0, x->channels()) : dx);
    if (x2 != nullptr) graph.add_gradient_planes(x2, graph.slice(dx, 2, x->channels(), x2->channels()));
  }

 private:
  Tensor sources(Graph& graph) const {
    return x2 ? ggml_concat(graph.context(), graph.planes(x), graph.planes(x2), 2) : graph.planes(x);
  }
  // [W, H, C, N] → [W·H·C/groups, groups·N]
  Tensor in_groups(Graph& graph, Tensor planes) const {
    const int64_t size = planes->ne[0] * planes->ne[1] * planes->ne[2] / groups;
    return ggml_reshape_2d(graph.context(), planes, size, groups * planes->ne[3]);
  }
  Tensor per_channel(Graph& graph, Block* block) const {
    return ggml_reshape_3d(graph.context(), graph.weight(block), 1, 1, block->out);
  }
  Tensor scaled(Graph& graph, Tensor xh) const {
    return graph.plus(graph.times(xh, per_channel(graph, gamma)), per_channel(graph, beta));
  }

  GroupNormJob job() const {
    const bool two = x2 != nullptr;
    return {x->shape.n, x->shape.tokens(), groups, {x->channels(), two ? x2->channels() : 0},
            {x->data, two ? x2->data : nullptr}, gamma->weight, beta->weight, epsilon, silu,
            statistics->data};
  }

  // (4), the sum over pictures in their order
  void add_pictures(Block* block, int which) {
    const bool accumulate = block->accumulate_gradient();
    const size_t padded = round_up(y->channels(), kLanes);
    for (int c = 0; c < y->channels(); c++) {
      float sum = accumulate ? block->gradient[c] : 0;
      for (int n = 0; n < x->shape.n; n++) sum += workspace()[((size_t)n * 2 + which) * padded + c];
      block->gradient[c] = sum;
    }
  }
};

} // namespace tiller
