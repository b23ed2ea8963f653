// The two names that each tensor of Stable Diffusion 1.x has: in single files ("model.diffusion_model.
// input_blocks.1.0.in_layers.2.weight") and in a diffusers folder, where each part has a file of its own
// ("down_blocks.0.resnets.0.conv1.weight"). A table holds pairs of modules; what follows a module's name
// is the same in both.
//   https://huggingface.co/docs/diffusers: UNet2DConditionModel, AutoencoderKL
#pragma once
#include <map>
#include <optional>
#include <string>

#include "models/clip_text.h"
#include "models/unet.h"
#include "models/vae.h"

namespace tiller {

inline constexpr const char* kUNetPrefix = "model.diffusion_model.";
inline constexpr const char* kVaePrefix = "first_stage_model.";
inline constexpr const char* kTextPrefix = "cond_stage_model.transformer.text_model.";

class NameTable {
 public:
  void pair(const std::string& sd, const std::string& diffusers) {
    const bool fresh = to_diffusers_.emplace(sd, diffusers).second && to_sd_.emplace(diffusers, sd).second;
    if (!fresh) throw std::logic_error("two modules are called " + sd + " or " + diffusers);
  }
  // None if the table has no module that the name begins with.
  std::optional<std::string> to_diffusers(const std::string& sd) const { return translate(to_diffusers_, sd); }
  std::optional<std::string> to_sd(const std::string& diffusers) const { return translate(to_sd_, diffusers); }

 private:
  using Modules = std::map<std::string, std::string>;

  static std::optional<std::string> translate(const Modules& modules, const std::string& name) {
    for (size_t dot = name.rfind('.'); dot != std::string::npos && dot > 0; dot = name.rfind('.', dot - 1)) {
      const auto found = modules.find(name.substr(0, dot));
      if (found != modules.end()) return found->second + name.substr(dot);
    }
    return std::nullopt;
  }

