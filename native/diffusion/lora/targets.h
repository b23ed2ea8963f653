// Which matrices of a base a LoRA may change, and what its files call them. A matrix has three names:
//   in single files  model.diffusion_model.input_blocks.1.1.proj_in
//   kohya's          lora_unet_down_blocks_0_attentions_0_proj_in, lora_te_text_model_encoder_layers_0_mlp_fc1
//   diffusers, PEFT  unet.down_blocks.0.attentions.0.proj_in, text_encoder.text_model.encoder.layers.0.mlp.fc1
//   https://github.com/kohya-ss/sd-scripts: networks/lora.py · https://huggingface.co/docs/diffusers: LoRA
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "diffusion/base_files.h"
#include "models/adapters.h"

namespace tiller {

struct LoraTarget {
  std::string name;            // in single files, without ".weight"
  std::string module;          // in its part of a diffusers folder
  BasePart part;
  std::vector<int64_t> shape;  // [N, in] or [N, in, k, k]
  bool usual;                  // trainers give it a low-rank part; others are only read

  std::string kohya() const {
    std::string key = (part == BasePart::unet ? "lora_unet_" : "lora_te_") + module;
    std::replace(key.begin(), key.end(), '.', '_');
    return key;
  }
  std::string peft() const { return (part == BasePart::unet ? "unet." : "text_encoder.") + module; }

  // What has the rank of convolutions (models/adapters.h).
  bool in_residual_block() const { return module.find("resnets.") != std::string::npos || module.find("samplers.") != std::string::npos; }

  int64_t rows() const { return shape[0]; }
  int64_t columns() const {
    int64_t n = 1;
    for (size_t i = 1; i < shape.size(); i++) n *= shape[i];
    return n;
  }
  // A is a convolution like the matrix, B one of a single pixel.
  std::vector<int64_t> down_shape(int rank) const {
    std::vector<int64_t> down = shape;
    down[0] = rank;
    return down;
  }
  std::vector<int64_t> up_shape(int rank) const {
    return shape.size() == 4 ? std::vector<int64_t>{rows(), rank, 1, 1} : std::vector<int64_t>{rows(), rank};
  }
};

class LoraTargets {
 public:
  explicit LoraTargets(const BaseFiles& base)
      : LoraTargets(base.unet(), base.has(BasePart::text) ? std::optional(base.text()) : std::nullopt) {}

  LoraTargets(const UNetConfig& unet_config, const std::optional<ClipTextConfig>& text_config) {
    Parameters parameters;
    Adapters adapters({1, 1, 1, 1});
    const UNet unet(parameters, unet_config, kUNetPrefix, &adapters);
    std::optional<ClipText> text;
    if (text_config) text.emplace(parameters, *text_config, kTextPrefix, &adapters);
    std::set<std::string> usual;
    for (const auto& entry : adapters.entries()) usual.insert(entry.name);
    const NameTable unet_table = unet_names(unet_config), text_table = text_names();
    for (const Parameter& tensor : parameters.tensors()) {
      const bool matrix = tensor.shape.size() > 1 && tensor.name.ends_with(".weight");
      if (!matrix || tensor.name.find(".lora_") != std::string::npos || tensor.name.find("embeddings.") != std::string::npos) continue;
      const BasePart part = tensor.name.starts_with(kUNetPrefix) ? BasePart::unet : BasePart::text;
      const auto module = (part == BasePart::unet ? unet_table : text_table).to_diffusers(tensor.name);
      const size_t ending = std::string(".weight").size();
      const std::string name = tensor.name.substr(0, tensor.name.size() - ending);
      add({name, module.value().substr(0, module->size() - ending), part, {tensor.shape.begin(), tensor.shape.end()}, usual.contains(name)});
    }
  }

  const std::vector<LoraTarget>& all() const { return all_; }
  const LoraTarget* find(const std::string& name) const { return look(by_name_, name); }
  const LoraTarget* find_kohya(const std::string& key) const { return look(by_kohya_, key); }
  // transformers from 5.6 on has no "text_model."
  const LoraTarget* find_peft(const std::string& key) const {
    const std::string text = "text_encoder.";
    const bool bare = key.starts_with(text) && !key.starts_with(text + "text_model.");
    return look(by_peft_, bare ? text + "text_model." + key.substr(text.size()) : key);
  }

 private:
  using Index = std::map<std::string, size_t>;

  void add(LoraTarget target) {
    by_name_[target.name] = by_kohya_[target.kohya()] = by_peft_[target.peft()] = all_.size();
    all_.push_back(std::move(target));
  }
  const LoraTarget* look(const Index& index, const std::string& key) const {
    const auto found = index.find(key);
    return found == index.end() ? nullptr : &all_[found->second];
  }

  std::vector<LoraTarget> all_;
  Index by_name_, by_kohya_, by_peft_;
};

}  // namespace tiller
