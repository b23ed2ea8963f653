// What a file says of itself in __metadata__, as far as its tensors tell; the rest (data, steps, rates) is the
// caller's. Keys: kohya's `ss_*` as A1111 and ComfyUI show them, and https://github.com/Stability-AI/ModelSpec.
#pragma once

#include <map>
#include <set>
#include <string>

#include "diffusion/lora/lora.h"
#include "diffusion/lora/targets.h"

namespace tiller {

using Metadata = std::map<std::string, std::string>;

namespace detail {

// kohya's word where matrices differ.
template <class Values>
std::string one_or_dynamic(const Values& values) {
  return values.size() == 1 ? short_number(static_cast<float>(*values.begin())).dump() : "Dynamic";
}

inline void add_modelspec(Metadata& metadata, const Parameterization& trained, const std::string& architecture) {
  metadata.emplace("modelspec.sai_model_spec", "1.0.0");
  metadata.emplace("modelspec.architecture", architecture);
  metadata.emplace("modelspec.prediction_type", trained.prediction == Prediction::v ? "v" : "epsilon");
  metadata.emplace("ss_zero_terminal_snr", trained.zero_terminal_snr ? "True" : "False");  // ModelSpec has no word for it
}

}  // namespace detail

// What is there already stays.
inline void describe_lora(Metadata& metadata, const Lora& lora, const LoraTargets& targets, const BaseFiles& base,
                          const Parameterization& trained) {
  std::set<int> ranks, conv_ranks;
  std::set<float> alphas, conv_alphas;
  for (const LoraMatrix& matrix : lora.matrices) {
    const LoraTarget& target = *targets.find(matrix.name);
    const bool conv = target.in_residual_block();
    (conv ? conv_ranks : ranks).insert(matrix.rank);
    (conv ? conv_alphas : alphas).insert(matrix.alpha);
  }
  metadata.emplace("ss_network_module", "networks.lora");
  if (!ranks.empty()) {
    metadata.emplace("ss_network_dim", detail::one_or_dynamic(ranks));
    metadata.emplace("ss_network_alpha", detail::one_or_dynamic(alphas));
  }
  if (!conv_ranks.empty()) {
    const Json args = {{"conv_dim", detail::one_or_dynamic(conv_ranks)}, {"conv_alpha", detail::one_or_dynamic(conv_alphas)}};
    metadata.emplace("ss_network_args", args.dump());
  }
  metadata.emplace("ss_base_model_version", "sd_v1");
  metadata.emplace("ss_sd_model_name", base.path().filename().string());
  detail::add_modelspec(metadata, trained, "stable-diffusion-v1/lora");
}

inline void describe_model(Metadata& metadata, const BaseFiles& base, const Parameterization& trained) {
  detail::add_modelspec(metadata, trained, base.unet().in_channels == 9 ? "stable-diffusion-v1-inpainting" : "stable-diffusion-v1");
}

}  // namespace tiller
