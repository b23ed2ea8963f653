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
//             With a low-rank part: y += s B conv3x3'(x), A the kernel of conv3x3' (stride and upsampling as
//             above), as layers/low_rank.h has it for matrices. Where the tape has products of oneDNN, those of W are
//             computed there, on an input upsampled before.
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"
#include "kernels/conv_geometry.h"
#include "kernels/rows.h"
#include "kernels/upsample.h"
#include "kernels/winograd.h"
#include "layers/low_rank.h"
#include "onednn/products.h"

namespace tiller {

inline constexpr int kWinogradChannels = 160;

struct Conv3x3 : Layer {
  struct Options {
    int stride = 1;
    bool upsample = false;
    int border = 1;               // a: zeros before the first row and column; after the last: always 1
    Value* per_picture = nullptr; // e
    Value* residual = nullptr;    // r
    const LowRank* low_rank = nullptr; // outlives the tape
  };

  Value *x, *e, *r, *y;
  Block *w, *b;
  const LowRank* low_rank; // or null
  const int stride;
  const bool upsample;
  const int border;
  const ConvGeometry geometry;

  Conv3x3(Tape& tape, Value* x, Block* w, Block* b) : Conv3x3(tape, x, w, b, Options{}) {}
  Conv3x3(Tape& tape, Value* x, Block* w, Block* b, Options options)
      : Layer(tape), x(reads(x)), e(reads(options.per_picture)), r(reads(options.residual)),
        w(w), b(b), low_rank(options.low_rank), stride(options.stride), upsample(options.upsample), border(options.border),
        geometry(x->shape.h, x->shape.w, options.stride, options.upsample, options.border) {
    if (e != nullptr && r != nullptr) throw std::logic_error("conv3x3 adds e or r, not both");
    const bool learns = w->trainable || low_rank != nullptr;
    if (learns) keeps(x);
    trains({w, b});
    if (low_rank != nullptr) trains(low_rank->blocks());
    residual = r;
    y = makes({x->shape.n, geometry.out_height, geometry.out_width, w->out}, learns);
    if (tape.products != nullptr && tape.products->takes(shape(), directions())) products_ = tape.products;
  }

  const char* kind() const override { return "conv3x3"; }

  void forward() override {
    run(*w, b->weight, e != nullptr ? e->data : nullptr, r != nullptr ? r->data : nullptr, y->data, workspace()); // (1)
    if (low_rank == nullptr) return;
    float* z = workspace();
    project(z);
    multiply_up(z);
  }

  void backward() override {
    if (w->trainable) weight_gradients(*w, b, y->gradient, workspace()); // (3), (4)
    if (e != nullptr && e->needs_gradient) per_picture_gradient(); // (4)
    if (x->needs_gradient) input_gradient(*w, y->gradient, x->accumulate_gradient(), workspace()); // (2)
    if (low_rank != nullptr) low_rank_gradients();
    pass_residual_gradient(); // (5)
  }

  size_t workspace_size() const override {
    const auto of = [this](const Block& block) {
      const size_t merged = upsample ? upsample_size(block) : 0;
      return merged + (tape->training ? transposed_size(geometry.taps(), block.in, block.out) : 0);
    };
    const size_t products = products_ != nullptr ? upsampled_size() + products_->workspace(shape(), directions()) : 0;
    if (low_rank == nullptr) return std::max(of(*w), products);
    return std::max({of(*w), products, 2 * projected_size() + std::max(of(*low_rank->down), transposed_size(1, low_rank->rank(), w->out))});
  }

  void graph_forward(Graph& graph) override {
    Tensor sum = graph.plus(graph.conv(graph.weight(w), source(graph), stride, border), graph.weight(b)); // (1)
    if (e != nullptr) sum = graph.plus(sum, graph.tokens(e));
    if (low_rank != nullptr) sum = graph.plus(sum, graph.linear(up_rows(graph), nullptr, projected(graph)));
    graph.set_tokens(y, r ? graph.plus(sum, graph.tokens(r)) : sum);
  }

