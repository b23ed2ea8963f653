// A base with what was trained in it, one tensor at a time: with a LoRA merged (W + s α/r B A), or with trained
// tensors in the place of its own; and with the autoencoder that it was trained and sampled with.
#pragma once

#include <set>
#include <string>

#include "diffusion/lora/checkpoint.h"
#include "diffusion/vae_files.h"
#include "diffusion/write_base.h"

namespace tiller {

// `vae` is another autoencoder than the base's, or null.
inline BaseModel model_of(const BaseFiles& base, const VaeFiles* vae, const Parameterization& trained, TensorSource source) {
  const auto own = base.has(BasePart::vae) ? std::optional(base.vae()) : std::nullopt;
  return {base.unet(), vae != nullptr ? std::optional(vae->config()) : own,
          base.has(BasePart::text) ? std::optional(base.text()) : std::nullopt, trained, {}, std::move(source)};
}

// `vae` outlives what is returned.
inline TensorSource with_autoencoder(const VaeFiles* vae, TensorSource source) {
  if (vae == nullptr) return source;
  return [vae, source = std::move(source)](const std::string& name) {
    return name.starts_with(kVaePrefix) ? vae->read(name) : source(name);
  };
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
