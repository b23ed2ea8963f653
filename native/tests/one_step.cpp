// One denoising step with a checkpoint, and with a LoRA on it, for test/peers/load_sd.py to do the same in
// other programs: fixed tokens, noise of philox, DDIM from timestep 999.
//   one_step BASE FOLDER [LORA]
// Makes FOLDER/config/, by which diffusers knows the sizes of a single file, and FOLDER/one_step.safetensors:
// the text's encoding, what the U-Net said, and the latent after the step.
#include <cstdio>

#include "diffusion/sampler.h"
#include "tests/base_models.h"
#include "tests/kohya_lora.h"

using namespace tiller;

namespace {

constexpr int kHeight = 16, kWidth = 24; // of the latent
constexpr uint64_t kSeed = 5;

void write_config(const fs::path& folder, const BaseFiles& base) {
  for (const char* part : {"unet", "vae", "text_encoder", "scheduler"}) fs::create_directories(folder / part);
  detail::write_json(folder / "unet" / "config.json", json_of(base.unet()));
  detail::write_json(folder / "vae" / "config.json", json_of(base.vae()));
  detail::write_json(folder / "text_encoder" / "config.json", json_of(base.text()));
  detail::write_json(folder / "scheduler" / "scheduler_config.json", scheduler_json(base.parameterization()));
  detail::write_json(folder / "model_index.json", pipeline_json(base.unet(), /*vae=*/true, /*text=*/true, /*tokenizer=*/true));
}

void one_step(const BaseFiles& base, const KohyaLora* lora, const fs::path& path) {
  const float rank = lora == nullptr ? 1 : static_cast<float>(lora->rank());
  Adapters adapters({.rank = static_cast<int>(rank), .alpha = rank, .conv_rank = static_cast<int>(rank), .conv_alpha = rank});
  Adapters* adapted = lora == nullptr ? nullptr : &adapters;
  Parameters parameters;
  const UNet unet(parameters, base.unet(), kUNetPrefix, adapted);
  const ClipText text(parameters, base.text(), kTextPrefix, adapted);
  parameters.allocate(/*training=*/false, /*average=*/false);
  base.load(parameters, BasePart::unet);
  base.load(parameters, BasePart::text);
  if (lora != nullptr) {
    const size_t used = lora->load(adapters, unet_names(base.unet()), text_names());
    std::fprintf(stderr, "%zu matrices have a low-rank part of rank %d at most\n", used, static_cast<int>(rank));
  }
  Pool pool(2);
  Tape tape(pool, false);
  const int channels = base.unet().in_channels, tokens = base.text().positions;
  Value *x = tape.input({1, kHeight, kWidth, channels}), *t = tape.input({1, 1, 1, 1}), *ids = tape.input({1, 1, tokens, 1});
  Value* context = text.build(tape, ids);
  Value* said = unet.build(tape, x, t, context);
  tape.expose(context), tape.expose(said);
  tape.finish();
  for (int i = 0; i < tokens; i++) ids->data[i] = static_cast<float>(i * 7 % base.text().vocabulary);

  ScheduleSettings how;
  how.prediction = base.parameterization().prediction.value_or(Prediction::epsilon);
  how.zero_terminal_snr = base.parameterization().zero_terminal_snr;
  const Schedule schedule(how);
  SamplerSettings settings; // ddim, trailing, 20 steps
  const auto levels = sampling_levels(schedule, settings);
  auto latent = starting_noise({kSeed}, x->shape.size());
  sample_from(schedule, settings, std::span(levels).first(2), 0, latent,
              [&](double timestep, const std::vector<float>& at, std::vector<float>& to) {
                std::copy(at.begin(), at.end(), x->data);
                t->data[0] = static_cast<float>(timestep);
                tape.forward();
                to.assign(said->data, said->data + said->shape.size());
              });

  const std::pair<const char*, const float*> outputs[] = {{"text", context->data}, {"said", said->data}, {"latent", latent.data()}};
  const std::vector<TensorInfo> infos = {{"text", {1, tokens, base.text().channels}},
                                         {"said", {1, kHeight, kWidth, said->channels()}},
                                         {"latent", {1, kHeight, kWidth, channels}}};
  OutputFile out(path);
  write_safetensors(out, infos, {}, [&](size_t i, float* to) { std::copy_n(outputs[i].second, infos[i].count(), to); });
  out.finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) return std::fprintf(stderr, "usage: one_step BASE FOLDER [LORA]\n"), 64;
  try {
    const BaseFiles base(argv[1]);
    const fs::path folder(argv[2]);
    write_config(folder / "config", base);
    const std::optional<KohyaLora> lora = argc == 4 ? std::optional<KohyaLora>(std::in_place, argv[3]) : std::nullopt;
    one_step(base, lora ? &*lora : nullptr, folder / "one_step.safetensors");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "one_step: %s\n", error.what());
    return 1;
  }
  return 0;
}
