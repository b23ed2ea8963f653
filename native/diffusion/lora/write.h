// LoRA files as other programs load them: the same numbers give the same bytes.
//   kohya  KEY.lora_down.weight, KEY.lora_up.weight, KEY.alpha (no dimension): A1111, Forge, ComfyUI, kohya's,
//          diffusers
//   peft   KEY.lora_A.weight, KEY.lora_B.weight, where α/r is multiplied into B: diffusers, PEFT. Where ranks
//          differ, the file says under "lora_adapter_metadata" that each α is its rank: diffusers before 0.42
//          would else take one α for all.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "diffusion/lora/lora.h"
#include "diffusion/lora/targets.h"
#include "diffusion/write_base.h"

namespace tiller {

enum class LoraKeys { kohya, peft };

namespace detail {

struct LoraOutput {
  TensorInfo info;
  const LoraMatrix* matrix;
  enum { down, up, alpha } what;
};

// Such as α 0.1, which a F16 hasn't: it is F32 then, and a file that is read and written stays the same.
inline std::string alpha_type(float alpha, const std::string& dtype) {
  const float written = dtype == "F16" ? from_f16(to_f16(alpha)) : dtype == "BF16" ? from_bf16(to_bf16(alpha)) : alpha;
  return written == alpha ? dtype : "F32";
}

inline std::vector<LoraOutput> lora_outputs(const Lora& lora, const LoraTargets& targets, LoraKeys keys, const std::string& dtype) {
  std::vector<LoraOutput> outputs;
  const bool kohya = keys == LoraKeys::kohya;
  for (const LoraTarget& target : targets.all()) {
    const LoraMatrix* matrix = lora.find(target.name);
    if (matrix == nullptr) continue;
    const std::string key = kohya ? target.kohya() : target.peft();
    outputs.push_back({{key + (kohya ? ".lora_down.weight" : ".lora_A.weight"), target.down_shape(matrix->rank), dtype}, matrix, LoraOutput::down});
    outputs.push_back({{key + (kohya ? ".lora_up.weight" : ".lora_B.weight"), target.up_shape(matrix->rank), dtype}, matrix, LoraOutput::up});
    if (kohya) outputs.push_back({{key + ".alpha", {}, alpha_type(matrix->alpha, dtype)}, matrix, LoraOutput::alpha});
  }
  if (outputs.size() != lora.matrices.size() * (kohya ? 3 : 2)) throw std::logic_error("the LoRA has matrices that the base lacks");
  return outputs;
}

// As diffusers packs peft's LoraConfig: keys of each part, with its prefix.
inline Json ranks_of(const Lora& lora, const LoraTargets& targets) {
  Json json = Json::object();
  for (const BasePart part : {BasePart::text, BasePart::unet}) {
    std::map<std::string, int> ranks;
    std::map<int, int> counts;
    for (const LoraMatrix& matrix : lora.matrices) {
      const LoraTarget& target = *targets.find(matrix.name);
      if (target.part != part) continue;
      // Ends of names, which are right with and without "text_model.".
      const std::string cut = "text_model.", module = target.module.starts_with(cut) ? target.module.substr(cut.size()) : target.module;
      ranks[module] = matrix.rank;
      counts[matrix.rank]++;
    }
    if (ranks.empty()) continue;
    const int most = std::max_element(counts.begin(), counts.end(), [](auto& a, auto& b) { return a.second < b.second; })->first;
    Json pattern = Json::object(), modules = Json::array();
    for (const auto& [module, rank] : ranks) {
      modules.push_back(module);
      if (rank != most) pattern[module] = rank;
    }
    const std::string prefix = part == BasePart::unet ? "unet." : "text_encoder.";
    json[prefix + "r"] = most, json[prefix + "lora_alpha"] = most;
    json[prefix + "rank_pattern"] = pattern, json[prefix + "alpha_pattern"] = pattern;
    json[prefix + "target_modules"] = modules;
  }
  return json;
}

}  // namespace detail

// Replaces a file that is there. Returns its sha256. Errors: BASE_NOT_FINITE.
inline std::string write_lora(const fs::path& path, const Lora& lora, const LoraTargets& targets, LoraKeys keys, const std::string& dtype) {
  const auto outputs = detail::lora_outputs(lora, targets, keys, dtype);
  std::vector<TensorInfo> infos;
  for (const auto& output : outputs) infos.push_back(output.info);
  auto metadata = lora.metadata;
  const char* packed = "lora_adapter_metadata";
  metadata.erase(packed);
  if (keys == LoraKeys::peft) {
    metadata["format"] = "pt";
    const auto same = [&](const LoraMatrix& m) { return m.rank == lora.matrices[0].rank; };
    if (!std::all_of(lora.matrices.begin(), lora.matrices.end(), same)) metadata[packed] = detail::ranks_of(lora, targets).dump();
  }
  std::string hash;
  detail::write_beside(path, [&](const fs::path& to) {
    OutputFile out(to);
    write_safetensors(out, infos, metadata, [&](size_t i, float* values) {
      const LoraMatrix& matrix = *outputs[i].matrix;
      const float folded = keys == LoraKeys::peft ? matrix.alpha / static_cast<float>(matrix.rank) : 1;
      if (outputs[i].what == detail::LoraOutput::alpha) *values = matrix.alpha;
      if (outputs[i].what == detail::LoraOutput::down) std::copy(matrix.down.begin(), matrix.down.end(), values);
      if (outputs[i].what == detail::LoraOutput::up)
        for (size_t j = 0; j < matrix.up.size(); j++) values[j] = folded * matrix.up[j];
      detail::refuse_lost(infos[i].name, values, infos[i].count(), infos[i].dtype);
    });
    out.finish();
    hash = out.sha256();
  });
  return hash;
}

}  // namespace tiller
