// Prodigy (K. Mishchenko and A. Defazio, "Prodigy: an expeditiously adaptive parameter-free learner", 2024,
// algorithm 4, with decoupled weight decay): Adam that finds its step size itself. d is an estimate from below
// of how far the weights have to go; learning_rates are factors on it (1 as a rule).
//
// (1) k = d lr;  N ← √β₂ N + d/d₀ k ⟨g, p₀ - p⟩
// (2) m ← m + (1 - β₁)(d g - m);  v ← v + (1 - β₂)(d² g² - v)
// (3) s ← √β₂ s + d/d₀ k g
// (4) d ← max(d, N / ‖s‖₁)
// (5) p ← p (1 - k·decay) - k m / (√v + d ε)          with the k of before (4)
// (6) a ← a + (1 - average)(p - a)
#pragma once
#include "compute/optimizer.h"

namespace tiller {

class Prodigy : public Optimizer {
 public:
  // Made when the weights are those that training starts from: they are p₀.
  explicit Prodigy(Parameters& parameters)
      : Optimizer(parameters), first_(parameters.trainable_size()), second_(parameters.trainable_size()),
        sum_(parameters.trainable_size()), start_(parameters.trainable_size()) {
    std::memcpy(start_.data(), parameters.data(Buffer::weight), parameters.trainable_size() * sizeof(float));
  }

  std::vector<std::string> states() const override { return {"first", "second", "sum", "start"}; }
  void store(const Parameter& tensor, size_t state, float* to) const override {
    store_flat(tensor, const_cast<Prodigy*>(this)->buffer(state), to);
  }
  void load(const Parameter& tensor, size_t state, const float* from) override { load_flat(tensor, buffer(state), from); }
  std::vector<double> numbers() const override { return {d_, numerator_}; }
  void set_numbers(const std::vector<double>& numbers) override {
    if (numbers.size() != 2 || !(numbers[0] > 0)) throw std::invalid_argument("Prodigy has two numbers, d above 0");
    d_ = numbers[0], numerator_ = numbers[1];
  }
  double d() const { return d_; }
  bool fuses() const override { return false; } // d is of all gradients

 protected:
  void update(Pool& pool, const OptimizerSettings& o, long, float clip) override {
    float* weights = parameters_.data(Buffer::weight);
    const float* gradients = parameters_.data(Buffer::gradient);
    float* averages = parameters_.data(Buffer::average);
    const double beta3 = std::sqrt(o.beta2);
    const auto group_of = [&](size_t i) { return i < parameters_.group(0).second ? 0 : 1; };
    const auto step_size = [&](size_t i) { return d_ * o.learning_rates[group_of(i)]; };

    numerator_ = beta3 * numerator_ + sum_over_runs(pool, [&](size_t first, size_t last) { // (1)
      double sum = 0;
      for (size_t i = first; i < last; i++)
        sum += d_ / kSmallest * step_size(i) * (double)(gradients[i] * clip) * ((double)start_.data()[i] - weights[i]);
      return sum;
    });
    const double denominator = sum_over_runs(pool, [&](size_t first, size_t last) {
      double sum = 0;
      for (size_t i = first; i < last; i++) {
        const double g = gradients[i] * clip, dg = d_ * g;
        float &m = first_.data()[i], &v = second_.data()[i], &s = sum_.data()[i];
        m = (float)(m + (1 - o.beta1) * (dg - m));                            // (2)
        v = (float)(v + (1 - o.beta2) * (dg * dg - v));
        s = (float)std::fma(beta3, s, d_ / kSmallest * step_size(i) * g); // (3)
        sum += std::abs(s);
      }
      return sum;
    });
    const double before = d_;
    if (denominator > 0) d_ = std::max(d_, numerator_ / denominator); // (4)
    for (int group = 0; group < Parameters::kGroups; group++) {
      const double k = before * o.learning_rates[group];
      const float keep = (float)(1 - k * o.weight_decay), rate = (float)k, epsilon = (float)(d_ * o.epsilon);
      const float new_average = (float)(1 - o.average);
      const auto [first, last] = parameters_.group(group);
      each_part(pool, kLanes, first, last, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; i += kLanes) {
          const Vec m = tiller::load(first_.data() + i), v = tiller::load(second_.data() + i);
          const Vec p = tiller::load(weights + i) * keep - m * rate / (square_root(v) + max(broadcast(epsilon), broadcast(1e-38f))); // (5)
          tiller::store(weights + i, p);
          if (averages == nullptr) continue;
          const Vec a = tiller::load(averages + i);
          tiller::store(averages + i, a + (p - a) * new_average); // (6)
        }
      });
    }
  }

 private:
  HugeBuffer& buffer(size_t state) {
    HugeBuffer* const all[] = {&first_, &second_, &sum_, &start_};
    return *all[state];
  }

  static constexpr double kSmallest = 1e-6; // d₀
  double d_ = kSmallest, numerator_ = 0;
  HugeBuffer first_, second_, sum_, start_;
};

} // namespace tiller
