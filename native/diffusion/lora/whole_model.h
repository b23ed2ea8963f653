// A base with what was trained in it, one tensor at a time: with a LoRA merged (W + s α/r B A), or with trained
// tensors in the place of its own.
#pragma once

#include <set>
#include <string>

#include "diffusion/lora/checkpoint.h"
#include "diffusion/write_base.h"

namespace tiller {

inline BaseModel model_of(const BaseFiles& base, TensorSource source) {
  return {base.unet(), base.has(BasePart::vae) ? std::optional(base.vae()) : std::nullopt,
          base.has(BasePart::text) ? std::optional(base.text()) : std::nullopt, base.prediction(), {}, std::move(source)};
}

// `lora` outlives what is returned, as do base and trained.
inline TensorSource merged(const BaseFiles& base, const Lora& lora, float scale) {
  return [&base, &lora, scale](const std::string& name) {
    std::vector<float> w = base.read(name);
    const std::string ending = ".weight";
    const LoraMatrix* matrix = name.ends_with(ending) ? lora.find(name.substr(0, name.size() - ending.size())) : nullptr;
    if (matrix != nullptr) add_low_rank(*matrix, scale, w);
    return w;
  };
}

inline TensorSource replaced(const BaseFiles& base, const TrainedFiles& trained) {
  return [&base, &trained](const std::string& name) {
    const TensorInfo* tensor = trained.file().find(name);
    return tensor != nullptr ? trained.file().read(*tensor) : base.read(name);
  };
}

}  // namespace tiller
