// export_refusals.h   LoRA files that are broken or foreign, and places that can't be written.
#pragma once

#include <fstream>

#include "tests/export_models.h"
#include "tests/raw_safetensors.h"

namespace tiller {

inline bool litter_in(const fs::path& folder) {
  return std::any_of(fs::directory_iterator(folder), {}, [](const auto& entry) { return entry.path().filename().string().starts_with("."); });
}

// `job` is of folder/base.safetensors; folder/F32.safetensors is a good LoRA.
inline void refusals(Checks& checks, const fs::path& folder, const ExportJob& job) {
  const BaseFiles base(folder / "base.safetensors");
  const LoraTargets targets(base);
  const Lora good = read_lora(folder / "F32.safetensors", targets);
  const auto refused = [&](const std::string& what, const std::string& code, const std::string& word, const auto& damage) {
    RawFile file(folder / "F32.safetensors");
    damage(file);
    const fs::path path = folder / "damaged.safetensors";
    file.write(path);
    std::string message;
    const std::string got = code_of([&] {
      try {
        read_lora(path, targets);
      } catch (const Failure& failure) {
        message = failure.what();
        throw;
      }
    });
    checks.holds(what + ": " + code, got == code && message.find(word) != std::string::npos);
  };
  const std::string some = "lora_unet_mid_block_attentions_0_proj_in";
  const auto named = [](RawFile& file, const std::string& name) -> auto& {
    return *std::find_if(file.tensors.begin(), file.tensors.end(), [&](const auto& tensor) { return tensor.name == name; });
  };
  const auto add = [](const std::string& name) { return [name](RawFile& file) { file.add(name, "F32", Json::array({1}), 4); }; };
  refused("a key that matches nothing", "LORA_UNMATCHED", "lora_unet_mid_block_attentions_9", add("lora_unet_mid_block_attentions_9_proj_in.alpha"));
  refused("a key of no kind", "LORA_UNMATCHED", "stranger", add("stranger"));
  refused("two text encoders", "LORA_SDXL", "lora_te1_", add("lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha"));
  refused("the second text encoder", "LORA_SDXL", "lora_te2_", add("lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha"));
  refused("ten transformer blocks", "LORA_SDXL", "blocks_1_", add("lora_unet_down_blocks_0_attentions_0_transformer_blocks_1_attn1_to_q.alpha"));
  refused("SDXL's own names", "LORA_SDXL", "input_blocks", add("lora_unet_input_blocks_4_1_proj_in.alpha"));
  refused("a LoHa", "LORA_KIND", "LoHa", add(some + ".hada_w1_a"));
  refused("a LoKr", "LORA_KIND", "LoKr", add(some + ".lokr_w1"));
  refused("a DoRA", "LORA_KIND", "DoRA", add(some + ".dora_scale"));
  refused("no LoRA", "LORA_KIND", "is no LoRA", [&](RawFile& file) { file.tensors.clear(), add("x")(file); });
  refused("half of a matrix", "LORA_MISMATCH", "lacks its up", [&](RawFile& file) { file.erase(some + ".lora_up"); });
  refused("a wrong shape", "LORA_MISMATCH", "the base's matrix", [&](RawFile& file) { named(file, some + ".lora_down.weight").shape = Json::array({16, 4, 1, 1}); });
  refused("a wrong rank", "LORA_MISMATCH", "lora_up", [&](RawFile& file) { named(file, some + ".lora_up.weight").shape = Json::array({4, 16, 1, 1}); });
  refused("NaN", "LORA_NOT_FINITE", "lora_down", [&](RawFile& file) { const float nan = NAN; std::memcpy(named(file, some + ".lora_down.weight").bytes.data() + 8, &nan, 4); });
  refused("an infinite alpha", "LORA_NOT_FINITE", "alpha", [&](RawFile& file) { const float inf = INFINITY; std::memcpy(named(file, some + ".alpha").bytes.data(), &inf, 4); });
  refused("the same twice, by two names", "LORA_MISMATCH", "comes twice", [&](RawFile& file) { file.add("unet.mid_block.attentions.0.proj_in.lora_A.weight", "F32", Json::array({1}), 4); });
  std::ofstream(folder / "cut.safetensors") << bytes_of_file(folder / "F32.safetensors").substr(0, 5000);
  checks.holds("a cut file", code_of([&] { read_lora(folder / "cut.safetensors", targets); }) == "LORA_KIND");
  std::ofstream(folder / "lora.pt") << "x";
  checks.holds("a pickle", code_of([&] { read_lora(folder / "lora.pt", targets); }) == "BASE_PICKLE");
  checks.holds("no file", code_of([&] { read_lora(folder / "nowhere.safetensors", targets); }) == "LORA_NOT_FOUND");

  const auto writes = [&](Lora lora, const char* dtype = "F32") {
    write_lora(folder / "input.safetensors", lora, targets, LoraKeys::kohya, "F32");
    ExportJob again = job;
    again.lora = folder / "input.safetensors", again.dtype = dtype;
    return code_of([&] { run_export(again); });
  };
  Lora zero = good, tiny = good, large = good, weak = good;
  for (auto& matrix : zero.matrices) std::fill(matrix.up.begin(), matrix.up.end(), 0.f);
  for (auto& matrix : tiny.matrices)
    for (float& value : matrix.up) value *= 1e-9f;
  for (auto& matrix : weak.matrices) matrix.alpha *= 1e-2f;
  large.matrices[0].up[0] = 70000;
  checks.holds("a LoRA of zeros does nothing", writes(zero) == "EXPORT_DOES_NOTHING");
  checks.holds("a LoRA that F16 rounds to zeros does nothing", writes(tiny, "F16") == "EXPORT_DOES_NOTHING");
  checks.holds("numbers past F16's range", writes(large, "F16") == "BASE_NOT_FINITE");
  checks.holds("what failed left nothing", !fs::exists(job.to) && !litter_in(folder));
  checks.holds("a weak LoRA does something", writes(weak).empty() && fs::exists(job.to));
  checks.holds("a file that is there is kept", writes(good) == "EXPORT_EXISTS");

  ExportJob nowhere = job;
  nowhere.lora = folder / "F32.safetensors", nowhere.to = folder / "no-folder" / "x.safetensors";
  checks.holds("a folder that is not there", code_of([&] { run_export(nowhere); }) == "system_error");
  nowhere.to = folder / "other.safetensors", nowhere.lora.reset(), nowhere.checkpoint = folder / "no-run";
  checks.holds("a checkpoint that is not there", code_of([&] { run_export(nowhere); }) == "CHECKPOINT_CORRUPT");
  const auto checkpoint = [&](const Json& lora, const Chosen& chosen) {
    AdaptedBase adapted(base, {4, 2, 3, 1.5f});
    nowhere.checkpoint = write_checkpoint(folder / "lora-run", 11, adapted.parameters, chosen, lora);
    return code_of([&] { run_export(nowhere); });
  };
  checks.holds("a checkpoint of another rank", checkpoint(json_of(LowRankSettings{5, 2, 3, 1}), trained_tensor) == "CHECKPOINT_MISMATCH");
  checks.holds("a checkpoint of another base", checkpoint(json_of(LowRankSettings{4, 2, 3, 1}), every_tensor) == "CHECKPOINT_MISMATCH");
  checks.holds("a checkpoint of a LoRA that does not say so", checkpoint(nullptr, trained_tensor) == "CHECKPOINT_MISMATCH");
}

}  // namespace tiller
