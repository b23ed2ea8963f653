// graph_compare.h   the same tape run twice, by our CPU kernels and as a ggml graph, and every number
// that leaves it compared: outputs, gradients of inputs, gradients of blocks.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "compute/graph_runner.h"
#include "layers/mse_loss.h"
#include "tests/check.h"
#include "tests/tested_device.h"

namespace tiller {

// What a builder has put on a tape.
struct Built {
  std::vector<Value*> inputs;
  Value* y;  // or
  MeanSquaredError* loss = nullptr;
};
using Builder = std::function<Built(Tape&)>;

class GraphComparison {
  TestedDevice device_;

 public:
  GraphComparison(int count, char** arguments)
      : device_(count, arguments), limit(precision() == Precision::bf16 ? kBf16Agreement : kAgreement) {}

  Checks checks;
  std::mt19937 random{1};
  double limit;
  const Backend& backend() const { return device_.backend; }
  Precision precision() const { return device_.precision; }

  // Gives the blocks memory and normal numbers, about 0.7 where they are vectors (norms' scales).
  void fill(Parameters& parameters, float deviation = 0.3f) {
    parameters.allocate(/*training=*/true);
    for (Block& block : parameters.blocks()) {
      std::vector<float> values(unpacked_size(block));
      fill(values.data(), values.size(), deviation);
      if (!block.packed && block.in == 1) {
        for (float& value : values) value += 0.7f;
      }
      pack(block, values.data(), block.weight, false);
    }
  }

  void compare(const std::string& name, Parameters& parameters, const Builder& build) {
    Pool pool(1);
    Tape ours(pool, true), theirs(pool, true);
    const Built a = build(ours), b = build(theirs);
    for (const Built* built : {&a, &b}) {
      if (built->y) built->y->external = true;
    }
    ours.finish();
    DeviceWeights weights(backend(), precision());
    GraphRunner graph(theirs, weights);
    for (size_t i = 0; i < a.inputs.size(); i++) {
      fill(*a.inputs[i]);
      copy(a.inputs[i]->data, b.inputs[i]->data, a.inputs[i]->shape.size());
    }

    ours.forward();
    graph.forward();
    if (a.loss) {
      checks.expect(name + " loss", relative_error(a.loss->losses, b.loss->losses, a.loss->losses.size()), limit);
    } else {
      expect(name + " y", a.y->data, b.y->data, a.y->shape.size());
      if (!a.y->needs_gradient) return;
      fill(a.y->gradient, a.y->shape.size());
      copy(a.y->gradient, b.y->gradient, a.y->shape.size());
    }
    parameters.zero_gradients();
    graph.backward();
    const auto expected = gradients(parameters);
    parameters.zero_gradients();
    ours.backward();
    const auto got = gradients(parameters);
    for (size_t i = 0; i < a.inputs.size(); i++) {
      if (!a.inputs[i]->needs_gradient) continue;
      expect(name + " dx" + std::to_string(i), a.inputs[i]->gradient, b.inputs[i]->gradient, a.inputs[i]->shape.size());
    }
    // A sum that cancels keeps its terms' rounding to BF16: it is measured by the size that gradients have here. Of a
    // few numbers all may be what a projection to rank 1 left.
    const bool bf16 = precision() == Precision::bf16;
    const double typical = bf16 ? mean_square(got) : 0;
    for (size_t i = 0; i < got.size(); i++) {
      const size_t size = got[i].size();
      const double floor = std::fmax(typical * static_cast<double>(size), 1e-12);
      checks.expect(name + " dw" + std::to_string(i), relative_error(got[i], expected[i], size, floor),
                    bf16 && size < 8 ? 2 * limit : limit);
    }
  }

  void expect(const std::string& name, const float* ours, const float* graph, size_t count) {
    checks.expect(name, relative_error(ours, graph, count), limit);
  }

  // Token ids and times, of one channel and no gradient, are small whole numbers.
  void fill(const Value& value) {
    fill(value.data, value.shape.size());
    if (value.needs_gradient || value.channels() > 1) return;
    for (size_t i = 0; i < value.shape.size(); i++) value.data[i] = static_cast<float>(random() % 9);
  }

  void fill(float* values, size_t count, float deviation = 1.0f) {
    std::normal_distribution<float> normal(0.0f, deviation);
    for (size_t i = 0; i < count; i++) values[i] = normal(random);
  }

 private:
  static double mean_square(const std::vector<std::vector<float>>& tensors) {
    double sum = 0, count = 0;
    for (const auto& tensor : tensors) {
      for (const float value : tensor) sum += static_cast<double>(value) * value;
      count += static_cast<double>(tensor.size());
    }
    return sum / std::fmax(count, 1);
  }

  static void copy(const float* from, float* to, size_t count) { std::memcpy(to, from, count * sizeof(float)); }

  static std::vector<std::vector<float>> gradients(Parameters& parameters) {
    std::vector<std::vector<float>> all;
    for (const Block& block : parameters.blocks()) {
      if (!block.trainable) continue;
      auto& values = all.emplace_back(unpacked_size(block));
      unpack(block, block.gradient, values.data());
    }
    return all;
  }
};

}  // namespace tiller
