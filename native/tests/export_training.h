// export_training.h   what is written is the model that was trained and sampled with: its autoencoder, and how it
// is to be sampled.
#pragma once

#include "tests/export_models.h"

namespace tiller {

namespace detail {

// The bytes of each tensor, by name.
inline std::map<std::string, std::string> tensors_of_file(const fs::path& path, const std::string& prefix) {
  const Safetensors file(path);
  std::map<std::string, std::string> found;
  for (const auto& tensor : file.tensors()) {
    if (!tensor.name.starts_with(prefix)) continue;
    const auto values = file.read(tensor);
    found[tensor.name] = tensor.dtype + std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  }
  return found;
}

}  // namespace detail

// Leaves vae.safetensors and bare.safetensors, a base without an autoencoder. `full` is of a whole fine-tune's
// checkpoint on folder/base.safetensors, `lora` of a LoRA file.
inline void own_autoencoder(Checks& checks, const fs::path& folder, const ExportJob& full, const ExportJob& lora) {
  VaeConfig config = small_base_vae();
  config.channel_multipliers = {1, 2, 2, 3}, config.norm_groups = 2, config.scale = 0.5f;
  SmallBase other(small_base_unet(), config);
  for (Parameter& tensor : other.parameters.tensors()) tensor.load(normals("own " + tensor.name, tensor.size()).data());
  for (const char* dtype : {"F32", "F16"}) write_single_file(folder / (std::string("other-") + dtype + ".safetensors"), other.model(), {.dtype = dtype});
  write_diffusers_folder(folder / "other", other.model(), {.dtype = "F32"});
  SmallBase base(BaseFiles(folder / "base.safetensors"));
  BaseModel bare = base.model();
  bare.vae.reset();
  write_single_file(folder / "bare.safetensors", bare, {.dtype = "F32"});

  const fs::path single = folder / "other-F32.safetensors", of_folder = folder / "other" / "vae";
  const auto kept = [&](const std::string& what, ExportJob job, const fs::path& vae, const char* dtype) {
    job.vae = vae, job.dtype = dtype, job.format = "single-file", job.to = folder / "with-vae.safetensors", job.overwrite = true;
    run_export(job);
    checks.holds(what + ": the autoencoder is the recipe's, byte for byte",
                 detail::tensors_of_file(job.to, kVaePrefix) == detail::tensors_of_file(folder / (std::string("other-") + dtype + ".safetensors"), kVaePrefix));
    const BaseFiles single_file(job.to);
    checks.holds(what + ": with its sizes and scale", json_of(single_file.vae()) == json_of(config));
    const auto unet = detail::tensors_of_file(job.to, kUNetPrefix);
    job.vae.reset(), job.to = folder / "without-vae.safetensors";
    run_export(job);
    checks.holds(what + ": the rest is as without one", unet == detail::tensors_of_file(job.to, kUNetPrefix));
    job.vae = vae, job.format = "diffusers", job.to = folder / "with-vae";
    run_export(job);
    checks.holds(what + ": in a folder too", fs::exists(job.to / "vae/config.json") && json_of(BaseFiles(job.to).vae()) == json_of(config) &&
                                                 BaseFiles(job.to).read(std::string(kVaePrefix) + "decoder.conv_in.weight") ==
                                                     single_file.read(std::string(kVaePrefix) + "decoder.conv_in.weight"));
  };
  kept("a fine-tune", full, single, "F32");
  kept("a fine-tune in F16", full, of_folder, "F16");
  kept("a merged LoRA", lora, of_folder, "F32");
  ExportJob missing = full;
  missing.base = folder / "bare.safetensors";
  kept("a base without an autoencoder", missing, single, "F32");

  ExportJob none = full;
  none.format = "single-file", none.dtype = "F32", none.to = folder / "without-vae.safetensors", none.overwrite = true;
  run_export(none);
  checks.holds("without one it is the base's", detail::tensors_of_file(none.to, kVaePrefix) == detail::tensors_of_file(folder / "base.safetensors", kVaePrefix));
  none.base = folder / "bare.safetensors";
  run_export(none);
  checks.holds("or none", !BaseFiles(none.to).has(BasePart::vae));
  none.vae = folder / "no-vae.safetensors";
  checks.holds("an autoencoder that isn't there", code_of([&] { run_export(none); }) == "BASE_NOT_FOUND");
  VaeConfig wide = small_base_vae();
  wide.z_channels = 16;
  SmallBase sixteen(small_base_unet(), wide);
  fill(sixteen.parameters);
  none.vae = folder / "sixteen.safetensors";
  write_single_file(*none.vae, sixteen.model());
  checks.holds("an autoencoder of other latents", code_of([&] { run_export(none); }) == "BASE_MISMATCH");
  ExportJob looked = lora;
  looked.base = folder / "bare.safetensors", looked.format = "lora", looked.to = folder / "looked.safetensors";
  const double latent = *run_export(looked).difference;
  looked.vae = single, looked.overwrite = true;
  checks.holds("a LoRA is looked at with it", *run_export(looked).difference != latent);
}

// `full` and `lora` as above.
inline void said_training(Checks& checks, const fs::path& folder, const ExportJob& full, const ExportJob& lora) {
  using P = Parameterization;
  const auto same = [](const P& a, const P& b) { return a.prediction == b.prediction && a.zero_terminal_snr == b.zero_terminal_snr; };
  const P silent, epsilon{Prediction::epsilon, true}, v{Prediction::v, true};
  checks.holds("what a base says holds", same(v.with({}, {}), v) && same(silent.with({}, {}), silent));
  checks.holds("unless the recipe says otherwise", same(v.with({}, false), {Prediction::v, false}) && same(silent.with(Prediction::v, true), v));
  checks.holds("with epsilon there is a picture left at the last timestep", same(epsilon.with({}, {}), {Prediction::epsilon, false}) &&
                                                                              same(v.with(Prediction::epsilon, {}), {Prediction::epsilon, false}));

  ExportJob taught = full;
  taught.prediction = Prediction::v, taught.zero_terminal_snr = true;
  taught.format = "single-file", taught.to = folder / "taught.safetensors";
  run_export(taught);
  const auto metadata = [](const fs::path& path) { return Safetensors(path).metadata(); };
  checks.holds("a single file says how it was trained, whatever its base was",
               same(BaseFiles(taught.to).parameterization(), v) && metadata(taught.to).at("ss_zero_terminal_snr") == "True" &&
                   metadata(taught.to).at("modelspec.prediction_type") == "v");
  ExportJob tree = taught;
  tree.format = "diffusers", tree.to = folder / "taught";
  run_export(tree);
  checks.holds("a folder too", same(BaseFiles(tree.to).parameterization(), v));

  // The next one's base: nobody says it again.
  ExportJob again = tree;
  again.prediction.reset(), again.zero_terminal_snr.reset();
  again.base = tree.to, again.to = folder / "taught-again";
  run_export(again);
  bool bytes = true;
  for (const auto& entry : fs::recursive_directory_iterator(tree.to))
    if (entry.is_regular_file()) bytes = bytes && bytes_of_file(entry.path()) == bytes_of_file(again.to / fs::relative(entry.path(), tree.to));
  checks.holds("a folder exported, imported, exported: the same bytes", bytes);
  again.format = "single-file", again.to = folder / "taught-again.safetensors";
  run_export(again);
  checks.holds("as a single file from there: the same bytes", bytes_of_file(again.to) == bytes_of_file(taught.to));
  again.zero_terminal_snr = false, again.overwrite = true;
  run_export(again);
  checks.holds("what a recipe switched off is off", same(BaseFiles(again.to).parameterization(), {Prediction::v, false}));

  ExportJob adapter = lora;
  adapter.format = "lora", adapter.to = folder / "taught-lora.safetensors", adapter.base = taught.to;
  adapter.lora.reset(), adapter.checkpoint = folder / "lora-run" / "step-00000007";
  run_export(adapter);
  checks.holds("a LoRA says what its base is", metadata(adapter.to).at("ss_zero_terminal_snr") == "True" &&
                                                   metadata(adapter.to).at("modelspec.prediction_type") == "v");
}

}  // namespace tiller
