// Samples: a picture for each prompt of the recipe, as a PNG file and an event.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <tuple>
#include <vector>

#include "diffusion/inpainting.h"
#include "diffusion/picture_to_picture.h"
#include "diffusion/sampler.h"
#include "diffusion/validation.h"
#include "formats/png.h"

namespace tiller {

// A picture on its way: what the model takes it for after some of the steps.
using Preview = std::function<void(int step, int steps, const std::vector<float>& x0)>;

namespace detail {

inline std::vector<uint8_t> read_pixels(const PixelFile& from, int channels) {
  const MappedFile file(from.file);
  const size_t count = static_cast<size_t>(from.width) * static_cast<size_t>(from.height) * static_cast<size_t>(channels);
  if (file.bytes().size() == count) return {file.bytes().begin(), file.bytes().end()};
  throw Failure(kBadData, "TRAINER_BAD_DATA", from.file.string() + " is not a picture of " + size_text(from.width, from.height),
                "Start the run again, so that its pictures are prepared anew.");
}

// The picture that a prompt begins from, with its mask where only a part is made anew.
inline Canvas canvas_of(const Prompt& prompt) {
  const PixelFile& picture = *prompt.picture;
  const auto rgb = read_pixels(picture, 3);
  if (prompt.outpaint) return outpaint_canvas(rgb, picture.width, picture.height, *prompt.outpaint, prompt.seed);
  Canvas canvas{picture.width, picture.height, rgb, make_mask(picture.width, picture.height, 1)};
  if (!prompt.mask) return canvas;
  const auto mask = read_pixels(*prompt.mask, 1);
  for (size_t i = 0; i < mask.size(); i++) canvas.mask.values[i] = static_cast<float>(mask[i]) / 255;
  return canvas;
}

inline std::vector<float> of_picture(const std::vector<float>& all, size_t index, size_t pictures) {
  const auto begin = all.begin() + static_cast<std::ptrdiff_t>(index * (all.size() / pictures));
  return {begin, begin + static_cast<std::ptrdiff_t>(all.size() / pictures)};
}

}  // namespace detail

// Prompts that are sampled at once.
using Prompts = std::vector<const Prompt*>;

// Classifier-free guidance (Ho and Salimans 2022): said = negative + g (prompt - negative), in one pass for
// all prompts and then all negatives. With guidance 1 the negatives have no part in it. x: [prompts, H, W, C].
inline Denoiser guided_denoiser(const Context& c, const Prompts& prompts, const LatentSize& size, double guidance) {
  const bool guided = guidance != 1;
  std::vector<ReadText> texts;
  for (const Prompt* prompt : prompts) texts.push_back(heard(c, c.reader.prompt(prompt->text), prompt->text));
  for (const Prompt* prompt : prompts)
    if (guided) texts.push_back(heard(c, c.reader.prompt(prompt->negative), prompt->negative));
  const TextInput text = text_input(c, std::move(texts), false);
  const size_t count = text.texts.size();
  auto& pass = c.network.pass({Network::Use::sampling, static_cast<int>(count), size.height, size.width, text.chunks});
  return [&pass, text, guided, count, g = static_cast<float>(guidance)](double t, const std::vector<float>& at, std::vector<float>& said) {
    fill_texts(pass, text);
    for (size_t i = 0; i < (guided ? 2u : 1u); i++) std::copy(at.begin(), at.end(), pass.latent->data + i * at.size());
    std::fill_n(pass.timesteps->data, count, static_cast<float>(t));
    pass.forward();
    const float *with = pass.said->data, *without = with + said.size();
    for (size_t i = 0; i < said.size(); i++) said[i] = guided ? without[i] + g * (with[i] - without[i]) : with[i];
  };
}

struct SampledPicture {
  int width, height;
  std::vector<uint8_t> rgb;
};

// All of one size, steps, guidance and chunks; one that begins from a picture is alone.
inline std::vector<SampledPicture> sample_pictures(const Context& c, const Prompts& prompts, const Preview& preview = {}) {
  const Prompt& prompt = *prompts.front();
  SamplerSettings settings = c.recipe.samples.sampler;
  settings.steps = prompt.steps.value_or(settings.steps);
  settings.seeds.clear();
  for (const Prompt* one : prompts) settings.seeds.push_back(one->seed);
  std::optional<Canvas> canvas;
  if (prompt.picture) canvas = detail::canvas_of(prompt);
  const int width = canvas ? canvas->width : prompt.width.value_or(c.state.width);
  const int height = canvas ? canvas->height : prompt.height.value_or(c.state.height);
  const int stride = c.space.stride();
  const LatentSize size{width / stride, height / stride, c.space.channels()};

  // What needs the autoencoder or the text encoder comes first: they and the U-Net share memory.
  std::vector<float> original, masked;
  if (canvas) c.space.encode(canvas->rgb, width, height, nullptr, original);
  const Mask mask = canvas ? latent_mask(canvas->mask, stride) : make_mask(size.width, size.height, 1);
  if (c.foundation.inpaints()) {
    auto rgb = canvas ? canvas->rgb : std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3, 128);
    hide_masked(canvas ? canvas->mask : make_mask(width, height, 1), width, height, rgb);
    c.space.encode(rgb, width, height, nullptr, masked);
  }
  Denoiser denoise = guided_denoiser(c, prompts, size, prompt.guidance.value_or(c.recipe.samples.guidance));
  if (c.foundation.inpaints()) denoise = inpainting_denoiser(size, mask, masked, denoise);

