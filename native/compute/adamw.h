// AdamW (I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019, algorithm 2), as
// torch.optim.AdamW computes it, and a running average of the weights after it, in one pass over memory.
//
// (1) p ← p (1 - lr·decay)
// (2) m ← m + (1 - β₁)(g - m);  v ← v + (1 - β₂)(g² - v)
// (3) p ← p - lr/(1 - β₁ᵗ) · m / (√(v/(1 - β₂ᵗ)) + ε)
// (4) a ← a + (1 - average)(p - a)
#pragma once
#include "compute/optimizer.h"

namespace tiller {

namespace adamw_detail {

// One step's numbers, and what is done with a vector of parameters.
struct Formula {
  float clip, keep, new1, new2, rate, root, epsilon, new_average;

  Formula(const OptimizerSettings& o, int group, long step, float clip)
      : clip(clip), keep((float)(1 - o.learning_rates[group] * o.weight_decay)),
        new1((float)(1 - o.beta1)), new2((float)(1 - o.beta2)),
        rate((float)(o.learning_rates[group] / (1 - std::pow(o.beta1, (double)step)))),
        root((float)(1 / std::sqrt(1 - std::pow(o.beta2, (double)step)))), epsilon((float)o.epsilon),
        new_average((float)(1 - o.average)) {}

  // Writes weights (and averages, which may be null) at p, and the moments into m and v.
  TILLER_INLINE void apply(const float* gradient, float* weight, float* average, Vec& m, Vec& v) const {
    const Vec g = load(gradient) * clip;
    m = m + (g - m) * new1; // (2)
    v = v + (g * g - v) * new2;
    const Vec p = load(weight) * keep - m * rate / (square_root(v) * root + epsilon); // (1), (3)
    store(weight, p);
    if (average == nullptr) return;
    const Vec a = load(average);
    store(average, a + (p - a) * new_average); // (4)
  }
};

} // namespace adamw_detail

class AdamW : public Optimizer {
 public:
  explicit AdamW(Parameters& parameters)
      : Optimizer(parameters), first_(parameters.trainable_size()), second_(parameters.trainable_size()) {}

  std::vector<std::string> states() const override { return {"first", "second"}; }
  void store(const Parameter& tensor, size_t state, float* to) const override {
    store_flat(tensor, state == 0 ? first_ : second_, to);
  }
  void load(const Parameter& tensor, size_t state, const float* from) override {
    load_flat(tensor, state == 0 ? first_ : second_, from);
  }

  void update_stretch(Pool& pool, const OptimizerSettings& settings, long step, float clip, const Stretch& of) override {
    float* weights = parameters_.data(Buffer::weight);
    float* averages = parameters_.data(Buffer::average);
    const adamw_detail::Formula formula(settings, of.group, step, clip);
    each_part(pool, kLanes, of.begin, of.end, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; i += kLanes) {
        Vec m = tiller::load(first_.data() + i), v = tiller::load(second_.data() + i);
        formula.apply(of.gradients + i, weights + i, averages != nullptr ? averages + i : nullptr, m, v);
        tiller::store(first_.data() + i, m);
        tiller::store(second_.data() + i, v);
      }
    });
  }

 private:
  HugeBuffer first_, second_;
};

} // namespace tiller
