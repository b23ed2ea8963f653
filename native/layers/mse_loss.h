// mse_loss.h   The weighted squared error. y, target [n, H, W, C]  weights [n, 1, 1, 1]
// (1) l[n] = mean over a picture of (y - target)²     in double, unweighted: `losses`
// (2) dy = scale · weights[n] · 2 (y - target)/size   overwritten or accumulated; size = H·W·C
// The loss that is minimized is scale · sum over n of weights[n] l[n]. With scale = 1 / (all pictures
// of a step) the gradients of its micro-batches add up to the step's.
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"

namespace tiller {

struct MeanSquaredError : Layer {
  Value *y, *target, *weights;
  double scale = 1;
  std::vector<double> losses;

  // The caller fills `target` and `weights`, which are made here.
  MeanSquaredError(Tape& tape, Value* y)
      : Layer(tape), y(keeps(reads(y))), target(keeps(reads(tape.input(y->shape)))),
        weights(keeps(reads(tape.input({y->shape.n, 1, 1, 1})))), losses(y->shape.n) {
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
          sum += d * d;
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
          const float d = factor * (y->data[i] - target->data[i]);
          y->gradient[i] = accumulate ? y->gradient[i] + d : d;
        }
      }
    });
  }

  void graph_forward(Graph& graph) override {
    const int size = (int)(y->shape.size() / y->shape.n);
    Tensor squares = ggml_sqr(graph.context(), difference(graph));
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
    graph.add_gradient(y, graph.times(difference(graph), factor)); // (2)
  }

  // scale · sum of weights · losses, after forward()
  double total() const {
    double sum = 0;
    for (int n = 0; n < y->shape.n; n++) sum += weights->data[n] * losses[n];
    return sum * scale;
  }

 private:
  Tensor difference(Graph& graph) const {
    return ggml_sub(graph.context(), graph.tokens(y), graph.tokens(target));
  }
};

} // namespace tiller