  std::vector<float> x;
  if (!canvas) {
    x = starting_noise(settings.seeds, size.count() * prompts.size());
    sample_latent(c.schedule, settings, x, denoise, preview);
  } else if (prompt.mask || prompt.outpaint) {
    x = inpaint_latent(c.schedule, settings, size, original, mask, prompt.strength, denoise, preview);
  } else {
    x = sample_from_picture(c.schedule, settings, original, prompt.strength, denoise, preview);
  }
  std::vector<SampledPicture> made;
  for (size_t i = 0; i < prompts.size(); i++)
    made.push_back({width, height, c.space.decode(detail::of_picture(x, i, prompts.size()), width, height)});
  if (prompt.mask || prompt.outpaint) {
    // What the mask leaves out is the picture itself, not what an autoencoder makes of it.
    auto& rgb = made.front().rgb;
    for (size_t i = 0; i < rgb.size(); i++) {
      const float m = canvas->mask.values[i / 3];
      rgb[i] = static_cast<uint8_t>(std::lround(m * static_cast<float>(rgb[i]) + (1 - m) * static_cast<float>(canvas->rgb[i])));
    }
  }
  return made;
}

namespace detail {

// Written beside its place and renamed: a file that is there is whole.
inline std::string write_picture(const fs::path& file, const SampledPicture& picture) {
  const fs::path temporary = file.parent_path() / ("." + file.filename().string() + ".tmp-" + std::to_string(getpid()));
  try {
    OutputFile out(temporary);
    out.write(encode_png(picture.rgb, picture.width, picture.height));
    out.finish();
    rename_file(temporary, file);
    return out.sha256();
  } catch (...) {
    std::error_code gone_already;
    fs::remove(temporary, gone_already);
    throw;
  }
}

}  // namespace detail

// Files are named by all that makes a sample what it is: made again, alone or beside others, it is the same file.
inline void keep_sample(const Context& c, int index, const SampledPicture& picture, const std::string& request) {
  const auto& settings = c.recipe.samples;
  const Prompt& prompt = settings.prompts[static_cast<size_t>(index)];
  const int steps = prompt.steps.value_or(settings.sampler.steps);
  const double scale = prompt.guidance.value_or(settings.guidance);
  const std::string name = checkpoint_name(c.state.step) + "-p" + std::to_string(index) + "-seed" +
                           std::to_string(prompt.seed) + "-" + settings.sampler.name + "-" + std::to_string(steps) + "-g" +
                           Json(scale).dump() + "-" + size_text(picture.width, picture.height) + "-" +
                           weights_name(settings.average) + ".png";
  const fs::path file = c.samples_folder / name;
  const std::string sha256 = detail::write_picture(file, picture);
  Json event = {{"step", c.state.step},
                {"epoch", c.epoch},
                {"prompt", index},
                {"seed", prompt.seed},
                {"sampler", settings.sampler.name},
                {"sampling_steps", steps},
                {"guidance", scale},
                {"width", picture.width},
                {"height", picture.height},
                {"weights", weights_name(settings.average)},
                {"file", file.string()},
                {"sha256", sha256}};
  if (!request.empty()) event["request"] = request;
  c.conversation.say("sample", event);
}

