// gated_gelu.h   y = u gelu(g), GEGLU (N. Shazeer, "GLU variants improve transformer", 2020), for a
//                projection that is a layer of its own. x [M, 2H] holds u and g side by side, or two values
//                have one each, y [M, H]
// (1) y = u gelu(g)                                   overwritten
// (2) du = dy gelu(g),  dg = dy u gelu'(g)            overwritten or accumulated
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/functions.h"

namespace tiller {

struct GatedGelu : Layer {
  Value *x, *gate, *y; // gate is null where x holds both
  const int hidden;

  GatedGelu(Tape& tape, Value* x, Value* gate_value = nullptr)
      : Layer(tape), x(keeps(reads(x))), gate(keeps(reads(gate_value))), hidden(gate ? x->channels() : x->channels() / 2) {
    if (!gate && x->channels() % 2 != 0) throw std::invalid_argument("a gated layer needs an even number of channels");
    y = makes({x->shape.n, x->shape.h, x->shape.w, hidden}, false);
  }

  const char* kind() const override { return "gated_gelu"; }

  void forward() override {
    const float* gates = gate ? gate->data : x->data + hidden;
    each_vector([&](size_t row, int c, int count) { // (1)
      const size_t at = row * stride() + c;
      store(y->data + row * hidden + c, load(x->data + at, count) * gelu(load(gates + at, count)), count);
    });
  }

  void backward() override {
    if (!x->needs_gradient) return;
    const bool accumulate = x->accumulate_gradient(), accumulate_gate = gate ? gate->accumulate_gradient() : accumulate;
    const float* gates = gate ? gate->data : x->data + hidden;
    float* to_gates = gate ? gate->gradient : x->gradient + hidden;
    each_vector([&](size_t row, int c, int count) { // (2)
      const size_t at = row * stride() + c;
      const Vec u = load(x->data + at, count), g = load(gates + at, count);
      const Vec dy = load(y->gradient + row * hidden + c, count);
      const auto [cumulative, density] = normal_distribution(g);
      Vec du = dy * g * cumulative, dg = dy * u * (cumulative + g * density * kDensityFactor);
      if (accumulate) du += load(x->gradient + at, count);
      if (accumulate_gate) dg += load(to_gates + at, count);
      store(x->gradient + at, du, count);
      store(to_gates + at, dg, count);
    });
  }

  void graph_forward(Graph& graph) override {
    graph.set_tokens(y, graph.times(values(graph), graph.gelu(gates(graph)))); // (1)
  }

  void graph_backward(Graph& graph) override {
    Tensor dy = graph.gradient(y), u = values(graph), g = gates(graph);
    Tensor du = graph.times(dy, graph.gelu(g)), dg = graph.times(graph.times(dy, u), graph.gelu_slope(g)); // (2)
    if (!gate) return graph.add_gradient(x, ggml_concat(graph.context(), du, dg, 0));
    graph.add_gradient(x, du);
    graph.add_gradient(gate, dg);
  }

 private:
  int stride() const { return x->channels(); }
  Tensor values(Graph& graph) const { return gate ? graph.tokens(x) : graph.slice(graph.tokens(x), 0, 0, hidden); }
  Tensor gates(Graph& graph) const { return gate ? graph.tokens(gate) : graph.slice(graph.tokens(x), 0, hidden, hidden); }

  template <class Body>
  void each_vector(const Body& body) {
    pool().split(x->rows(), [&](Range rows) {
      for (int row = rows.begin; row < rows.end; row++)
        for (int c = 0; c < hidden; c += kLanes) body((size_t)row, c, std::min(kLanes, hidden - c));
    });
  }
};

} // namespace tiller
