// conv3x3.h   y = conv3x3(x) + b (+ e or + r), zero border of one, stride 1 or 2, optionally on an input
//             that is upsampled x2 (nearest) on the way.
//             x [n, H, W, C]  W [O, C, 3, 3]  b [O]  e [n, 1, 1, O] (the time embedding)
//             y, r [n, H', W', O], H' = H, ⌈H/2⌉ (stride 2) or 2H (upsampled). Without the border before
//             the first row and column (a = 0, as an autoencoder halves) H' = ⌊H/2⌋; else a = 1.
// (1) y[q]  = b + e + r[q] + sum over taps: W[tap] x[q·stride + tap - a]     overwritten
// (2) dx[p] = sum over (q, tap) that read p: W[tap]ᵀ dy[q]                   overwritten or accumulated
// (3) dW[tap] = sum over q: dy[q] x[q·stride + tap - a]ᵀ                      likewise
// (4) db = sum over n, q of dy;  de[n] = sum over q of dy[n]                  likewise
// (5) dr = dy                                                                 likewise
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/conv_geometry.h"

namespace tiller {

struct Conv3x3 : Layer {
  struct Options {
    int stride = 1;
    bool upsample = false;
    int border = 1;               // a: zeros before the first row and column; after the last: always 1
    Value* per_picture = nullptr; // e
    Value* residual = nullptr;    // r
  };

  Value *x, *e, *r, *y;
  Block *w, *b;
  const int stride;
  const bool upsample;
  const int border;
  const ConvGeometry geometry;

  Conv3x3(Tape& tape, Value* x, Block* w, Block* b) : Conv3x3(tape, x, w, b, Options{}) {}
  Conv3x3(Tape& tape, Value* x, Block* w, Block* b, Options options)
      : Layer(tape), x(keeps(reads(x))), e(reads(options.per_picture)), r(reads(options.residual)),
        w(w), b(b), stride(options.stride), upsample(options.upsample), border(options.border),
        geometry(x->shape.h, x->shape.w, options.stride, options.upsample, options.border) {
    if (e != nullptr && r != nullptr) throw std::logic_error("conv3x3 adds e or r, not both");
    residual = r;
    y = makes({x->shape.n, geometry.out_height, geometry.out_width, w->out}, w->trainable);
  }

  const char* kind() const override { return "conv3x3"; }

  void forward() override {
    const Shape& in = x->shape;
    const Shape& out = y->shape;
    if (upsample) merge_taps(pool(), *w, workspace());
    Conv conv{&geometry.forward, in.n, x->data, in.tokens(), in.c, geometry.taps(),
              upsample ? workspace() : w->weight, y->data, out.tokens(), out.c, b->weight};
    conv.per_picture = e != nullptr ? e->data : nullptr;
    conv.residual = r != nullptr ? r->data : nullptr;
    convolve(pool(), conv); // (1)
  }

  void backward() override {
    if (w->trainable) weight_gradients(); // (3), (4)
    if (e != nullptr && e->needs_gradient) per_picture_gradient(); // (4)
    if (x->needs_gradient) input_gradient(); // (2)
    pass_residual_gradient(); // (5)
  }

  size_t workspace_size() const override {
    const size_t merged = upsample ? upsample_size(*w) : 0;
    return merged + (tape->training ? transposed_size(geometry.taps(), w->in, w->out) : 0);
  }

  void graph_forward(Graph& graph) override {
    Tensor sum = graph.plus(graph.conv(graph.weight(w), source(graph), stride, border), graph.weight(b)); // (1)
    if (e != nullptr) sum = graph.plus(sum, graph.tokens(e));
    graph.set_tokens(y, r ? graph.plus(sum, graph.tokens(r)) : sum);
  }

  void graph_backward(Graph& graph) override {
    Tensor dy = graph.gradient(y);
    graph.add_gradient(w, graph.conv_grad_w(graph.weight(w), source(graph), dy, stride, border)); // (3)
    Tensor per_picture = graph.sum_over_tokens(dy);                                          // (4)
    graph.add_gradient(b, graph.sum_over_rows(per_picture));
    if (e != nullptr) graph.add_gradient(e, per_picture);
    if (r != nullptr) graph.add_gradient(r, dy); // (5)
    if (!x->needs_gradient) return;
    const int width = x->shape.w * (upsample ? 2 : 1), height = x->shape.h * (upsample ? 2 : 1);
    Tensor dx = graph.conv_grad_x(graph.weight(w), graph.gradient_planes(y), graph.reversed_taps(9),
                                  stride, border, width, height); // (2)
    if (!upsample) return graph.add_gradient(x, dx);
    graph.add_gradient_planes(x, graph.upsample_back(graph.to_planes(dx, width, height)));
  }

 private:
  Tensor source(Graph& graph) const {
    if (upsample) return graph.upsample(graph.planes(x));
    return border == 1 ? graph.planes(x) : graph.pad_after(graph.planes(x));
  }

  void weight_gradients() {
    const bool has_bias = b->trainable, accumulate = w->accumulate_gradient();
    float* dw = upsample ? workspace() : w->gradient;
    tiller::weight_gradient(
        pool(), {&geometry.blocks, x->shape.n, x->data, x->channels(), x->channels(), y->gradient,
                 w->out, w->out, dw, geometry.taps() * w->in, 0, w->in, accumulate && !upsample,
                 has_bias ? b->gradient : nullptr, has_bias && b->accumulate_gradient()});
    if (upsample) spread_gradient(pool(), dw, *w, accumulate);
  }

  void per_picture_gradient() {
    const bool accumulate = e->accumulate_gradient();
    const int channels = w->out, pixels = y->shape.tokens();
    pool().split(y->shape.n, [&](Range pictures) {
      for (int n = pictures.begin; n < pictures.end; n++)
        for (int c = 0; c < channels; c += kLanes) {
          const float* g = y->gradient + (size_t)n * pixels * channels + c;
          float* out = e->gradient + (size_t)n * channels + c;
          const int count = channels - c;
          Vec sum = accumulate ? load(out, count) : Vec{};
          for (int q = 0; q < pixels; q++, g += channels) sum += load(g, count);
          store(out, sum, count);
        }
    });
  }

  void input_gradient() {
    Block block = *w;
    float* panels = workspace();
    if (upsample) {
      merge_taps(pool(), *w, panels);
      block.weight = panels;
      block.taps = kUpsampleTaps;
      panels += upsample_size(*w);
    }
    transpose_panels(pool(), block.weight, block, 0, w->in, panels);
    Conv conv{&geometry.backward, x->shape.n, y->gradient, y->shape.tokens(), w->out, geometry.taps(),
              panels, x->gradient, x->shape.tokens(), w->in};
    if (x->accumulate_gradient()) conv.residual = x->gradient;
    convolve(pool(), conv);
  }
};

} // namespace tiller