  Modules to_diffusers_, to_sd_;
};

namespace detail {

inline std::string join(const std::string& a, int number, const std::string& b = "") {
  return a + std::to_string(number) + b;
}

inline void pair_unet_res(NameTable& names, const std::string& sd, const std::string& diffusers) {
  static const std::pair<const char*, const char*> parts[] = {
      {".in_layers.0", ".norm1"},  {".in_layers.2", ".conv1"},  {".emb_layers.1", ".time_emb_proj"},
      {".out_layers.0", ".norm2"}, {".out_layers.3", ".conv2"}, {".skip_connection", ".conv_shortcut"}};
  for (const auto& [ours, theirs] : parts) names.pair(sd + ours, diffusers + theirs);
}

inline void pair_vae_middle(NameTable& names, const std::string& sd, const std::string& diffusers) {
  for (int i = 0; i < 2; i++) {
    const std::string a = join(sd + ".mid.block_", i + 1), b = join(diffusers + ".mid_block.resnets.", i);
    for (const char* same : {".norm1", ".conv1", ".norm2", ".conv2"}) names.pair(a + same, b + same);
  }
  static const std::pair<const char*, const char*> parts[] = {
      {"norm", "group_norm"}, {"q", "to_q"}, {"k", "to_k"}, {"v", "to_v"}, {"proj_out", "to_out.0"}};
  for (const auto& [ours, theirs] : parts)
    names.pair(sd + ".mid.attn_1." + ours, diffusers + ".mid_block.attentions.0." + theirs);
  for (const char* same : {".conv_in", ".conv_out"}) names.pair(sd + same, diffusers + same);
  names.pair(sd + ".norm_out", diffusers + ".conv_norm_out");
}

inline void pair_vae_level(NameTable& names, const std::string& sd, const std::string& diffusers, int blocks) {
  for (int i = 0; i < blocks; i++) {
    const std::string a = join(sd + ".block.", i), b = join(diffusers + ".resnets.", i);
    for (const char* same : {".norm1", ".conv1", ".norm2", ".conv2"}) names.pair(a + same, b + same);
    names.pair(a + ".nin_shortcut", b + ".conv_shortcut");
  }
}

} // namespace detail

inline NameTable unet_names(const UNetConfig& config) {
  using detail::join;
  NameTable names;
  const std::string sd = kUNetPrefix;
  names.pair(sd + "time_embed.0", "time_embedding.linear_1");
  names.pair(sd + "time_embed.2", "time_embedding.linear_2");
  names.pair(sd + "input_blocks.0.0", "conv_in");
  names.pair(sd + "out.0", "conv_norm_out");
  names.pair(sd + "out.2", "conv_out");
  const int levels = config.levels();
  for (int level = 0, number = 1; level < levels; level++) {
    const std::string block = join("down_blocks.", level);
    for (int i = 0; i < config.res_blocks; i++, number++) {
      const std::string input = join(sd + "input_blocks.", number);
      detail::pair_unet_res(names, input + ".0", join(block + ".resnets.", i));
      if (config.has_attention(level)) names.pair(input + ".1", join(block + ".attentions.", i));
    }
    if (level < levels - 1) names.pair(join(sd + "input_blocks.", number++, ".0.op"), block + ".downsamplers.0.conv");
  }
  detail::pair_unet_res(names, sd + "middle_block.0", "mid_block.resnets.0");
  names.pair(sd + "middle_block.1", "mid_block.attentions.0");
  detail::pair_unet_res(names, sd + "middle_block.2", "mid_block.resnets.1");
  for (int level = levels - 1, number = 0; level >= 0; level--) {
    const std::string block = join("up_blocks.", levels - 1 - level);
    for (int i = 0; i <= config.res_blocks; i++, number++) {
      const std::string output = join(sd + "output_blocks.", number);
      detail::pair_unet_res(names, output + ".0", join(block + ".resnets.", i));
      const bool attention = config.has_attention(level);
      if (attention) names.pair(output + ".1", join(block + ".attentions.", i));
      if (level > 0 && i == config.res_blocks)
        names.pair(output + (attention ? ".2" : ".1") + ".conv", block + ".upsamplers.0.conv");
    }
  }
  return names;
}

inline NameTable vae_names(const VaeConfig& config) {
  using detail::join;
  NameTable names;
  const std::string sd = kVaePrefix;
  const int levels = config.levels();
  for (const char* half : {"encoder", "decoder"}) detail::pair_vae_middle(names, sd + half, half);
  for (int level = 0; level < levels; level++) {
    const std::string down = join(sd + "encoder.down.", level), block = join("encoder.down_blocks.", level);
    detail::pair_vae_level(names, down, block, config.res_blocks);
    if (level < levels - 1) names.pair(down + ".downsample.conv", block + ".downsamplers.0.conv");
    const std::string up = join(sd + "decoder.up.", level);
    const std::string up_block = join("decoder.up_blocks.", levels - 1 - level);
    detail::pair_vae_level(names, up, up_block, config.res_blocks + 1);
    if (level > 0) names.pair(up + ".upsample.conv", up_block + ".upsamplers.0.conv");
  }
  for (const char* same : {"quant_conv", "post_quant_conv"}) names.pair(sd + same, same);
  return names;
}

inline NameTable text_names() {
  NameTable names;
  const std::string sd = kTextPrefix;
  for (const char* same : {"embeddings", "encoder", "final_layer_norm"}) names.pair(sd + same, std::string("text_model.") + same);
  return names;
}

// Names that older or newer writers of diffusers folders give, as those that the tables know.
inline std::string usual_vae_name(const std::string& name) {
  static const std::pair<const char*, const char*> old[] = {
      {".query.", ".to_q."}, {".key.", ".to_k."}, {".value.", ".to_v."}, {".proj_attn.", ".to_out.0."}};
  for (const auto& [from, to] : old) {
    const size_t at = name.find(from);
    if (at != std::string::npos) return name.substr(0, at) + to + name.substr(at + std::string(from).size());
  }
  return name;
}
inline std::string usual_text_name(const std::string& name) { // transformers from 5.6 on has no "text_model."
  return name.starts_with("text_model.") ? name : "text_model." + name;
}

} // namespace tiller
