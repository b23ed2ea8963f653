// finite_differences.h   a layer on a tape of its own: its gradients against finite differences; the same
// bits from any number of threads and without training; gradients that add up over passes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compute/tape.h"
#include "onednn/products.h"
#include "tests/check.h"

namespace tiller {

// What a case puts on a tape: the inputs to differentiate by, and the result.
struct Built {
  std::vector<Value*> inputs;
  Value* y;
};
using Builder = std::function<Built(Tape&)>;

// Runs one tape with fixed inputs, weights and upstream gradients; with a library, products are by it.
struct Run {
  Pool pool;
  std::unique_ptr<onednn::Products> products;
  Tape tape;
  Built built;
  std::vector<float> upstream;

  Run(const Builder& build, int threads, bool training = true, const onednn::Library* library = nullptr)
      : pool(threads), products(library ? std::make_unique<onednn::Products>(*library, pool, onednn::kF32) : nullptr),
        tape(pool, training, products.get()), built(build(tape)) {
    tape.expose(built.y);
    tape.finish();
    for (size_t i = 0; i < built.inputs.size(); i++) {
      RandomStream(1, Purpose::test, 0, i).fill_normal(built.inputs[i]->data, built.inputs[i]->shape.size());
    }
    upstream.resize(built.y->shape.size());
    RandomStream(2, Purpose::test).fill_normal(upstream.data(), upstream.size());
  }
  double loss() {
    tape.forward();
    double sum = 0;
    for (size_t i = 0; i < upstream.size(); i++) sum += (double)upstream[i] * built.y->data[i];
    return sum;
  }
  void backward() {
    tape.forward();
    std::copy(upstream.begin(), upstream.end(), built.y->gradient);
    tape.backward();
  }
};

inline void randomize(Parameters& parameters) {
  parameters.allocate(true);
  size_t item = 0;
  for (Block& block : parameters.blocks()) {
    RandomStream random(3, Purpose::test, 0, item++);
    const bool vector = !block.packed && block.in == 1;
    for (int tap = 0; tap < block.taps; tap++)
      for (int i = 0; i < block.in; i++)
        for (int o = 0; o < block.out; o++)
          block.weight[block.index(tap, i, o)] = 0.3f * random.normal() + (vector ? 0.8f : 0.f);
  }
}

// (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12h, of the fourth order
inline double derivative(Run& run, float& x) {
  const float before = x;
  const double h = 1.0 / 64;
  const auto at = [&](double offset) {
    x = (float)(before + offset);
    return run.loss();
  };
  const double slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
  x = before;
  return slope;
}

// The worst difference over some elements, against the gradient's own size.
inline double worst_difference(Run& run, const std::vector<float*>& elements, const std::vector<float>& gradient) {
  double size = 0, worst = 0;
  for (const float g : gradient) size += (double)g * g;
  size = std::sqrt(size / (double)gradient.size()) + 1e-9;
  RandomStream random(4, Purpose::test);
  const bool all = elements.size() <= 48;
  for (size_t k = 0; k < std::min<size_t>(elements.size(), 48); k++) {
    const size_t i = all ? k : random.below((uint32_t)elements.size());
    worst = std::max(worst, std::abs(derivative(run, *elements[i]) - gradient[i]) / size);
  }
  return worst;
}

inline std::vector<size_t> elements_of(const Block& block) {
  std::vector<size_t> found;
  for (int tap = 0; tap < block.taps; tap++)
    for (int i = 0; i < block.in; i++)
      for (int o = 0; o < block.out; o++) found.push_back(block.index(tap, i, o));
  return found;
}

inline void check_differences(Checks& checks, const std::string& name, Parameters& parameters, const Builder& build) {
  Run run(build, 1);
  parameters.zero_gradients();
  run.backward();
  for (size_t i = 0; i < run.built.inputs.size(); i++) {
    Value* input = run.built.inputs[i];
    if (!input->needs_gradient) continue;
    std::vector<float*> elements;
    for (size_t k = 0; k < input->shape.size(); k++) elements.push_back(input->data + k);
    const std::vector<float> gradient(input->gradient, input->gradient + input->shape.size());
    checks.expect(name + " dx" + std::to_string(i), worst_difference(run, elements, gradient), 2e-3);
  }
  int number = 0;
  for (Block& block : parameters.blocks()) {
    const std::string label = name + " dw" + std::to_string(number++);
    if (!block.gradient_written) continue;
    std::vector<float*> elements;
    std::vector<float> gradient;
    double everything = 0, counted = 0;
    for (const size_t at : elements_of(block)) {
      elements.push_back(block.weight + at);
      gradient.push_back(block.gradient[at]);
      counted += std::abs(block.gradient[at]);
    }
    for (size_t i = 0; i < block.size(); i++) everything += std::abs(block.gradient[i]);
    checks.expect(label, worst_difference(run, elements, gradient), 2e-3);
    checks.expect(label + " padding", std::abs(everything - counted) / (counted + 1e-9), 1e-9);
  }
}

using Result = std::map<std::string, std::vector<float>>;

inline Result result_of(Run& run, Parameters& parameters) {
  Result result;
  result["y"].assign(run.built.y->data, run.built.y->data + run.built.y->shape.size());
  for (size_t i = 0; i < run.built.inputs.size(); i++) {
    const Value* x = run.built.inputs[i];
    if (x->needs_gradient) result[std::string("x") + std::to_string(i)].assign(x->gradient, x->gradient + x->shape.size());
  }
  int number = 0;
  for (Block& block : parameters.blocks()) {
    auto& values = result[std::string("w") + std::to_string(number++)];
    if (!block.gradient_written) continue;
    for (const size_t at : elements_of(block)) values.push_back(block.gradient[at]);
  }
  return result;
}

inline void check_threads_and_passes(Checks& checks, const std::string& name, Parameters& parameters, const Builder& build) {
  Result one;
  for (const int threads : {1, 2, 3}) {
    Run run(build, threads);
    parameters.zero_gradients();
    run.backward();
    const Result result = result_of(run, parameters);
    if (threads == 1) one = result;
    checks.holds(name + " " + std::to_string(threads) + " threads, same bits", result == one);
    if (threads != 2) continue;
    run.backward(); // adds to the parameters' gradients, and begins the inputs' anew
    Result twice = one;
    for (auto& [key, values] : twice)
      if (key[0] == 'w')
        for (float& v : values) v *= 2;
    double worst = 0;
    for (auto& [key, values] : result_of(run, parameters))
      if (!values.empty()) worst = std::max(worst, relative_error(values, twice[key], values.size()));
    checks.expect(name + " two passes add up", worst, 1e-6);
  }
  Run inference(build, 2, false);
  inference.tape.forward();
  const float* y = inference.built.y->data;
  const std::vector<float> outputs(y, y + inference.built.y->shape.size());
  checks.holds(name + " inference, same bits", outputs == one["y"]);
}

inline void check(Checks& checks, const std::string& name, Parameters& parameters, const Builder& build) {
  randomize(parameters);
  check_differences(checks, name, parameters, build);
  check_threads_and_passes(checks, name, parameters, build);
}

} // namespace tiller
