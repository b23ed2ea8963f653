// mse_loss.h   The weighted squared error. y, target [n, H, W, C]  weights [n, 1, 1, 1]
//              mask [n, H, W, 1] or none: how much of each place counts, 0 … 1
// (1) l[n] = mean over a picture of mask (y - target)²       in double, unweighted: `losses`
// (2) dy = scale · weights[n] · 2 mask (y - target)/size     overwritten or accumulated; size = H·W·C
// The loss that is minimized is scale · sum over n of weights[n] l[n]. With scale = 1 / (all pictures
// of a step) the gradients of its micro-batches add up to the step's.
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"

namespace tiller {

struct MeanSquaredError : Layer {
  Value *y, *target, *weights;
  Value* mask = nullptr;
  double scale = 1;
  std::vector<double> losses;

  // The caller fills `target`, `weights` and, where there is one, `mask`, which are made here.
  explicit MeanSquaredError(Tape& tape, Value* y, bool masked = false)
      : Layer(tape), y(keeps(reads(y))), target(keeps(reads(tape.input(y->shape)))),
        weights(keeps(reads(tape.input({y->shape.n, 1, 1, 1})))), losses(y->shape.n) {
    if (masked) mask = keeps(reads(tape.input({y->shape.n, y->shape.h, y->shape.w, 1})));
    makes({1, 1, 1, 1}, false); // stands for the loss, so that backward is called
  }

  const char* kind() const override { return "mse_loss"; }

  void forward() override {
    const size_t size = y->shape.size() / y->shape.n;
    pool().split(y->shape.n, [&](Range pictures) {
      for (int n = pictures.begin; n < pictures.end; n++) { // (1)
        double sum = 0;
        for (size_t i = n * size; i < (n + 1) * size; i++) {
          const double d = (double)y->data[i] - target->data[i];
          sum += d * d * share(i);
        }
        losses[n] = sum / (double)size;
      }
    });
  }

  void backward() override {
    const size_t size = y->shape.size() / y->shape.n;
    const bool accumulate = y->accumulate_gradient();
    pool().split(y->shape.n, [&](Range pictures) {
      for (int n = pictures.begin; n < pictures.end; n++) { // (2)
        const float factor = (float)(2 * scale * weights->data[n] / (double)size);
        for (size_t i = n * size; i < (n + 1) * size; i++) {
          const float d = factor * share(i) * (y->data[i] - target->data[i]);
          y->gradient[i] = accumulate ? y->gradient[i] + d : d;
        }
      }
    });
  }

  void graph_forward(Graph& graph) override {
    const int size = (int)(y->shape.size() / y->shape.n);
    Tensor squares = ggml_sqr(graph.context(), difference(graph));
    if (mask != nullptr) squares = graph.times(squares, graph.tokens(mask));
    Tensor sums = ggml_sum_rows(graph.context(), ggml_reshape_2d(graph.context(), squares, size, y->shape.n));
    graph.report(ggml_scale(graph.context(), sums, 1 / (float)size), [this](const float* l) { // (1)
      std::copy(l, l + losses.size(), losses.begin());
    });
  }

  void graph_backward(Graph& graph) override {
    const double size = (double)(y->shape.size() / y->shape.n);
    Tensor factor = graph.computed(GGML_TYPE_F32, {1}, [this, size](void* to) {
      *(float*)to = (float)(2 * scale / size);
    });
    factor = graph.times(graph.tokens(weights), factor);
    Tensor error = difference(graph);
    if (mask != nullptr) error = graph.times(error, graph.tokens(mask));
    graph.add_gradient(y, graph.times(error, factor)); // (2)
  }

  // scale · sum of weights · losses, after forward()
  double total() const {
    double sum = 0;
    for (int n = 0; n < y->shape.n; n++) sum += weights->data[n] * losses[n];
    return sum * scale;
  }

 private:
  float share(size_t i) const { return mask != nullptr ? mask->data[i / y->channels()] : 1; }
  Tensor difference(Graph& graph) const {
    return ggml_sub(graph.context(), graph.tokens(y), graph.tokens(target));
  }
};

} // namespace tiller