  void graph_backward(Graph& graph) override {
    Tensor dy = graph.gradient(y);
    graph.add_gradient(w, graph.conv_grad_w(graph.weight(w), source(graph), dy, stride, border)); // (3)
    Tensor per_picture = graph.sum_over_tokens(dy);                                          // (4)
    graph.add_gradient(b, graph.sum_over_rows(per_picture));
    if (e != nullptr) graph.add_gradient(e, per_picture);
    if (r != nullptr) graph.add_gradient(r, dy); // (5)
    Tensor dz = nullptr;
    if (low_rank != nullptr) {
      graph.add_gradient(low_rank->up[0], graph.linear_grad_w(projected(graph), dy));
      dz = ggml_scale(graph.context(), graph.linear_grad_x(up_rows(graph), dy), low_rank->scale);
      graph.add_gradient(low_rank->down, graph.conv_grad_w(graph.weight(low_rank->down), source(graph), dz, stride, border));
    }
    if (!x->needs_gradient) return;
    Tensor dx = gradient_of_source(graph, w, graph.gradient_planes(y)); // (2)
    if (dz != nullptr) {
      dx = graph.plus(dx, gradient_of_source(graph, low_rank->down, graph.to_planes(dz, y->shape.w, y->shape.h)));
    }
    if (!upsample) return graph.add_gradient(x, dx);
    graph.add_gradient_planes(x, graph.upsample_back(graph.to_planes(dx, 2 * x->shape.w, 2 * x->shape.h)));
  }

 private:
  Tensor source(Graph& graph) const {
    if (upsample) return graph.upsample(graph.planes(x));
    return border == 1 ? graph.planes(x) : graph.pad_after(graph.planes(x));
  }
  Tensor gradient_of_source(Graph& graph, Block* block, Tensor g) const {
    const int scale = upsample ? 2 : 1;
    return graph.conv_grad_x(graph.weight(block), g, graph.reversed_taps(9), stride, border, x->shape.w * scale,
                             x->shape.h * scale);
  }
  Tensor projected(Graph& graph) const {
    Tensor z = graph.conv(graph.weight(low_rank->down), source(graph), stride, border);
    return ggml_scale(graph.context(), z, low_rank->scale);
  }
  Tensor up_rows(Graph& graph) const { return graph.weight(low_rank->up[0]); }

  // With few channels the transforms cost more than they save.
  bool by_winograd(const Block& block) const {
    return stride == 1 && !upsample && border == 1 && std::min(block.in, block.out) >= kWinogradChannels;
  }
  winograd::Pictures pictures() const { return {x->shape.n, x->shape.h, x->shape.w}; }

  // The convolution with `block`; `bias`, `per_picture` and `start` may be null.
  void run(const Block& block, const float* bias, const float* per_picture, const float* start, float* out, float* scratch) {
    if (by_products(block)) {
      products_->forward(shape(), source(scratch), block.weight, out, scratch + upsampled_size());
      return add_to_rows(pool(), {bias, start, per_picture, y->shape.tokens()}, out, y->rows(), block.out);
    }
    if (by_winograd(block)) {
      return winograd::forward(pool(), pictures(), x->data, block, {out, block.out, bias, per_picture, start});
    }
    if (upsample) merge_taps(pool(), block, scratch);
    Conv conv{&geometry.forward, x->shape.n, x->data, x->shape.tokens(), x->channels(), geometry.taps(),
              upsample ? scratch : block.weight, out, y->shape.tokens(), block.out, bias, per_picture, start};
    convolve(pool(), conv);
  }

