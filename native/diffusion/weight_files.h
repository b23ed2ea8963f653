// Which files hold a part's weights in a diffusers folder, and which tensors people's single files have
// beside the model's.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "diffusion/base_config.h"
#include "diffusion/base_kind.h"
#include "formats/files.h"

namespace tiller {

// A1111, Forge and ComfyUI take a single file's parameterization from the presence of these tensors.
inline constexpr const char *kVPrediction = "v_pred", *kZeroTerminalSnr = "ztsnr";

// Averages, schedules and settings, which training makes anew or doesn't need.
inline bool is_surplus_of_people(const std::string& name) {
  static const std::set<std::string> names{
      "betas", "logvar", "scale_factor", kVPrediction, kZeroTerminalSnr,
      "cond_stage_model.transformer.text_model.embeddings.position_ids"};
  static const char* prefixes[] = {"model_ema.", "alphas_cumprod", "sqrt_", "log_one_minus", "posterior_", "embedding_manager."};
  for (const std::string prefix : prefixes)
    if (name.starts_with(prefix)) return true;
  return names.contains(name);
}

namespace detail {

// The files that an index of shards names. They lie beside it, and nowhere else.
inline std::vector<fs::path> shards_of(const fs::path& index) {
  const Json json = parse_json(MappedFile(index).text());
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object() || json["weight_map"].empty())
    throw bad_config(index.string(), "has no weight_map");
  std::set<std::string> names;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || fs::path(name).filename() != name || name == "." || name == "..")
      throw bad_config(index.string(), tensor + " lies in " + file.dump() + ", which is no file beside it");
    names.insert(name);
  }
  std::vector<fs::path> files;
  for (const auto& name : names) {
    files.push_back(index.parent_path() / name);
    if (!fs::is_regular_file(files.back())) {
      throw Failure(kBadData, "BASE_MISMATCH", index.string() + " names " + name + ", which is not there",
                    "Fetch the folder's missing files.");
    }
  }
  return files;
}

}  // namespace detail

// STEM.safetensors, its shards, or the same in F16, in this order.
// Errors: BASE_PICKLE, BASE_MISMATCH, BASE_CONFIG.
inline std::vector<fs::path> find_weight_files(const fs::path& folder, const std::string& stem) {
  for (const std::string variant : {"", ".fp16"}) {
    const fs::path whole = folder / (stem + variant + ".safetensors");
    if (fs::is_regular_file(whole)) return {whole};
    const fs::path index = folder / (stem + ".safetensors.index" + variant + ".json");
    if (fs::is_regular_file(index)) return detail::shards_of(index);
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (detail::is_pickle_name(entry.path())) throw pickled(entry.path());
  throw Failure(kBadData, "BASE_MISMATCH", folder.string() + " has no " + stem + ".safetensors",
                "Fetch the folder's missing files.");
}

}  // namespace tiller
