// emphasis.h   A prompt's weights, as AUTOMATIC1111's web UI applies them: each token's row times its
//              weight, then the whole chunk scaled so that its mean is what it was.
//              x, y [n, 1, T, C]  w [n, 1, T, 1]
// (1) a = mean over (t, c) of x[n], b = that of w x
// (2) y[n, t] = w[n, t] x[n, t] a b / (b² + 1e-30)      overwritten
// The last factor is a / b, but a chunk of weights 0 stays finite. It presumes a mean that isn't near 0,
// as CLIP's isn't; an encoder that was never trained has none to restore. For sampling: no backward.
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"

namespace tiller {

struct Emphasis : Layer {
  Value *x, *weights, *y;

  Emphasis(Tape& tape, Value* x, Value* weights) : Layer(tape), x(reads(x)), weights(reads(weights)) {
    if (weights->shape.rows() != x->shape.rows() || weights->shape.n != x->shape.n || weights->channels() != 1) {
      throw std::invalid_argument("emphasis wants one weight a token");
    }
    y = makes(x->shape, false);
  }

  const char* kind() const override { return "emphasis"; }

  void forward() override {
    const int tokens = x->shape.tokens(), channels = x->channels();
    const size_t size = (size_t)tokens * channels;
    for (int n = 0; n < x->shape.n; n++) {
      const float *from = x->data + n * size, *w = weights->data + (size_t)n * tokens;
      double a = 0, b = 0;
      for (size_t i = 0; i < size; i++) a += from[i], b += (double)from[i] * w[i / channels]; // (1)
      a /= (double)size, b /= (double)size;
      const auto scale = (float)(a * b / (b * b + kNothing));
      for (size_t i = 0; i < size; i++) y->data[n * size + i] = from[i] * w[i / channels] * scale; // (2)
    }
  }

  void backward() override { throw std::logic_error("a prompt's weights are for sampling, not for training"); }

  void graph_forward(Graph& graph) override {
    ggml_context* c = graph.context();
    Tensor in = graph.tokens(x), weighted = graph.times(in, graph.tokens(weights));
    const auto mean = [&](Tensor of) { // (1), [1, 1, N]
      const int64_t size = of->ne[0] * of->ne[1];
      Tensor sum = ggml_sum_rows(c, ggml_reshape_2d(c, graph.cont(of), size, of->ne[2]));
      return ggml_reshape_3d(c, ggml_scale(c, sum, 1 / (float)size), 1, 1, of->ne[2]);
    };
    Tensor a = mean(in), b = mean(weighted);
    Tensor scale = ggml_div(c, graph.times(a, b), ggml_scale_bias(c, ggml_sqr(c, b), 1, (float)kNothing));
    graph.set_tokens(y, graph.times(weighted, scale)); // (2)
  }

 private:
  static constexpr double kNothing = 1e-30;
};

} // namespace tiller