// Prompts of the recipe, by index, that can be made at once. Of the first a look is shown while they are.
inline void make_samples_at_once(const Context& c, const std::vector<int>& indices, const std::string& request) {
  Prompts prompts;
  for (const int index : indices) prompts.push_back(&c.recipe.samples.prompts[static_cast<size_t>(index)]);
  const Prompt& prompt = *prompts.front();
  const int index = indices.front();
  // No more often than every two seconds.
  auto shown = std::chrono::steady_clock::now();
  const fs::path preview_file = c.samples_folder / ("preview-p" + std::to_string(index) + ".png");
  const Preview preview = [&](int step, int steps, const std::vector<float>& x0) {
    const auto now = std::chrono::steady_clock::now();
    if (step == steps || now - shown < std::chrono::seconds(2)) return;
    shown = now;
    SampledPicture look{prompt.width.value_or(c.state.width), prompt.height.value_or(c.state.height), {}};
    if (prompt.picture) {
      const Pads pads = prompt.outpaint.value_or(Pads{});
      look.width = prompt.picture->width + pads.left + pads.right, look.height = prompt.picture->height + pads.top + pads.bottom;
    }
    look.rgb = c.space.glance(detail::of_picture(x0, 0, prompts.size()), look.width, look.height);
    detail::write_picture(preview_file, look);
    c.conversation.say("preview", {{"step", c.state.step},
                                   {"epoch", c.epoch},
                                   {"prompt", index},
                                   {"sampling_step", step},
                                   {"sampling_steps", steps},
                                   {"file", preview_file.string()}});
  };
  const auto made = sample_pictures(c, prompts, preview);
  std::error_code gone_already;
  fs::remove(preview_file, gone_already);
  for (size_t i = 0; i < made.size(); i++) keep_sample(c, indices[i], made[i], request);
}

// The prompts in order, and together what can be: a picture must not depend on what is made beside it, so texts
// of other lengths, which would be filled up to the longest, are apart.
inline std::vector<std::vector<int>> sample_batches(const Context& c, const std::vector<int>& indices) {
  const auto& samples = c.recipe.samples;
  const auto kind = [&](const Prompt& prompt) {
    const double guidance = prompt.guidance.value_or(samples.guidance);
    const size_t negative = guidance == 1 ? 0 : c.reader.prompt(prompt.negative).chunks.size();
    return std::tuple(prompt.width.value_or(c.state.width), prompt.height.value_or(c.state.height),
                      prompt.steps.value_or(samples.sampler.steps), guidance,
                      std::max(c.reader.prompt(prompt.text).chunks.size(), negative));
  };
  std::vector<std::vector<int>> batches;
  for (const int index : indices) {
    const Prompt& prompt = samples.prompts[static_cast<size_t>(index)];
    const auto joins = [&](const std::vector<int>& batch) {
      const Prompt& first = samples.prompts[static_cast<size_t>(batch.front())];
      return batch.size() < static_cast<size_t>(samples.batch) && !prompt.picture && !first.picture &&
             !c.foundation.inpaints() && kind(prompt) == kind(first);
    };
    const auto found = std::find_if(batches.begin(), batches.end(), joins);
    if (found == batches.end()) batches.push_back({index});
    else found->push_back(index);
  }
  return batches;
}

// Returns false if go_on() ended it.
template <class GoOn>
bool make_samples(const Context& c, const Wishes::Samples& wish, const GoOn& go_on) {
  const int count = static_cast<int>(c.recipe.samples.prompts.size());
  std::vector<int> prompts;
  for (int i = 0; !wish.prompts && i < count; i++) prompts.push_back(i);
  for (const int index : wish.prompts.value_or(std::vector<int>())) {
    if (index < count) prompts.push_back(index);
    else c.conversation.warn("COMMAND_REFUSED", "sample: there is no prompt " + std::to_string(index));
  }
  const UseAverage use(c.network, c.recipe.samples.average);
  size_t done = 0;
  for (const auto& batch : sample_batches(c, prompts)) {
    make_samples_at_once(c, batch, wish.request);
    done += batch.size();
    c.conversation.say("progress", {{"phase", "samples"}, {"done", done}, {"total", prompts.size()}});
    if (!go_on()) return false;
  }
  return true;
}

}  // namespace tiller
