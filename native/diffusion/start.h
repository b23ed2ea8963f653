// Where a job begins: the words and the latent statistics, which say how large the model is and what it
// sees, out of a checkpoint, the base, or the data; and whether the sizes that are asked for can be done.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "diffusion/dataset.h"
#include "diffusion/recipe.h"
#include "diffusion/state.h"
#include "training/job.h"

namespace tiller {

// Words of the captions that are not known yet come after those that are.
inline Vocabulary with_words_of(const Dataset& data, const Vocabulary& known) {
  std::vector<std::string> captions, words = known.words();
  for (const auto& item : data.train)
    for (const auto& caption : item.captions) captions.push_back(caption.text);
  const std::set<std::string> old(words.begin(), words.end());
  const Vocabulary found = Vocabulary::of_captions(captions);
  for (const auto& word : found.words())
    if (!old.contains(word)) words.push_back(word);
  return Vocabulary(std::move(words));
}

inline LatentStatistics measure_latents(const Dataset& data, const LatentCodec& codec) {
  LatentMeter meter(codec.channels());
  const auto channels = static_cast<size_t>(codec.channels()), stride = static_cast<size_t>(codec.stride());
  std::vector<float> latent;
  for (const auto& item : data.train) {
    latent.resize(item.pixel_count() / (stride * stride) * channels);
    codec.encode(data.pixels(item), item.width, item.height, latent.data());
    meter.add(latent);
  }
  return meter.statistics();
}

// Errors: CHECKPOINT_CORRUPT, CHECKPOINT_MISMATCH.
inline State state_of_checkpoint(const Job& job) {
  const CheckpointManifest manifest = verify_checkpoint(*job.resume);
  match_fingerprint(*job.resume, job.fingerprint, manifest.identity.fingerprint);
  const State state = read_state(*job.resume);
  if (state.step <= job.last_step) return state;
  throw Failure(kBadData, "CHECKPOINT_MISMATCH",
                job.resume->string() + " lies past the job's last step, " + std::to_string(job.last_step),
                "Resume from an earlier checkpoint.");
}

inline State find_start(const Job& job, const Recipe& recipe, const LatentCodec& codec,
                        const std::optional<Dataset>& data) {
  State state;
  if (job.resume) {
    state = state_of_checkpoint(job);
  } else if (recipe.base) {
    verify_checkpoint(*recipe.base);
    state = read_state(*recipe.base);
    state.step = 0, state.seen = 0, state.learning_rate_factor = 1;
    if (data) state.vocabulary = with_words_of(*data, state.vocabulary);
  } else if (data) {
    state.vocabulary = with_words_of(*data, {});
    state.latent = measure_latents(*data, codec);
  } else {
    throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE", "there is no data, base or checkpoint to start from",
                  "Give the recipe a data section.");
  }
  if (data) {
    const OneSize size = one_size(*data);
    state.width = size.width, state.height = size.height;
  }
  if (state.latent.mean.size() == static_cast<size_t>(codec.channels())) return state;
  throw Failure(kBadData, "CHECKPOINT_MISMATCH",
                "the latents to start from have " + std::to_string(state.latent.mean.size()) +
                    " channels, those of " + recipe.model.latent + " " + std::to_string(codec.channels()),
                "Use the base's model.latent.");
}

// Before the first step, not in the night's first samples.
inline void check_sizes(const Recipe& recipe, int multiple, const std::optional<Dataset>& data,
                        const State& state) {
  const auto check = [&](const std::string& what, int width, int height) {
    if (width % multiple == 0 && height % multiple == 0) return;
    throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE",
                  what + " " + std::to_string(width) + "x" + std::to_string(height) +
                      " pixels, but this model's sides must be multiples of " + std::to_string(multiple),
                  "Change the size, or give model.channel_multipliers fewer levels.");
  };
  if (data) check("the pictures of the data set have", state.width, state.height);
  for (size_t i = 0; i < recipe.samples.prompts.size(); i++) {
    const Prompt& prompt = recipe.samples.prompts[i];
    check("recipe.samples.prompts[" + std::to_string(i) + "] has", prompt.width.value_or(state.width),
          prompt.height.value_or(state.height));
  }
}

}  // namespace tiller
