// timestep_embedding.h   y [n, 1, 1, C] = the sinusoids of t [n, 1, 1, 1] (Ho et al., 2020, after
//                        Vaswani et al., 2017, section 3.5), cosines first, as Stable Diffusion has it.
// (1) y_i = cos(t w_i), y_{i+h} = sin(t w_i), w_i = 10000^(-i/h), h = ⌊C/2⌋     overwritten; an odd
//     last channel is zero. Nothing flows back.
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"

namespace tiller {

struct TimestepEmbedding : Layer {
  Value *t, *y;

  TimestepEmbedding(Tape& tape, Value* t, int channels) : Layer(tape), t(reads(t)) {
    y = makes({t->shape.n, 1, 1, channels}, false);
    y->needs_gradient = false;
  }

  const char* kind() const override { return "timestep_embedding"; }

  void forward() override { embed(y->data); }
  void backward() override {}

  // On the processor for every device: a few numbers, whose angles must not be rounded otherwise.
  void graph_forward(Graph& graph) override {
    graph.set_tokens(y, graph.computed(GGML_TYPE_F32, {y->channels(), 1, t->shape.n},
                                       [this](void* to) { embed((float*)to); }));
  }
  void graph_backward(Graph&) override {}

 private:
  void embed(float* to) const {
    const int channels = y->channels(), half = channels / 2;
    for (int n = 0; n < t->shape.n; n++) {
      float* out = to + (size_t)n * channels;
      if (channels % 2 == 1) out[channels - 1] = 0;
      for (int i = 0; i < half; i++) { // (1)
        // The frequency and the angle are rounded to F32, as PyTorch's are.
        const float frequency = (float)std::exp(-std::log(10000.0) * i / half);
        const float angle = t->data[n] * frequency;
        out[i] = std::cos(angle);
        out[half + i] = std::sin(angle);
      }
    }
  }
};

} // namespace tiller