  void weight_gradients(Block& block, Block* bias, const float* g, float* scratch) {
    const bool has_bias = bias != nullptr && bias->trainable, accumulate = block.accumulate_gradient();
    if (by_products(block)) {
      if (has_bias) sum_rows(pool(), g, y->rows(), *bias);
      return products_->weight_gradient(shape(), source(scratch), g, block.gradient, accumulate, scratch + upsampled_size());
    }
    if (by_winograd(block)) {
      if (has_bias) sum_rows(pool(), g, y->rows(), *bias);
      return winograd::weight_gradient(pool(), pictures(), x->data, g, block, accumulate);
    }
    float* dw = upsample ? scratch : block.gradient;
    tiller::weight_gradient(
        pool(), {&geometry.blocks, x->shape.n, x->data, x->channels(), x->channels(), g, block.out, block.out, dw,
                 geometry.taps() * block.in, 0, block.in, accumulate && !upsample,
                 has_bias ? bias->gradient : nullptr, has_bias && bias->accumulate_gradient()});
    if (upsample) spread_gradient(pool(), dw, block, accumulate);
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

  void input_gradient(const Block& weights, const float* g, bool accumulate, float* panels) {
    if (by_products(weights)) {
      const onednn::Sink sink{upsample ? panels : x->gradient, x->channels(), accumulate && !upsample};
      products_->data_gradient(shape(), g, weights.weight, {sink}, panels + upsampled_size());
      if (upsample) upsample_back(pool(), panels, x->shape.n, x->shape.h, x->shape.w, x->channels(), x->gradient, accumulate);
      return;
    }
    if (by_winograd(weights)) {
      const float* start = accumulate ? x->gradient : nullptr;
      return winograd::backward(pool(), pictures(), g, weights, {x->gradient, weights.in, nullptr, nullptr, start});
    }
    Block block = weights;
    if (upsample) {
      merge_taps(pool(), weights, panels);
      block.weight = panels;
      block.taps = kUpsampleTaps;
      panels += upsample_size(weights);
    }
    transpose_panels(pool(), block.weight, block, 0, block.in, panels);
    Conv conv{&geometry.backward, x->shape.n, g, y->shape.tokens(), block.out, geometry.taps(),
              panels, x->gradient, x->shape.tokens(), block.in};
    if (accumulate) conv.residual = x->gradient;
    convolve(pool(), conv);
  }

  // ---- by oneDNN ---------------------------------------------------------------------------------

  onednn::ProductShape shape() const {
    const int scale = upsample ? 2 : 1;
    return {x->shape.n, scale * x->shape.h, scale * x->shape.w, x->channels(), 0, w->out, 9, stride, border};
  }
  std::vector<onednn::Direction> directions() const {
    return onednn::directions(tape->training && x->needs_gradient, tape->training && w->trainable);
  }
  bool by_products(const Block& block) const { return products_ != nullptr && &block == w; }
  size_t upsampled_size() const { return upsample ? round_up(4 * x->shape.size(), 16) : 0; }
  // x as the product reads it, in `scratch` where that is not as it lies.
  std::vector<onednn::Piece> source(float* scratch) {
    if (upsample) tiller::upsample(pool(), x->data, x->shape.n, x->shape.h, x->shape.w, x->channels(), scratch);
    return {{upsample ? scratch : x->data, x->channels()}};
  }

  onednn::Products* products_ = nullptr;

  // ---- the low-rank part -----------------------------------------------------------------------

  size_t projected_size() const { return round_up((size_t)y->rows() * low_rank->width() + kTileStride, 16); }

  // z = s conv(x), [M, r]
  void project(float* z) {
    run(*low_rank->down, nullptr, nullptr, nullptr, z, z + 2 * projected_size());
    low_rank_detail::scale_rows(z, (size_t)y->rows() * low_rank->width(), low_rank->scale);
  }

  // y += z Bᵀ
  void multiply_up(const float* z) {
    const Block& up = *low_rank->up[0];
    multiply(pool(), {z, up.in, up.in, up.weight, (size_t)up.in * kPanel, up.out, y->data, up.out, nullptr, y->data, up.out},
             y->rows());
  }

  void low_rank_gradients() {
    static const PixelBlocks table = row_blocks();
    Block& up = *low_rank->up[0];
    float *z = workspace(), *dz = z + projected_size(), *scratch = dz + projected_size();
    project(z);
    tiller::weight_gradient(pool(), {&table, y->rows(), z, up.in, up.in, y->gradient, up.out, up.out, up.gradient, up.in, 0,
                                     up.in, up.accumulate_gradient()});
    transpose_panels(pool(), up.weight, up, 0, up.in, scratch);
    multiply(pool(), {y->gradient, up.out, up.out, scratch, (size_t)up.out * kPanel, up.in, dz, up.in}, y->rows());
    low_rank_detail::scale_rows(dz, (size_t)y->rows() * up.in, low_rank->scale);
    weight_gradients(*low_rank->down, nullptr, dz, scratch);
    if (x->needs_gradient) input_gradient(*low_rank->down, dz, true, scratch);
  }
};

} // namespace tiller
