// golden.h   tensors that PyTorch gave (test/peers), and the weights and inputs that both sides make from
// the tensors' names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compute/parameters.h"
#include "compute/tape.h"
#include "formats/safetensors.h"
#include "tests/check.h"

namespace tiller {

constexpr uint64_t kGoldenSeed = 7;
constexpr double kGoldenLimit = 1e-3, kBf16Limit = 5e-3;

inline std::vector<float> normals(const std::string& name, size_t count) {
  std::vector<float> values(count);
  RandomStream(kGoldenSeed, Purpose::test, 0, hash_name(name)).fill_normal(values.data(), count);
  return values;
}
inline void fill(Value* value, const std::string& name) {
  const auto values = normals(name, value->shape.size());
  std::copy(values.begin(), values.end(), value->data);
}

// As weight() of unet.py.
inline void fill(Parameters& parameters) {
  for (auto& tensor : parameters.tensors()) {
    auto values = normals(tensor.name, tensor.size());
    const bool vector = tensor.shape.size() == 1, embedding = tensor.name.find("embedding") != std::string::npos;
    const bool scale = vector && tensor.name.ends_with(".weight");
    const double fan_in = (double)tensor.size() / tensor.shape[0];
    const float size = tensor.name.ends_with(".lora_up.weight") ? 0.3f : 1; // as lora.py
    const float factor = size * (vector ? 0.2f : embedding ? 1.f : (float)(1 / std::sqrt(fan_in)));
    for (auto& v : values) v = v * factor + (scale ? 1.f : 0.f);
    tensor.load(values.data());
  }
}

// Sums of squares: of what two tensors differ by, and of the wanted one.
struct Distance {
  double difference = 0, size = 0;

  void add(const float* got, const std::vector<float>& wanted) {
    for (size_t i = 0; i < wanted.size(); i++) {
      const double d = (double)got[i] - (double)wanted[i];
      difference += d * d, size += (double)wanted[i] * (double)wanted[i];
    }
  }
  double relative() const { return std::sqrt(difference / size); }
};

struct Golden {
  Checks& checks;
  std::string name;
  Safetensors file;
  double limit = kGoldenLimit;
  std::map<std::string, Distance>* distances = nullptr; // if given, tensors are measured and not checked

  void expect(const std::string& key, const float* got, size_t count) const {
    const TensorInfo* tensor = file.find(key);
    if (tensor == nullptr || tensor->count() != count) return checks.expect(name + " lacks " + key, 1, 0);
    const auto wanted = file.read(*tensor);
    if (distances != nullptr) return (*distances)[key].add(got, wanted);
    // The floor: a key's bias shifts all scores alike, so its true gradient is nothing.
    checks.expect(name + " " + key, relative_error(got, wanted.data(), count, 1e-6 * (double)count), limit);
  }
  void expect_gradients(Parameters& parameters, size_t others) const {
    size_t trained = 0;
    for (const auto& tensor : parameters.tensors()) {
      if (!tensor.trainable()) continue;
      trained++;
      std::vector<float> gradient(tensor.size());
      tensor.store(gradient.data(), Buffer::gradient);
      expect(tensor.name, gradient.data(), gradient.size());
    }
    const double missed = std::abs((double)(file.tensors().size() - others) - (double)trained);
    checks.expect(name + " tensors that only one side has", missed, 0);
  }
};

}  // namespace tiller
