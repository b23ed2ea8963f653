// linear.h   y = x Wᵀ + b (+ r), on every row of channels: a linear layer, or a 1x1 convolution.
//            x [M, K]  W [N, K]  b [N]  y, r [M, N], M = n·h·w
//            With a second source x2 [M, K2] the input is x and x2 side by side (a skip connection's
//            concatenation, which never exists); W is then [N, K + K2].
// (1) y  = b + x W₁ᵀ + x2 W₂ᵀ + r     overwritten
// (2) dx = dy W₁, dx2 = dy W₂         overwritten or accumulated, as the value's turn is
// (3) dW = dyᵀ [x, x2]                overwritten or accumulated, as the block's turn is
// (4) db = sum over rows of dy        likewise
// (5) dr = dy                         likewise; often the same buffer
//            With a low-rank part (layers/low_rank.h) its sum is added to (1) and (2). Where the tape has
//            products of oneDNN, those of W are computed there.
#pragma once
#include <optional>

#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/rows.h"
#include "layers/low_rank.h"
#include "onednn/products.h"

namespace tiller {

struct Linear : Layer {
  Value *x, *x2, *r, *y;
  Block *w, *b; // b may be null
  const LowRank* low_rank; // or null; outlives the tape

  struct Options {
    Value* second_source = nullptr;
    Value* residual = nullptr;
    const LowRank* low_rank = nullptr;
  };

  Linear(Tape& tape, Value* x, Block* w, Block* b) : Linear(tape, x, w, b, Options{}) {}
  Linear(Tape& tape, Value* x, Block* w, Block* b, Options options)
      : Layer(tape), x(reads(x)), x2(reads(options.second_source)), r(reads(options.residual)), w(w), b(b),
        low_rank(options.low_rank) {
    const bool learns = w->trainable || low_rank != nullptr;
    if (learns) keeps(x), keeps(x2); // a frozen matrix needs no input for the gradient of its input
    trains({w, b});
    if (low_rank != nullptr) trains(low_rank->blocks());
    residual = r;
    y = makes({x->shape.n, x->shape.h, x->shape.w, w->out}, learns);
    if (tape.products != nullptr && tape.products->takes(shape(), directions())) products_ = tape.products;
  }

  const char* kind() const override { return "linear"; }

  void forward() override {
    if (products_ != nullptr) return forward_by_products();
    const Gemm first = product(x, 0, b != nullptr ? b->weight : nullptr, r);
    std::optional<Gemm> second;
    if (x2 != nullptr) second = product(x2, x->channels(), nullptr, y);
    const int block = low_rank != nullptr ? kLowRankRows : y->rows();
    pool().split(y->rows(), [&](Range part) { // (1)
      for (int row = part.begin; row < part.end; row += block) {
        const Range rows{row, std::min(part.end, row + block)};
        multiply_rows(first, rows);
        if (second) multiply_rows(*second, rows);
        if (low_rank != nullptr) low_rank_forward(*low_rank, sources(), rows, y->data);
      }
    });
  }

  void backward() override {
    products_ != nullptr ? gradients_by_products() : gradients();
    if (low_rank != nullptr) {
      const auto dx = [](Value* value) { return value->needs_gradient ? value->gradient : nullptr; };
      std::vector<float*> gradients{dx(x)};
      if (x2 != nullptr) gradients.push_back(dx(x2));
      low_rank_backward(pool(), *low_rank, sources(), y->rows(), y->gradient, gradients, workspace());
    }
    pass_residual_gradient(); // (5)
  }

  size_t workspace_size() const override {
    const size_t products = products_ != nullptr ? products_->workspace(shape(), directions()) : 0;
    if (!tape->training) return products;
    const size_t adapter = low_rank != nullptr ? low_rank_workspace(*low_rank, y->rows()) : 0;
    return std::max({transposed_size(1, w->in, w->out), adapter, products});
  }

  void graph_forward(Graph& graph) override {
    Tensor sum = graph.linear(graph.weight(w), b ? graph.weight(b) : nullptr, both_sources(graph)); // (1)
    if (low_rank != nullptr) sum = graph.plus(sum, low_rank_nodes(graph, *low_rank, both_sources(graph)));
    graph.set_tokens(y, r ? graph.plus(sum, graph.tokens(r)) : sum);
  }

