// activation.h   y = silu(x) or quick_gelu(x), element by element. x, y of any shape.
// (1) y = f(x)            overwritten
// (2) dx = dy f'(x)       overwritten or accumulated
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/functions.h"

namespace tiller {

struct Activation : Layer {
  enum class Function { silu, quick_gelu };

  Value *x, *y;
  const Function function;

  Activation(Tape& tape, Value* x, Function function) : Layer(tape), x(keeps(reads(x))), function(function) {
    y = makes(x->shape, false);
  }

  const char* kind() const override { return function == Function::silu ? "silu" : "quick_gelu"; }

  void forward() override {
    each_vector([&](size_t i, int left) { // (1)
      const Vec v = load(x->data + i, left);
      store(y->data + i, function == Function::silu ? silu(v) : quick_gelu(v), left);
    });
  }

  void backward() override {
    if (!x->needs_gradient) return;
    const bool accumulate = x->accumulate_gradient();
    each_vector([&](size_t i, int left) { // (2)
      const Vec v = load(x->data + i, left), dy = load(y->gradient + i, left);
      Vec dx = dy * (function == Function::silu ? silu_derivative(v) : quick_gelu_derivative(v));
      if (accumulate) dx += load(x->gradient + i, left);
      store(x->gradient + i, dx, left);
    });
  }

  void graph_forward(Graph& graph) override {
    Tensor in = graph.tokens(x);
    graph.set_tokens(y, function == Function::silu ? graph.silu(in) : graph.quick_gelu(in)); // (1)
  }

  void graph_backward(Graph& graph) override {
    Tensor in = graph.tokens(x), dy = graph.gradient(y);
    graph.add_gradient(x, function == Function::silu ? graph.silu_back(in, dy)
                                                     : graph.times(dy, graph.quick_gelu_slope(in))); // (2)
  }

 private:
  template <class Body>
  void each_vector(const Body& body) {
    const size_t size = x->shape.size();
    pool().split((int)((size + kLanes - 1) / kLanes), [&](Range part) {
      for (size_t v = part.begin; v < (size_t)part.end; v++) {
        body(v * kLanes, (int)std::min<size_t>(kLanes, size - v * kLanes));
      }
    });
  }
};

} // namespace tiller
