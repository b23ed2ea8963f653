// A Stable Diffusion 1.x model as others read it: one .safetensors file of the original layout, or a
// diffusers folder. The same weights give the same bytes: tensors come in the order in which the models
// describe them, metadata by name. Both are whole or not there: written beside their place, synced, renamed.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compute/parameters.h"
#include "diffusion/base_config.h"
#include "diffusion/base_json.h"
#include "diffusion/weight_files.h"
#include "formats/safetensors.h"

namespace tiller {

// A tensor's numbers in PyTorch's layout, by its name in single files. One is asked for at a time, so that
// a model needn't be in memory to be written.
using TensorSource = std::function<std::vector<float>(const std::string& name)>;

struct BaseModel {
  UNetConfig unet;
  std::optional<VaeConfig> vae;  // some come without
  std::optional<ClipTextConfig> text;
  Parameterization trained{};
  std::vector<Parameters*> parameters{};  // which hold the tensors between them, or
  TensorSource source{};                  // where they come from
};

struct WriteOptions {
  std::string dtype = "F16";                    // or BF16, F32
  Buffer buffer = Buffer::weight;               // or average, where parameters have one
  std::map<std::string, std::string> metadata;  // of a single file, beside our own
  fs::path tokenizer;                           // a folder whose files a diffusers folder gets
};

namespace detail {

struct Output {
  std::string name;
  std::vector<int64_t> shape;
  std::function<void(float* to)> store;
};

inline std::function<void(float* to)> store_of(const BaseModel& model, const Parameter& wanted, Buffer buffer) {
  if (model.source) {
    return [source = model.source, name = wanted.name, size = wanted.size()](float* to) {
      const std::vector<float> values = source(name);
      if (values.size() != size) throw std::logic_error("the model to write has another " + name);
      std::copy(values.begin(), values.end(), to);
    };
  }
  const Parameter* found = nullptr;
  for (const Parameters* parameters : model.parameters)
    if (const Parameter* here = parameters->find(wanted.name)) found = here;
  if (found == nullptr || found->shape != wanted.shape)
    throw std::logic_error("the model to write lacks " + wanted.name);
  const bool average = buffer == Buffer::average && std::as_const(*found->owner).data(Buffer::average) != nullptr;
  return [found, average](float* to) { found->store(to, average ? Buffer::average : Buffer::weight); };
}

// One part's tensors in the order of a model of this size, wherever the weights lie.
inline std::vector<Output> outputs_of(const BaseModel& model, const Parameters& described, Buffer buffer) {
  std::vector<Output> outputs;
  for (const Parameter& wanted : described.tensors())
    outputs.push_back({wanted.name, {wanted.shape.begin(), wanted.shape.end()}, store_of(model, wanted, buffer)});
  return outputs;
}
inline std::vector<Output> unet_outputs(const BaseModel& model, Buffer buffer) {
  Parameters described;
  const UNet unet(described, model.unet);
  return outputs_of(model, described, buffer);
}
inline std::vector<Output> vae_outputs(const BaseModel& model, Buffer buffer) {
  if (!model.vae) return {};
  Parameters described;
  const Vae vae(described, *model.vae);
  return outputs_of(model, described, buffer);
}
inline std::vector<Output> text_outputs(const BaseModel& model, Buffer buffer) {
  if (!model.text) return {};
  Parameters described;
  const ClipText text(described, *model.text);
  return outputs_of(model, described, buffer);
}

inline void add_markers(std::vector<Output>& outputs, const Parameterization& trained) {
  const auto add = [&](const char* name) { outputs.push_back({name, {1}, [](float* to) { *to = 1; }}); };
  if (trained.prediction == Prediction::v) add(kVPrediction);
  if (trained.zero_terminal_snr) add(kZeroTerminalSnr);
}

inline void refuse_lost(const std::string& name, const float* values, size_t count, const std::string& dtype) {
  for (size_t i = 0; i < count; i++) {
    const float written = dtype == "F16" ? from_f16(to_f16(values[i])) : dtype == "BF16" ? from_bf16(to_bf16(values[i])) : values[i];
    if (std::isfinite(written)) continue;
    throw Failure(kBadData, "BASE_NOT_FINITE", name + " holds " + std::to_string(values[i]) + ", which " + dtype + " can't",
                  std::isfinite(values[i]) ? "Write the model as BF16 or F32." : "Use the epoch before.");
  }
}

inline void write_outputs(const fs::path& path, const std::vector<Output>& outputs,
                          const std::map<std::string, std::string>& metadata, const WriteOptions& options) {
  std::vector<TensorInfo> infos;
  for (const auto& output : outputs) infos.push_back({output.name, output.shape, options.dtype});
  OutputFile out(path);
  write_safetensors(out, infos, metadata, [&](size_t i, float* to) {
    outputs[i].store(to);
    refuse_lost(outputs[i].name, to, infos[i].count(), options.dtype);
  });
  out.finish();
}

inline void write_json(const fs::path& path, const Json& json) {
  OutputFile out(path);
  out.write(json.dump(2) + "\n");
  out.finish();
}

// Runs `write` on a place beside `path`, and moves what it made there.
template <class Write>
void write_beside(const fs::path& path, const Write& write) {
  const fs::path parent = fs::absolute(path).parent_path();
  const fs::path temporary = parent / ("." + path.filename().string() + ".tmp-" + std::to_string(getpid()));
  fs::remove_all(temporary);
  try {
    write(temporary);
    rename_file(temporary, path);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
  sync_folder(parent);
}

}  // namespace detail

// Replaces a file that is there. Errors: BASE_NOT_FINITE.
inline void write_single_file(const fs::path& path, const BaseModel& model, const WriteOptions& options = {}) {
  auto outputs = detail::unet_outputs(model, options.buffer);
  for (const auto& part : {detail::vae_outputs(model, options.buffer), detail::text_outputs(model, options.buffer)})
    outputs.insert(outputs.end(), part.begin(), part.end());
  detail::add_markers(outputs, model.trained);
  auto metadata = options.metadata;
  metadata["format"] = "pt";
  metadata["tiller.model"] = model_of_configs(model.unet, model.vae, model.text).dump();
  if (const auto prediction = model.trained.prediction)
    metadata["modelspec.prediction_type"] = prediction == Prediction::v ? "v" : "epsilon";
  detail::write_beside(path, [&](const fs::path& to) { detail::write_outputs(to, outputs, metadata, options); });
}

namespace detail {

inline void write_part(const fs::path& folder, const char* file, std::vector<Output> outputs, const NameTable& names,
                       const Json& config, const WriteOptions& options) {
  fs::create_directory(folder);
  for (auto& output : outputs) {
    const auto name = names.to_diffusers(output.name);
    if (!name) throw std::logic_error(output.name + " has no name in diffusers");
    output.name = *name;
    const bool linear = name->find(".mid_block.attentions.0.to_") != std::string::npos; // an autoencoder's
    if (linear && output.shape.size() == 4) output.shape.resize(2);
  }
  write_outputs(folder / file, outputs, {{"format", "pt"}}, options);
  write_json(folder / "config.json", config);
  sync_folder(folder);
}

inline bool copy_tokenizer(const fs::path& from, const fs::path& to) {
  if (from.empty()) return false;
  fs::create_directory(to);
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"}) {
    if (!fs::is_regular_file(from / name)) continue;
    const MappedFile file(from / name);
    OutputFile out(to / name);
    out.write(file.text());
    out.finish();
  }
  sync_folder(to);
  return true;
}

}  // namespace detail

// `path` must not be there yet. Errors: BASE_NOT_FINITE.
inline void write_diffusers_folder(const fs::path& path, const BaseModel& model, const WriteOptions& options = {}) {
  if (fs::exists(path)) throw_errno("can't write " + path.string(), EEXIST);
  const char* weights = "diffusion_pytorch_model.safetensors";
  detail::write_beside(path, [&](const fs::path& to) {
    fs::create_directory(to);
    fs::create_directory(to / "scheduler");
    detail::write_part(to / "unet", weights, detail::unet_outputs(model, options.buffer), unet_names(model.unet), json_of(model.unet), options);
    if (model.vae)
      detail::write_part(to / "vae", weights, detail::vae_outputs(model, options.buffer), vae_names(*model.vae), json_of(*model.vae), options);
    if (model.text)
      detail::write_part(to / "text_encoder", "model.safetensors", detail::text_outputs(model, options.buffer), text_names(), json_of(*model.text), options);
    detail::write_json(to / "scheduler" / "scheduler_config.json", scheduler_json(model.trained));
    sync_folder(to / "scheduler");
    const bool tokenizer = detail::copy_tokenizer(options.tokenizer, to / "tokenizer");
    detail::write_json(to / "model_index.json", pipeline_json(model.unet, model.vae.has_value(), model.text.has_value(), tokenizer));
    sync_folder(to);
  });
}

}  // namespace tiller
