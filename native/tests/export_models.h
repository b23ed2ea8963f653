// export_models.h   a small run's checkpoints for tests of the exporter: of adapters, and of a whole fine-tune.
#pragma once

#include "diffusion/lora/export.h"
#include "diffusion/tensor_files.h"
#include "tests/base_models.h"

namespace tiller {

inline std::string bytes_of_file(const fs::path& path) { return std::string(MappedFile(path).text()); }

// A frozen base with adapters on it.
struct AdaptedBase {
  Parameters parameters;
  Adapters adapters;
  std::optional<UNet> unet;
  std::optional<ClipText> text;

  AdaptedBase(const BaseFiles& base, LowRankSettings settings, bool text_too = true) : adapters(settings) {
    ClipTextConfig text_config = base.text();
    text_config.trainable = false;
    parameters.set_trainable(false);
    text.emplace(parameters, text_config, kTextPrefix, text_too ? &adapters : nullptr);
    parameters.set_trainable(false);
    unet.emplace(parameters, base.unet(), kUNetPrefix, &adapters);
    parameters.set_trainable(true);
    parameters.allocate(/*training=*/false);
    for (Parameter& tensor : parameters.tensors()) {
      if (tensor.trainable()) continue;
      tensor.load(base.read(tensor.name).data());
    }
    fill_adapters(1);
  }
  void fill_adapters(float size) {
    for (Parameter& tensor : parameters.tensors()) {
      if (!tensor.trainable()) continue;
      auto values = normals(tensor.name, tensor.size());
      for (float& value : values) value *= size * 0.3f;
      tensor.load(values.data());
      for (float& value : values) value *= 2;
      tensor.load(values.data(), Buffer::average);
    }
  }
};

// A folder as a trainer publishes it.
inline fs::path write_checkpoint(const fs::path& parent, int64_t step, const Parameters& parameters, const Chosen& chosen, const Json& lora) {
  CheckpointWriter writer(parent, {"run", "epoch", step, 1, {}});
  writer.add("weights.safetensors", [&](OutputFile& out) { write_tensors(out, parameters, {aspect_of(Buffer::weight)}, chosen); });
  writer.add("ema.safetensors", [&](OutputFile& out) { write_tensors(out, parameters, {aspect_of(Buffer::average)}, chosen); });
  writer.add("state.json", [&](OutputFile& out) {
    Json state = {{"version", 1}, {"trainer", "tiller-diffusion"}, {"step", step}};
    if (!lora.is_null()) state["lora"] = lora;
    out.write(state.dump());
  });
  return writer.publish().path;
}

inline Json json_of(const LowRankSettings& s) {
  return {{"rank", s.rank}, {"alpha", s.alpha}, {"conv_rank", s.conv_rank}, {"conv_alpha", s.conv_alpha}};
}

// What the U-Net says of a fixed latent and text; the text's values follow it.
inline std::vector<float> said_by(const UNet& unet, const ClipText& text) {
  Pool pool(1);
  Tape tape(pool, false);
  Value *x = tape.input({1, 6, 8, unet.config.in_channels}), *t = tape.input({1, 1, 1, 1}), *ids = tape.input({1, 1, 9, 1});
  Value* context = text.build(tape, ids);
  Value* said = unet.build(tape, x, t, context);
  tape.expose(context), tape.expose(said);
  tape.finish();
  fill(x, "x");
  t->data[0] = 501;
  for (int i = 0; i < 9; i++) ids->data[i] = (float)(i * 7 % 30);
  tape.forward();
  std::vector<float> all(said->data, said->data + said->shape.size());
  all.insert(all.end(), context->data, context->data + context->shape.size());
  return all;
}
inline std::vector<float> said_by(const BaseFiles& files) {
  const SmallBase base(files);
  return said_by(base.unet, base.text);
}

template <class Do>
std::string code_of(const Do& something) {
  try {
    something();
  } catch (const Failure& failure) {
    return failure.code;
  } catch (const std::system_error&) {
    return "system_error";
  }
  return "";
}

inline Exported run_export(const ExportJob& job) {
  return Exporter(job, [](const char*, size_t, size_t) {}).run();
}

}  // namespace tiller
