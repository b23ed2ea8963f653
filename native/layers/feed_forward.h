// feed_forward.h   y = (u gelu(g)) W_dᵀ + b_d (+ r), GEGLU (N. Shazeer, "GLU variants improve
//                  transformer", 2020). x, y, r [M, C]  W_u, W_g [H, C]  W_d [C, H]; in files W_u and
//                  W_g are one tensor [2H, C]
// (1) u = x W_uᵀ + b_u,  g = x W_gᵀ + b_g       recomputed by backward
// (2) p = u gelu(g)
// (3) y = p W_dᵀ + b_d + r                       overwritten
// (4) dp = dy W_d
// (5) du = dp gelu(g),  dg = dp u gelu'(g)
// (6) dx = du W_u + dg W_g                       overwritten or accumulated
// (7) dW_d = dyᵀ p,  dW_u = duᵀ x,  dW_g = dgᵀ x, and the biases' column sums     likewise
// (8) dr = dy                                    likewise; often the same buffer
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/feed_forward.h"

namespace tiller {

struct FeedForward : Layer {
  struct Weights {
    Block *value, *gate, *down;
    Block *value_bias, *gate_bias, *down_bias;
  };

  Value *x, *r, *y;
  const Weights w;

  FeedForward(Tape& tape, Value* x, Weights w, Value* residual_value = nullptr)
      : Layer(tape), x(keeps(reads(x))), r(reads(residual_value)), w(w) {
    trains({w.value, w.gate, w.down, w.value_bias, w.gate_bias, w.down_bias});
    residual = r;
    y = makes(x->shape, w.down->trainable);
  }

  const char* kind() const override { return "feed_forward"; }

  void forward() override {
    pool().split(x->rows(), [&](Range rows) {
      feed_forward(job(), rows, r != nullptr ? r->data : nullptr, y->data);
    });
  }

  void backward() override {
    const int hidden = w.value->out, channels = x->channels(), rows = x->rows();
    const size_t up = transposed_size(1, channels, hidden), down = transposed_size(1, hidden, channels);
    float *value_t = workspace(), *gate_t = value_t + up, *down_t = gate_t + up;
    if (x->needs_gradient) {
      transpose_panels(pool(), w.value->weight, *w.value, 0, channels, value_t);
      transpose_panels(pool(), w.gate->weight, *w.gate, 0, channels, gate_t);
    }
    transpose_panels(pool(), w.down->weight, *w.down, 0, hidden, down_t);
    const FeedForwardGradients gradients{value_t, gate_t, down_t, y->gradient,
                                         x->needs_gradient ? x->gradient : nullptr,
                                         x->needs_gradient && x->accumulate_gradient()};
    const size_t array = (size_t)block_rows() * stride();
    float* arrays = down_t + down;
    const FeedForwardBlock block{arrays, arrays + array, arrays + 2 * array, stride()};
    for (int base = 0; base < rows; base += block_rows()) {
      const int height = std::min(block_rows(), rows - base);
      pool().split(height, [&](Range part) { // (1), (4) … (6)
        feed_forward_backward(job(), gradients, block, base, part);
      });
      if (!w.down->trainable) continue;
      const float *dy = y->gradient + (size_t)base * channels, *in = x->data + (size_t)base * channels;
      weight_gradient(w.down, w.down_bias, height, block.product, stride(), dy, channels); // (7)
      weight_gradient(w.value, w.value_bias, height, in, channels, block.value, stride());
      weight_gradient(w.gate, w.gate_bias, height, in, channels, block.gate, stride());
    }
    pass_residual_gradient(); // (8)
  }

  void graph_forward(Graph& graph) override {
    Tensor u = up(graph, w.value, w.value_bias), g = up(graph, w.gate, w.gate_bias); // (1)
    Tensor p = graph.times(u, graph.gelu(g));                                        // (2)
    Tensor sum = graph.linear(graph.weight(w.down), graph.weight(w.down_bias), p);   // (3)
    graph.set_tokens(y, r ? graph.plus(sum, graph.tokens(r)) : sum);
  }

  void graph_backward(Graph& graph) override {
    Tensor dy = graph.gradient(y), in = graph.tokens(x);
    Tensor u = up(graph, w.value, w.value_bias), g = up(graph, w.gate, w.gate_bias);
    Tensor gelu = graph.gelu(g);
    Tensor dp = graph.linear_grad_x(graph.weight(w.down), dy);            // (4)
    Tensor du = graph.times(dp, gelu);                                    // (5)
    Tensor dg = graph.times(graph.times(dp, u), graph.gelu_slope(g));
    graph.add_gradient(x, graph.plus(graph.linear_grad_x(graph.weight(w.value), du),
                                     graph.linear_grad_x(graph.weight(w.gate), dg))); // (6)
    const auto weights = [&](Block* block, Block* bias, Tensor from, Tensor gradient) { // (7)
      graph.add_gradient(block, graph.linear_grad_w(from, gradient));
      graph.add_gradient(bias, graph.sum_over_rows(gradient));
    };
    weights(w.down, w.down_bias, graph.times(u, gelu), dy);
    weights(w.value, w.value_bias, in, du);
    weights(w.gate, w.gate_bias, in, dg);
    if (r != nullptr) graph.add_gradient(r, dy); // (8)
  }

  size_t workspace_size() const override {
    if (!tape->training) return 0;
    const int hidden = w.value->out, channels = x->channels();
    return 2 * transposed_size(1, channels, hidden) + transposed_size(1, hidden, channels) +
           3 * (size_t)block_rows() * stride();
  }

 private:
  Tensor up(Graph& graph, Block* block, Block* bias) const {
    return graph.linear(graph.weight(block), graph.weight(bias), graph.tokens(x));
  }

  int stride() const { return (int)round_up(w.value->out, kPanel); }
  int block_rows() const { return std::min(kFeedForwardBlock, x->rows()); }

  FeedForwardJob job() const {
    return {x->channels(), w.value->out, x->data, w.value->weight, w.gate->weight,
            w.down->weight, w.value_bias->weight, w.gate_bias->weight, w.down_bias->weight};
  }

  void weight_gradient(Block* block, Block* bias, int rows, const float* in, int in_stride, const float* g,
                       int g_stride) {
    static const PixelBlocks table = row_blocks();
    tiller::weight_gradient(pool(), {&table, rows, in, in_stride, block->in, g, g_stride, block->out,
                                     block->gradient, block->in, 0, block->in, block->accumulate_gradient(),
                                     bias->gradient, bias->accumulate_gradient()});
  }
};

} // namespace tiller