  void graph_backward(Graph& graph) override {
    Tensor dy = graph.gradient(y);
    graph.add_gradient(w, graph.linear_grad_w(both_sources(graph), dy)); // (3)
    if (b != nullptr) graph.add_gradient(b, graph.sum_over_rows(dy));     // (4)
    Tensor dx = graph.linear_grad_x(graph.weight(w), dy);                 // (2)
    if (low_rank != nullptr) dx = graph.plus(dx, low_rank_nodes_back(graph, *low_rank, both_sources(graph), dy));
    graph.add_gradient(x, x2 ? graph.slice(dx, 0, 0, x->channels()) : dx);
    if (x2 != nullptr) graph.add_gradient(x2, graph.slice(dx, 0, x->channels(), x2->channels()));
    if (r != nullptr) graph.add_gradient(r, dy); // (5)
  }

 private:
  Tensor both_sources(Graph& graph) const {
    return x2 ? ggml_concat(graph.context(), graph.tokens(x), graph.tokens(x2), 0) : graph.tokens(x);
  }
  size_t panel_size() const { return (size_t)w->in * kPanel; }
  std::vector<LowRankSource> sources() const {
    std::vector<LowRankSource> all{{x->data, x->channels(), 0}};
    if (x2 != nullptr) all.push_back({x2->data, x2->channels(), x->channels()});
    return all;
  }

  Gemm product(const Value* source, int first_row, const float* bias, const Value* start) const {
    const float* panels = w->weight + (size_t)first_row * kPanel;
    return {source->data, source->channels(), source->channels(), panels, panel_size(), w->out,
            y->data, w->out, bias, start != nullptr ? start->data : nullptr, w->out};
  }

  void gradients() {
    if (w->trainable) {
      weight_gradient(x, 0, b); // (3), (4)
      if (x2 != nullptr) weight_gradient(x2, x->channels(), nullptr);
    }
    input_gradient(x, 0); // (2)
    if (x2 != nullptr) input_gradient(x2, x->channels());
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

  // ---- by oneDNN ---------------------------------------------------------------------------------

  onednn::ProductShape shape() const { return {y->rows(), 1, 1, x->channels(), x2 != nullptr ? x2->channels() : 0, w->out}; }
  std::vector<onednn::Direction> directions() const {
    return onednn::directions(tape->training && (x->needs_gradient || (x2 != nullptr && x2->needs_gradient)),
                              tape->training && w->trainable);
  }
  std::vector<onednn::Piece> pieces() const {
    std::vector<onednn::Piece> all{{x->data, x->channels()}};
    if (x2 != nullptr) all.push_back({x2->data, x2->channels()});
    return all;
  }

  void forward_by_products() {
    products_->forward(shape(), pieces(), w->weight, y->data, workspace()); // (1)
    add_to_rows(pool(), {b != nullptr ? b->weight : nullptr, r != nullptr ? r->data : nullptr}, y->data, y->rows(), w->out);
    if (low_rank == nullptr) return;
    pool().split(y->rows(), [&](Range part) {
      for (int row = part.begin; row < part.end; row += kLowRankRows)
        low_rank_forward(*low_rank, sources(), {row, std::min(part.end, row + kLowRankRows)}, y->data);
    });
  }

  void gradients_by_products() {
    if (w->trainable) {
      products_->weight_gradient(shape(), pieces(), y->gradient, w->gradient, w->accumulate_gradient(), workspace()); // (3)
      if (b != nullptr && b->trainable) sum_rows(pool(), y->gradient, y->rows(), *b);                                // (4)
    }
    std::vector<onednn::Sink> sinks;
    for (Value* source : {x, x2}) {
      if (source == nullptr) continue;
      const bool needed = source->needs_gradient;
      sinks.push_back({needed ? source->gradient : nullptr, source->channels(), needed && source->accumulate_gradient()});
    }
    products_->data_gradient(shape(), y->gradient, w->weight, sinks, workspace()); // (2)
  }

  bool accumulate_ = false;
  onednn::Products* products_ = nullptr;
};

} // namespace tiller
