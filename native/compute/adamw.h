// AdamW (I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019, algorithm 2), as
// torch.optim.AdamW computes it, with clipping by the global norm (R. Pascanu et al., 2013) before it
// and a running average of the weights after it, all in one pass over memory.
//
// (1) N = √(sum g²);  g ← g · min(1, clip / (N + 1e-6)) if clip > 0
// (2) p ← p (1 - lr·decay)
// (3) m ← m + (1 - β₁)(g - m);  v ← β₂ v + (1 - β₂) g²
// (4) p ← p - lr/(1 - β₁ᵗ) · m / (√(v/(1 - β₂ᵗ)) + ε)
// (5) a ← a + (1 - average)(p - a)
#pragma once
#include <cmath>

#include "compute/parameters.h"
#include "compute/pool.h"

namespace tiller {

struct AdamW {
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double clip = 1;       // the largest gradient norm; 0: no clipping
  double average = 0.995; // the running average's memory; 0: the average is the weights
};

// Gradients of parameters that the backward passes since zero_gradients() did not reach become zero.
inline void complete_gradients(Parameters& parameters) {
  for (auto& block : parameters.blocks()) {
    if (block.gradient != nullptr && !block.accumulate_gradient())
      std::memset(block.gradient, 0, block.size() * sizeof(float));
  }
}

// The square of the gradients' norm, in runs of a fixed size: the same for any number of threads.
// Sums of squares are kept in double, so a finite gradient has a finite norm.
inline double gradient_norm(Pool& pool, Parameters& parameters) {
  constexpr size_t kRun = 16384;
  const size_t size = parameters.trainable_size();
  const float* g = parameters.data(Buffer::gradient);
  std::vector<double> sums((size + kRun - 1) / kRun);
  pool.split((int)sums.size(), [&](Range runs) {
    for (int run = runs.begin; run < runs.end; run++) {
      double lanes[8] = {};
      for (size_t i = run * kRun; i < std::min(size, (run + 1) * kRun); i += 8)
        for (int l = 0; l < 8; l++) lanes[l] += (double)g[i + l] * g[i + l];
      for (const double lane : lanes) sums[run] += lane;
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

// One step; `step` counts from 1. Returns the gradient's norm before clipping. If that is not finite,
// nothing has been changed: the caller decides.
inline double adamw_step(Pool& pool, Parameters& parameters, const AdamW& o, long step) {
  complete_gradients(parameters);
  const double norm = gradient_norm(pool, parameters); // (1)
  if (!std::isfinite(norm)) return norm;
  const float clip = o.clip > 0 ? (float)std::min(1.0, o.clip / (norm + 1e-6)) : 1.f;
  const float keep = (float)(1 - o.learning_rate * o.weight_decay);
  const float beta2 = (float)o.beta2, new1 = (float)(1 - o.beta1), new2 = (float)(1 - o.beta2);
  const float rate = (float)(o.learning_rate / (1 - std::pow(o.beta1, (double)step)));
  const float root = (float)(1 / std::sqrt(1 - std::pow(o.beta2, (double)step)));
  const float epsilon = (float)o.epsilon, new_average = (float)(1 - o.average);
  float* weights = parameters.data(Buffer::weight);
  const float* gradients = parameters.data(Buffer::gradient);
  float *moments1 = parameters.data(Buffer::moment1), *moments2 = parameters.data(Buffer::moment2);
  float* averages = parameters.data(Buffer::average);
  // Blocks are padded to 16 floats, so the whole is a number of vectors.
  pool.split((int)(parameters.trainable_size() / kLanes), [&](Range part) {
    for (size_t i = (size_t)part.begin * kLanes; i < (size_t)part.end * kLanes; i += kLanes) {
      const Vec g = load(gradients + i) * clip;
      const Vec m0 = load(moments1 + i), m = m0 + (g - m0) * new1; // (3)
      const Vec v = load(moments2 + i) * beta2 + g * g * new2;
      const Vec p = load(weights + i) * keep - m * rate / (square_root(v) * root + epsilon); // (2), (4)
      store(moments1 + i, m);
      store(moments2 + i, v);
      store(weights + i, p);
      if (averages == nullptr) continue;
      const Vec a = load(averages + i);
      store(averages + i, a + (p - a) * new_average); // (5)
    }
  });
  return norm;
}

} // namespace tiller
