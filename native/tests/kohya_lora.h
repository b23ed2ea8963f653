// kohya_lora.h   a LoRA file of kohya's keys into the low-rank parts of a model. It shares no line with the
//                code that writes such files, and so would not make the same mistake twice.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "diffusion/base_files.h"
#include "models/adapters.h"

namespace tiller {

class KohyaLora {
 public:
  explicit KohyaLora(const fs::path& path) : file_(path) {}

  // The largest of its ranks: matrices of a smaller one have the rest of it zero.
  int rank() const {
    int64_t rank = 1;
    for (const auto& tensor : file_.tensors())
      if (tensor.name.ends_with(".lora_down.weight")) rank = std::max(rank, tensor.shape.at(0));
    return static_cast<int>(rank);
  }

  // Returns how many matrices it has changed; throws where the file has one that the model has not.
  size_t load(const Adapters& adapters, const NameTable& unet, const NameTable& text) const {
    size_t used = 0;
    for (const auto& entry : adapters.entries()) {
      const bool of_unet = entry.name.starts_with(kUNetPrefix);
      const auto module = (of_unet ? unet : text).to_diffusers(entry.name + ".weight");
      std::string key = (of_unet ? "lora_unet_" : "lora_te_") + module.value();
      key.resize(key.size() - std::string(".weight").size());
      std::replace(key.begin(), key.end(), '.', '_');
      used += load(entry, key);
    }
    const auto matrices = std::count_if(file_.tensors().begin(), file_.tensors().end(), [](const auto& tensor) { return tensor.name.ends_with(".lora_down.weight"); });
    if (used != static_cast<size_t>(matrices)) throw std::runtime_error("the LoRA has " + std::to_string(matrices) + " matrices, of which the model has " + std::to_string(used));
    return used;
  }

 private:
  bool load(const Adapters::Entry& entry, const std::string& key) const {
    const TensorInfo* info = file_.find(key + ".lora_down.weight");
    if (info == nullptr) return false;
    const auto down = file_.read(*info), up = file_.read(*file_.find(key + ".lora_up.weight"));
    const auto rank = static_cast<size_t>(info->shape.at(0)), wide = static_cast<size_t>(entry.rank);
    const TensorInfo* alpha = file_.find(key + ".alpha");
    const float given = alpha == nullptr ? static_cast<float>(rank) : file_.read(*alpha).at(0);
    const float scale = given / static_cast<float>(rank) / (entry.alpha / static_cast<float>(entry.rank));
    if (down.size() * wide != entry.down->size() * rank || up.size() * wide != entry.up->size() * rank)
      throw std::runtime_error(key + " has other sizes than the model's matrix");
    std::vector<float> a(entry.down->size()), b(entry.up->size());
    std::copy(down.begin(), down.end(), a.begin());
    for (size_t i = 0; i < up.size(); i++) b[i / rank * wide + i % rank] = scale * up[i];
    entry.down->load(a.data());
    entry.up->load(b.data());
    return true;
  }

  Safetensors file_;
};

}  // namespace tiller
