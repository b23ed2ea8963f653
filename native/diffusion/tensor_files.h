// A model's tensors in safetensors files of a checkpoint: written under prefix + name, and read back only if
// names and shapes are the model's, exactly.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "compute/parameters.h"
#include "formats/safetensors.h"
#include "training/failure.h"

namespace tiller {

inline std::vector<int64_t> shape_of(const Parameter& tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

// One number for each number of a tensor: weights, averages, or what an optimizer remembers.
struct TensorAspect {
  std::string prefix;
  std::function<void(const Parameter&, float* to)> store;
  std::function<void(Parameter&, const float* from)> load;
};

inline TensorAspect aspect_of(Buffer buffer, const std::string& prefix = "") {
  return {prefix, [buffer](const Parameter& tensor, float* to) { tensor.store(to, buffer); },
          [buffer](Parameter& tensor, const float* from) { tensor.load(from, buffer); }};
}

// Which tensors a file holds.
using Chosen = std::function<bool(const Parameter&)>;
inline bool every_tensor(const Parameter&) { return true; }
inline bool trained_tensor(const Parameter& tensor) { return tensor.trainable(); }

inline void write_tensors(OutputFile& out, const Parameters& parameters, const std::vector<TensorAspect>& aspects,
                          const Chosen& chosen, const std::map<std::string, std::string>& metadata = {{"format", "pt"}}) {
  std::vector<TensorInfo> infos;
  std::vector<std::pair<const Parameter*, const TensorAspect*>> sources;
  for (const auto& aspect : aspects) {
    for (const auto& tensor : parameters.tensors()) {
      if (!chosen(tensor)) continue;
      infos.push_back({aspect.prefix + tensor.name, shape_of(tensor)});
      sources.emplace_back(&tensor, &aspect);
    }
  }
  write_safetensors(out, infos, metadata, [&](size_t i, float* to) { sources[i].second->store(*sources[i].first, to); });
}

namespace detail {

// Nothing missing, nothing left over. Errors: CHECKPOINT_MISMATCH.
inline void match_tensors(const Safetensors& file, const fs::path& path, const Parameters& parameters,
                          const std::vector<TensorAspect>& aspects, const Chosen& chosen) {
  const auto refuse = [&](const std::string& why) {
    throw Failure(kBadData, "CHECKPOINT_MISMATCH", path.string() + " is of another architecture: " + why,
                  "Resume with the model section that it was made with.");
  };
  size_t expected = 0;
  for (const auto& aspect : aspects) {
    for (const auto& tensor : parameters.tensors()) {
      if (!chosen(tensor)) continue;
      expected++;
      const TensorInfo* found = file.find(aspect.prefix + tensor.name);
      if (found == nullptr) refuse("it lacks " + aspect.prefix + tensor.name);
      if (found->shape != shape_of(tensor))
        refuse(found->name + " is " + shape_text(found->shape) + ", not " + shape_text(shape_of(tensor)));
    }
  }
  if (file.tensors().size() == expected) return;
  for (const auto& info : file.tensors()) {
    const bool known = std::any_of(aspects.begin(), aspects.end(), [&](const TensorAspect& aspect) {
      if (!info.name.starts_with(aspect.prefix)) return false;
      const Parameter* tensor = parameters.find(info.name.substr(aspect.prefix.size()));
      return tensor != nullptr && chosen(*tensor);
    });
    if (!known) refuse("it has " + info.name + ", which this model lacks or doesn't train");
  }
}

}  // namespace detail

// Errors: CHECKPOINT_MISMATCH, and those of Safetensors.
inline void read_tensors(const fs::path& path, Parameters& parameters, const std::vector<TensorAspect>& aspects,
                         const Chosen& chosen) {
  const Safetensors file(path);
  detail::match_tensors(file, path, parameters, aspects, chosen);
  for (const auto& aspect : aspects)
    for (auto& tensor : parameters.tensors())
      if (chosen(tensor)) aspect.load(tensor, file.read(*file.find(aspect.prefix + tensor.name)).data());
}

}  // namespace tiller
