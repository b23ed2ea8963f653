// Samples: a picture for each prompt of the recipe, as a PNG file and an event.
#pragma once

#include <string>
#include <vector>

#include "diffusion/sampler.h"
#include "diffusion/validation.h"
#include "formats/png.h"

namespace tiller {

// Classifier-free guidance (Ho and Salimans 2022): said = negative + g (prompt - negative), in one pass
// of two. With guidance 1 the negative has no part in it.
inline std::vector<uint8_t> sample_picture(const Context& c, const Prompt& prompt, int width, int height) {
  const auto& settings = c.recipe.samples;
  const int rows = height / c.codec.stride(), columns = width / c.codec.stride();
  const bool guided = settings.guidance != 1;
  auto& pass = c.network.pass(Network::Use::sampling, guided ? 2 : 1, rows, columns);
  fill_tokens(c, pass, 0, prompt.text);
  if (guided) fill_tokens(c, pass, 1, prompt.negative);
  auto x = starting_noise(prompt.seed, static_cast<size_t>(rows) * static_cast<size_t>(columns) *
                                           static_cast<size_t>(c.codec.channels()));
  const auto guidance = static_cast<float>(settings.guidance);
  const Denoiser denoise = [&](double t, const std::vector<float>& at, std::vector<float>& said) {
    for (int i = 0; i < (guided ? 2 : 1); i++) {
      std::copy(at.begin(), at.end(), pass.latent->data + static_cast<size_t>(i) * at.size());
      pass.timesteps->data[i] = static_cast<float>(t);
    }
    pass.forward();
    const float *with = pass.said->data, *without = with + said.size();
    for (size_t i = 0; i < said.size(); i++)
      said[i] = guided ? without[i] + guidance * (with[i] - without[i]) : with[i];
  };
  SamplerSettings sampler;
  sampler.name = settings.sampler, sampler.steps = settings.steps, sampler.seed = prompt.seed;
  sample_latent(c.schedule, sampler, x, denoise);
  c.state.latent.restore(x);
  std::vector<uint8_t> rgb(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  c.codec.decode(x.data(), width, height, rgb.data());
  return rgb;
}

// Files are named by all that makes a sample what it is: made again, it is the same file.
inline void make_sample(const Context& c, int index, const std::string& request) {
  const auto& settings = c.recipe.samples;
  const Prompt& prompt = settings.prompts[static_cast<size_t>(index)];
  const int width = prompt.width.value_or(c.state.width), height = prompt.height.value_or(c.state.height);
  const auto rgb = sample_picture(c, prompt, width, height);
  const std::string png = encode_png(rgb, width, height);
  const std::string guidance = Json(settings.guidance).dump();
  const std::string name = checkpoint_name(c.state.step) + "-p" + std::to_string(index) + "-seed" +
                           std::to_string(prompt.seed) + "-" + settings.sampler + "-" +
                           std::to_string(settings.steps) + "-g" + guidance + "-" + std::to_string(width) +
                           "x" + std::to_string(height) + "-" + weights_name(settings.average) + ".png";
  const fs::path file = c.samples_folder / name,
                 temporary = c.samples_folder / ("." + name + ".tmp-" + std::to_string(getpid()));
  std::string sha256;
  try {
    OutputFile out(temporary);
    out.write(png);
    out.finish();
    sha256 = out.sha256();
    rename_file(temporary, file);
  } catch (...) {
    std::error_code gone_already;
    fs::remove(temporary, gone_already);
    throw;
  }
  Json event = {{"step", c.state.step},
                {"epoch", c.epoch},
                {"prompt", index},
                {"seed", prompt.seed},
                {"sampler", settings.sampler},
                {"sampling_steps", settings.steps},
                {"guidance", settings.guidance},
                {"width", width},
                {"height", height},
                {"weights", weights_name(settings.average)},
                {"file", file.string()},
                {"sha256", sha256}};
  if (!request.empty()) event["request"] = request;
  c.conversation.say("sample", event);
}

// Returns false if go_on() ended it.
template <class GoOn>
bool make_samples(const Context& c, const Wishes::Samples& wish, const GoOn& go_on) {
  const int count = static_cast<int>(c.recipe.samples.prompts.size());
  std::vector<int> prompts;
  if (wish.prompts) prompts = *wish.prompts;
  else
    for (int i = 0; i < count; i++) prompts.push_back(i);
  const UseAverage use(c.network, c.recipe.samples.average);
  for (size_t i = 0; i < prompts.size(); i++) {
    if (prompts[i] >= count) {
      c.conversation.warn("COMMAND_REFUSED", "sample: there is no prompt " + std::to_string(prompts[i]));
      continue;
    }
    make_sample(c, prompts[i], wish.request);
    c.conversation.say("progress", {{"phase", "samples"}, {"done", i + 1}, {"total", prompts.size()}});
    if (!go_on()) return false;
  }
  return true;
}

}  // namespace tiller
