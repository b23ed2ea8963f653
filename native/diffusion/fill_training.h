// A pass of training filled: pictures cut and mirrored as drawn, their latents with noise, their captions and masks.
// All of it is a function of the seed, the pass over the data and the item.
#pragma once

#include <vector>

#include "diffusion/batches.h"
#include "diffusion/inputs.h"

namespace tiller {

// A failure with a picture says which.
template <class Work>
void naming(const Item& item, const Work& work) {
  try {
    work();
  } catch (const Failure& failure) {
    throw Failure(failure.exit, failure.code, std::string(failure.what()) + ": " + item.file, failure.hint);
  }
}

// Every latent that training will need, where they don't change from pass to pass. Returns false if go_on() ended it.
template <class GoOn>
bool prepare_latents(const Context& c, const Dataset& data, const GoOn& go_on) {
  if (c.recipe.data.random_crop) return true;
  std::vector<std::pair<const Item*, bool>> wanted;
  for (const auto& item : data.train)
    for (const bool flip : {false, true})
      if (!flip || c.recipe.data.flip) wanted.emplace_back(&item, flip);
  size_t done = 0, made = 0;
  for (const auto& [item, flip] : wanted) {
    const Draw place{0, 0, flip, (item->width - item->bucket_width) / 2, (item->height - item->bucket_height) / 2, nullptr};
    const auto rgb = crop_of(data.pixels(*item), *item, place, 3);
    done++;
    if (c.space.is_ready(rgb, item->bucket_width, item->bucket_height)) continue;
    naming(*item, [&] { c.space.prepare(rgb, item->bucket_width, item->bucket_height); });
    made++;
    c.conversation.say("progress", {{"phase", "latents"}, {"done", done}, {"total", wanted.size()}});
    if (!go_on()) return false;
  }
  if (made > 0) c.space.rest();
  return true;
}

inline Network::Pass& fill_training(const Context& c, const Dataset& data, uint64_t seed, uint32_t pass_number,
                                    const MicroBatch& batch) {
  const auto& recipe = c.recipe;
  const DrawSettings settings{seed, c.schedule.timesteps(), recipe.data.caption_dropout, recipe.data.flip, recipe.data.random_crop};
  const CaptionComposer composer(recipe.data.captions, seed);
  std::vector<Draw> draws;
  std::vector<ReadText> texts;
  std::vector<std::vector<float>> latents;
  bool masked = false;
  for (const auto& [index, repeat] : batch) {
    const Item& item = data.train[index];
    const Draw& drawn = draws.emplace_back(draw(settings, pass_number, item, repeat));
    const std::string caption = drawn.caption == nullptr ? "" : composer.compose(pass_number, drawn.name, *drawn.caption);
    texts.push_back(heard(c, c.reader.caption(caption), caption));
    masked = masked || data.mask(item) != nullptr;
    RandomStream random(seed, Purpose::latent, pass_number, drawn.name);
    naming(item, [&] {
      c.space.encode(crop_of(data.pixels(item), item, drawn, 3), item.bucket_width, item.bucket_height, &random,
                     latents.emplace_back());
    });
  }
  const TextInput text = text_input(c, std::move(texts), c.network.text_learns());
  const Item& like = data.train[batch[0].item];
  const int rows = like.bucket_height / c.space.stride(), columns = like.bucket_width / c.space.stride();
  auto& pass = c.network.pass({Network::Use::training, static_cast<int>(batch.size()), rows, columns, text.chunks, masked});
  fill_texts(pass, text);
  std::vector<float> noise;
  for (size_t i = 0; i < batch.size(); i++) {
    const Item& item = data.train[batch[i].item];
    noise.resize(latents[i].size());
    draw_noise(seed, pass_number, draws[i].name, noise.data(), noise.size());
    offset_noise(seed, pass_number, draws[i].name, recipe.train.noise_offset, noise.data(), noise.size(),
                 static_cast<size_t>(c.space.channels()));
    fill_noisy(c, pass, static_cast<int>(i), draws[i].timestep, latents[i], noise);
    const double prior = item.regularisation ? recipe.data.prior_loss_weight : 1;
    pass.loss->weights->data[i] = static_cast<float>(c.schedule.weight(draws[i].timestep) * prior);
    if (masked) fill_mask(data, item, draws[i], c.space.stride(), pass.loss->mask->data + i * static_cast<size_t>(rows * columns));
  }
  return pass;
}

}  // namespace tiller
