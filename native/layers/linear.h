// linear.h   y = x Wᵀ + b (+ r), on every row of channels: a linear layer, or a 1x1 convolution.
//            x [M, K]  W [N, K]  b [N]  y, r [M, N], M = n·h·w
//            With a second source x2 [M, K2] the input is x and x2 side by side (a skip connection's
//            concatenation, which never exists); W is then [N, K + K2].
// (1) y  = b + x W₁ᵀ + x2 W₂ᵀ + r     overwritten
// (2) dx = dy W₁, dx2 = dy W₂         overwritten or accumulated, as the value's turn is
// (3) dW = dyᵀ [x, x2]                overwritten or accumulated, as the block's turn is
// (4) db = sum over rows of dy        likewise
// (5) dr = dy                         likewise; often the same buffer
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/gemm.h"
#include "kernels/weight_gradient.h"

namespace tiller {

struct Linear : Layer {
  Value *x, *x2, *r, *y;
  Block *w, *b; // b may be null

  struct Options {
    Value* second_source = nullptr;
    Value* residual = nullptr;
  };

  Linear(Tape& tape, Value* x, Block* w, Block* b) : Linear(tape, x, w, b, Options{}) {}
  Linear(Tape& tape, Value* x, Block* w, Block* b, Options options)
      : Layer(tape), x(keeps(reads(x))), x2(keeps(reads(options.second_source))),
        r(reads(options.residual)), w(w), b(b) {
    residual = r;
    y = makes({x->shape.n, x->shape.h, x->shape.w, w->out}, w->trainable);
  }

  const char* kind() const override { return "linear"; }

  void forward() override {
    multiply(pool(), product(x, 0, b != nullptr ? b->weight : nullptr, r), y->rows()); // (1)
    if (x2 != nullptr) multiply(pool(), product(x2, x->channels(), nullptr, y), y->rows());
  }

  void backward() override {
    if (w->trainable) {
      weight_gradient(x, 0, b); // (3), (4)
      if (x2 != nullptr) weight_gradient(x2, x->channels(), nullptr);
    }
    input_gradient(x, 0); // (2)
    if (x2 != nullptr) input_gradient(x2, x->channels());
    pass_residual_gradient(); // (5)
  }

  size_t workspace_size() const override {
    return tape->training ? transposed_size(1, w->in, w->out) : 0;
  }

  void graph_forward(Graph& graph) override {
    Tensor sum = graph.linear(graph.weight(w), b ? graph.weight(b) : nullptr, both_sources(graph)); // (1)
    graph.set_tokens(y, r ? graph.plus(sum, graph.tokens(r)) : sum);
  }

  void graph_backward(Graph& graph) override {
    Tensor dy = graph.gradient(y);
    graph.add_gradient(w, graph.linear_grad_w(both_sources(graph), dy)); // (3)
    if (b != nullptr) graph.add_gradient(b, graph.sum_over_rows(dy));     // (4)
    Tensor dx = graph.linear_grad_x(graph.weight(w), dy);                 // (2)
    graph.add_gradient(x, x2 ? graph.slice(dx, 0, 0, x->channels()) : dx);
    if (x2 != nullptr) graph.add_gradient(x2, graph.slice(dx, 0, x->channels(), x2->channels()));
    if (r != nullptr) graph.add_gradient(r, dy); // (5)
  }

 private:
  Tensor both_sources(Graph& graph) const {
    return x2 ? ggml_concat(graph.context(), graph.tokens(x), graph.tokens(x2), 0) : graph.tokens(x);
  }
  size_t panel_size() const { return (size_t)w->in * kPanel; }

  Gemm product(const Value* source, int first_row, const float* bias, const Value* start) const {
    const float* panels = w->weight + (size_t)first_row * kPanel;
    return {source->data, source->channels(), source->channels(), panels, panel_size(), w->out,
            y->data, w->out, bias, start != nullptr ? start->data : nullptr, w->out};
  }

  void input_gradient(Value* source, int first_row) {
    if (!source->needs_gradient) return;
    const int k = source->channels();
    transpose_panels(pool(), w->weight, *w, first_row, k, workspace());
    const bool accumulate = source->accumulate_gradient();
    multiply(pool(),
             {y->gradient, w->out, w->out, workspace(), (size_t)w->out * kPanel, k, source->gradient,
              k, nullptr, accumulate ? source->gradient : nullptr, k},
             y->rows());
  }

  void weight_gradient(const Value* source, int first_row, Block* bias) {
    static const PixelBlocks rows = row_blocks();
    const bool first_source = first_row == 0;
    if (first_source) accumulate_ = w->accumulate_gradient();
    const bool has_bias = bias != nullptr && bias->trainable;
    tiller::weight_gradient(
        pool(), {&rows, y->rows(), source->data, source->channels(), source->channels(), y->gradient,
                 w->out, w->out, w->gradient, w->in, first_row, w->in, accumulate_,
                 has_bias ? bias->gradient : nullptr, has_bias && bias->accumulate_gradient()});
  }

  bool accumulate_ = false;
};

} // namespace tiller
