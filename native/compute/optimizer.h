// An optimizer: what it remembers of each trained parameter, and a step. Implementations: adamw.h,
// adamw8bit.h, prodigy.h; make_optimizer.h makes one by its name.
#pragma once
#include <array>
#include <cmath>
#include <string>

#include "compute/parameters.h"
#include "compute/pool.h"

namespace tiller {

struct OptimizerSettings {
  std::array<double, Parameters::kGroups> learning_rates{1e-3, 1e-3};
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01; // decoupled
  double clip = 1;            // the largest gradient norm; 0: no clipping
  double average = 0.995;     // the running average's memory; 0: the average is the weights
};

// body(first, last) → the part's sum, for runs of a fixed size: the same for any number of threads.
template <class Body>
double sum_over_runs(Pool& pool, size_t size, const Body& body) {
  constexpr size_t kRun = 16384;
  std::vector<double> sums((size + kRun - 1) / kRun);
  pool.split((int)sums.size(), [&](Range runs) {
    for (int run = runs.begin; run < runs.end; run++) sums[run] = body(run * kRun, std::min(size, (run + 1) * kRun));
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

// Of numbers whose count is a multiple of 8. In double, so finite ones have a finite sum.
inline double sum_of_squares(Pool& pool, const float* g, size_t size) {
  return sum_over_runs(pool, size, [g](size_t first, size_t last) {
    double lanes[8] = {}, sum = 0;
    for (size_t i = first; i < last; i += 8)
      for (int l = 0; l < 8; l++) lanes[l] += (double)g[i + l] * g[i + l];
    for (const double lane : lanes) sum += lane;
    return sum;
  });
}

// A stretch of the flat buffers, of one group. Gradients are indexed as the buffers are.
struct Stretch {
  int group;
  size_t begin, end;
  const float* gradients;
};

class Optimizer {
 public:
  explicit Optimizer(Parameters& parameters) : parameters_(parameters) {}
  virtual ~Optimizer() = default;

  // One step; `step` counts from 1. Returns the gradient's norm before clipping. If that is not finite,
  // nothing has been changed: the caller decides.
  double step(Pool& pool, const OptimizerSettings& settings, long step);

  // Whether a number's update depends on nothing but its own gradient: then gradients may be used as they come
  // (compute/fused_step.h), by update_stretch().
  virtual bool fuses() const { return true; }
  // As update(), of a stretch of whole blocks.
  virtual void update_stretch(Pool&, const OptimizerSettings&, long /*step*/, float /*clip*/, const Stretch&) {
    throw std::logic_error("this optimizer needs all gradients at once");
  }

  // What a checkpoint holds: a number for each number of a trained tensor, under these names; and some
  // numbers of the whole.
  virtual std::vector<std::string> states() const = 0;
  virtual void store(const Parameter& tensor, size_t state, float* to) const = 0;
  virtual void load(const Parameter& tensor, size_t state, const float* from) = 0;
  virtual std::vector<double> numbers() const { return {}; }
  virtual void set_numbers(const std::vector<double>& numbers) {
    if (!numbers.empty()) throw std::invalid_argument("this optimizer has no numbers of the whole");
  }

 protected:
  // With every gradient times `clip`.
  virtual void update(Pool& pool, const OptimizerSettings& settings, long step, float clip) {
    for (int group = 0; group < Parameters::kGroups; group++) {
      const auto [begin, end] = parameters_.group(group);
      update_stretch(pool, settings, step, clip, {group, begin, end, parameters_.data(Buffer::gradient)});
    }
  }

  // Runs body([begin, end)) on parts of a stretch that are multiples of `unit` floats.
  template <class Body>
  static void each_part(Pool& pool, size_t unit, size_t begin, size_t end, const Body& body) {
    pool.split((int)((end - begin) / unit),
               [&](Range part) { body(begin + part.begin * unit, begin + part.end * unit); });
  }

  template <class Body>
  double sum_over_runs(Pool& pool, const Body& body) const {
    return tiller::sum_over_runs(pool, parameters_.trainable_size(), body);
  }

  static void store_flat(const Parameter& tensor, const HugeBuffer& flat, float* to) {
    tensor.walk([&](size_t inside, size_t outside) { to[outside] = flat.data()[inside]; });
  }
  static void load_flat(const Parameter& tensor, HugeBuffer& flat, const float* from) {
    tensor.walk([&](size_t inside, size_t outside) { flat.data()[inside] = from[outside]; });
  }

  Parameters& parameters_;

 private:
  // Gradients of parameters that the backward passes since zero_gradients() did not reach become zero.
  void complete_gradients() {
    for (auto& block : parameters_.blocks()) {
      if (block.gradient != nullptr && !block.accumulate_gradient())
        std::memset(block.gradient, 0, block.size() * sizeof(float));
    }
  }

};

// The gradients are clipped by their global norm (R. Pascanu et al., 2013):
//   N = √(sum g²);  g ← g · min(1, clip / (N + 1e-6)) if clip > 0
inline double Optimizer::step(Pool& pool, const OptimizerSettings& settings, long step) {
  complete_gradients();
  const double norm = std::sqrt(sum_of_squares(pool, parameters_.data(Buffer::gradient), parameters_.trainable_size()));
  if (!std::isfinite(norm)) return norm;
  update(pool, settings, step, settings.clip > 0 ? (float)std::min(1.0, settings.clip / (norm + 1e-6)) : 1.f);
  return norm;
}

} // namespace tiller
