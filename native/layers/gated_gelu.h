// gated_gelu.h   y = u gelu(g), GEGLU (N. Shazeer, "GLU variants improve transformer", 2020), for a
//                projection that is a layer of its own. x [M, 2H] holds u and g side by side, y [M, H]
// (1) y = u gelu(g)                                   overwritten
// (2) du = dy gelu(g),  dg = dy u gelu'(g)            overwritten or accumulated
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/functions.h"

namespace tiller {

struct GatedGelu : Layer {
  Value *x, *y;
  const int hidden;

  GatedGelu(Tape& tape, Value* x) : Layer(tape), x(keeps(reads(x))), hidden(x->channels() / 2) {
    if (x->channels() % 2 != 0) throw std::invalid_argument("a gated layer needs an even number of channels");
    y = makes({x->shape.n, x->shape.h, x->shape.w, hidden}, false);
  }

  const char* kind() const override { return "gated_gelu"; }

  void forward() override {
    each_vector([&](size_t row, int c, int count) { // (1)
      const float* in = x->data + row * 2 * hidden + c;
      store(y->data + row * hidden + c, load(in, count) * gelu(load(in + hidden, count)), count);
    });
  }

  void backward() override {
    if (!x->needs_gradient) return;
    const bool accumulate = x->accumulate_gradient();
    each_vector([&](size_t row, int c, int count) { // (2)
      const size_t at = row * 2 * hidden + c;
      const Vec u = load(x->data + at, count), g = load(x->data + at + hidden, count);
      const Vec dy = load(y->gradient + row * hidden + c, count);
      const auto [cumulative, density] = normal_distribution(g);
      Vec du = dy * g * cumulative, dg = dy * u * (cumulative + g * density * kDensityFactor);
      float *to_u = x->gradient + at, *to_g = to_u + hidden;
      if (accumulate) du += load(to_u, count), dg += load(to_g, count);
      store(to_u, du, count);
      store(to_g, dg, count);
    });
  }

  void graph_forward(Graph& graph) override {
    graph.set_tokens(y, graph.times(part(graph, 0), graph.gelu(part(graph, hidden)))); // (1)
  }

  void graph_backward(Graph& graph) override {
    Tensor dy = graph.gradient(y), u = part(graph, 0), g = part(graph, hidden);
    Tensor du = graph.times(dy, graph.gelu(g)), dg = graph.times(graph.times(dy, u), graph.gelu_slope(g)); // (2)
    graph.add_gradient(x, ggml_concat(graph.context(), du, dg, 0));
  }

 private:
  Tensor part(Graph& graph, int first) const { return graph.slice(graph.tokens(x), 0, first, hidden); }

  template <class Body>
  void each_vector(const Body& body) {
    pool().split(x->rows(), [&](Range rows) {
      for (int row = rows.begin; row < rows.end; row++)
        for (int c = 0; c < hidden; c += kLanes) body((size_t)row, c, std::min(kLanes, hidden - c));
    });
  }
};

} // namespace tiller
