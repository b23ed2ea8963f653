// The sizes of a Stable Diffusion 1.x base: from the config.json files of a diffusers folder, or, for a
// single file, from its tensors' shapes. What no shape tells (heads, groups of the norms) is Stable
// Diffusion 1.x's own there, unless the file's __metadata__ has it under "tiller.model":
//   {"unet": {"heads", "head_size", "norm_groups"}, "vae": {"norm_groups", "scale"}, "text": {"heads"}}
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "formats/json.h"
#include "models/sd1_names.h"
#include "training/failure.h"

namespace tiller {

inline Failure bad_config(const std::string& where, const std::string& what) {
  return {kBadData, "BASE_CONFIG", where + ": " + what,
          "Tiller trains Stable Diffusion 1.x and models of its kind; use another base."};
}

// ---- from shapes -----------------------------------------------------------------------------------

// The shape of a tensor, by its name in single files; empty where there is none.
using ShapeOf = std::function<std::vector<int64_t>(const std::string& name)>;

namespace detail {

inline int side_of(const ShapeOf& shape_of, const std::string& name, size_t side) {
  const auto shape = shape_of(name);
  if (shape.size() > side && shape[side] > 0 && shape[side] < (1 << 24)) return static_cast<int>(shape[side]);
  throw Failure(kBadData, "BASE_MISMATCH",
                shape.empty() ? "the base lacks " + name : name + " of the base has an unusual shape",
                "The file may be cut, or of another kind of model.");
}

// A whole multiple of the first level's channels, as all Stable Diffusion models have.
inline int multiplier(int channels, int base, const std::string& where) {
  if (base > 0 && channels > 0 && channels % base == 0) return channels / base;
  throw bad_config(where, std::to_string(channels) + " channels are no multiple of the first level's " +
                              std::to_string(base));
}

inline int count_of(const Json& model, const char* part, const char* key, int otherwise) {
  if (!model.is_object() || !model.contains(part) || !model[part].is_object() || !model[part].contains(key))
    return otherwise;
  if (const auto number = whole_number(model[part][key], 0, 1 << 20)) return static_cast<int>(*number);
  throw bad_config("__metadata__ tiller.model", std::string(part) + "." + key + " is no count");
}

}  // namespace detail

inline UNetConfig unet_of_shapes(const ShapeOf& shape_of, const Json& model) {
  const std::string u = kUNetPrefix;
  const auto has = [&](const std::string& name) { return !shape_of(u + name).empty(); };
  UNetConfig config;
  config.model_channels = detail::side_of(shape_of, u + "input_blocks.0.0.weight", 0);
  config.in_channels = detail::side_of(shape_of, u + "input_blocks.0.0.weight", 1);
  config.out_channels = detail::side_of(shape_of, u + "out.2.weight", 0);
  const std::string middle = "middle_block.1.transformer_blocks.";
  config.context_channels = detail::side_of(shape_of, u + middle + "0.attn2.to_k.weight", 1);
  config.transformer_depth = 0;
  while (has(middle + std::to_string(config.transformer_depth) + ".norm1.weight")) config.transformer_depth++;
  config.channel_multipliers.clear(), config.attention_levels.clear();
  config.res_blocks = 0;
  for (int number = 1, blocks = 0;; number++) {
    const std::string input = "input_blocks." + std::to_string(number);
    const bool block = has(input + ".0.in_layers.2.weight");
    if (block && ++blocks == 1) {
      const int channels = detail::side_of(shape_of, u + input + ".0.in_layers.2.weight", 0);
      const int level = config.levels();
      config.channel_multipliers.push_back(detail::multiplier(channels, config.model_channels, "the U-Net"));
      if (has(input + ".1.norm.weight")) config.attention_levels.push_back(level);
    }
    config.res_blocks = std::max(config.res_blocks, blocks);
    if (block) continue;
    if (!has(input + ".0.op.weight")) break;
    blocks = 0;
  }
  config.heads = detail::count_of(model, "unet", "heads", 8);
  config.head_size = detail::count_of(model, "unet", "head_size", 0);
  config.norm_groups = detail::count_of(model, "unet", "norm_groups", 32);
  return config;
}

inline VaeConfig vae_of_shapes(const ShapeOf& shape_of, const Json& model) {
  const std::string v = kVaePrefix;
  const auto block = [&](int level, int i) {
    return v + "encoder.down." + std::to_string(level) + ".block." + std::to_string(i) + ".conv1.weight";
  };
  VaeConfig config;
  config.base_channels = detail::side_of(shape_of, v + "encoder.conv_in.weight", 0);
  config.in_channels = detail::side_of(shape_of, v + "encoder.conv_in.weight", 1);
  config.z_channels = detail::side_of(shape_of, v + "post_quant_conv.weight", 0);
  config.channel_multipliers.clear();
  while (!shape_of(block(config.levels(), 0)).empty()) {
    const int channels = detail::side_of(shape_of, block(config.levels(), 0), 0);
    config.channel_multipliers.push_back(detail::multiplier(channels, config.base_channels, "the autoencoder"));
  }
  config.res_blocks = 0;
  while (!shape_of(block(0, config.res_blocks)).empty()) config.res_blocks++;
  config.norm_groups = detail::count_of(model, "vae", "norm_groups", 32);
  if (model.is_object() && model.contains("vae") && model["vae"].is_object() && model["vae"].contains("scale") &&
      model["vae"]["scale"].is_number())
    config.scale = model["vae"]["scale"].get<float>();
  return config;
}

inline ClipTextConfig text_of_shapes(const ShapeOf& shape_of, const Json& model) {
  const std::string t = kTextPrefix, layer = t + "encoder.layers.";
  ClipTextConfig config;
  config.vocabulary = detail::side_of(shape_of, t + "embeddings.token_embedding.weight", 0);
  config.channels = detail::side_of(shape_of, t + "embeddings.token_embedding.weight", 1);
  config.positions = detail::side_of(shape_of, t + "embeddings.position_embedding.weight", 0);
  config.layers = 0;
  while (!shape_of(layer + std::to_string(config.layers) + ".layer_norm1.weight").empty()) config.layers++;
  if (config.layers > 0) config.hidden = detail::side_of(shape_of, layer + "0.mlp.fc1.weight", 0);
  config.heads = detail::count_of(model, "text", "heads", std::max(1, config.channels / 64));  // CLIP's are of 64
  return config;
}

// What "tiller.model" says of a model, for the reader above.
inline Json model_of_configs(const UNetConfig& unet, const std::optional<VaeConfig>& vae, const std::optional<ClipTextConfig>& text) {
  Json model = {{"unet", {{"heads", unet.heads}, {"head_size", unet.head_size}, {"norm_groups", unet.norm_groups}}}};
  if (vae) model["vae"] = {{"norm_groups", vae->norm_groups}, {"scale", short_number(vae->scale)}};
  if (text) model["text"] = {{"heads", text->heads}};
  return model;
}

}  // namespace tiller
