// Where a job begins: a checkpoint, the base, or the data; and whether the sizes that are asked for can be done.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "diffusion/dataset.h"
#include "diffusion/foundation.h"
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

// A model of Tiller's own with free sizes, to begin from: a checkpoint's folder, or a file that was exported.
struct OwnBase {
  fs::path weights;
  State model;
};

// Errors: BASE_UNKNOWN, BASE_CORRUPT.
inline OwnBase open_own_base(const fs::path& path) {
  const auto model_of = [](std::string_view text, const fs::path& from) { return model_of_json(parse_json(text), from); };
  std::error_code absent;
  try {
    if (!fs::is_directory(path, absent)) {
      const Safetensors file(path);
      const auto found = file.metadata().find("tiller.state");
      if (found == file.metadata().end())
        throw Failure(kBadData, "BASE_UNKNOWN", path.string() + " was not exported by Tiller",
                      "For a Stable Diffusion 1.x model say model.architecture: sd1.");
      return {path, model_of(found->second, path)};
    }
    verify_checkpoint(path);
    const bool averaged = fs::exists(path / "ema.safetensors");
    return {path / (averaged ? "ema.safetensors" : "weights.safetensors"),
            model_of(MappedFile(path / "state.json").text(), path / "state.json")};
  } catch (const FormatError& error) {
    throw Failure(kBadData, "BASE_CORRUPT", error.what(), "Export or copy the base again.");
  } catch (const Failure& failure) {
    // Of this code the run's own checkpoints are set aside.
    if (failure.code != "CHECKPOINT_CORRUPT") throw;
    throw Failure(kBadData, "BASE_CORRUPT", failure.what(), "Export or copy the base again.");
  }
}

// The middle of the sizes that the data set has: the size of samples whose prompts name none.
inline void measure_sizes(const Dataset& data, State& state) {
  std::map<std::pair<int, int>, size_t> counts;
  for (const auto& item : data.train) counts[{item.bucket_width, item.bucket_height}]++;
  const auto most = std::max_element(counts.begin(), counts.end(), [](auto& a, auto& b) { return a.second < b.second; });
  state.width = most->first.first, state.height = most->first.second;
}

// `own`: the base of a model with free sizes, if there is one.
inline State find_start(const Job& job, const Recipe& recipe, const LatentCodec* codec, const std::optional<Dataset>& data,
                        const std::optional<OwnBase>& own) {
  State state;
  if (job.resume) {
    state = state_of_checkpoint(job);
  } else if (recipe.model.sd1) {
    state.width = state.height = recipe.data.resolution > 0 ? recipe.data.resolution : 512;
  } else if (own) {
    state = own->model;
    if (data) state.vocabulary = with_words_of(*data, state.vocabulary);
  } else if (data) {
    state.vocabulary = with_words_of(*data, {});
    state.latent = measure_latents(*data, *codec);
  } else {
    throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE", "there is no data, base or checkpoint to start from",
                  "Give the recipe a data section.");
  }
  if (recipe.model.sd1) return state;
  if (data) measure_sizes(*data, state);
  if (state.latent.mean.size() == static_cast<size_t>(codec->channels())) return state;
  throw Failure(kBadData, "CHECKPOINT_MISMATCH",
                "the latents to start from have " + std::to_string(state.latent.mean.size()) + " channels, those of " +
                    recipe.model.latent + " " + std::to_string(codec->channels()),
                "Use the base's model.latent.");
}

// Before the first step, not in the night's first samples.
inline void check_sizes(const Recipe& recipe, int multiple, const std::optional<Dataset>& data, const State& state) {
  const auto check = [&](const std::string& what, int width, int height) {
    if (width % multiple == 0 && height % multiple == 0) return;
    throw Failure(kBadRecipe, "TRAINER_BAD_RECIPE",
                  what + " " + std::to_string(width) + "x" + std::to_string(height) +
                      " pixels, but this model's sides must be multiples of " + std::to_string(multiple),
                  recipe.model.sd1 ? "Change the size." : "Change the size, or give model.channel_multipliers fewer levels.");
  };
  if (data) {
    for (const auto* items : {&data->train, &data->validation})
      for (const auto& item : *items) check("the data set has a picture of", item.bucket_width, item.bucket_height);
  }
  for (size_t i = 0; i < recipe.samples.prompts.size(); i++) {
    const Prompt& prompt = recipe.samples.prompts[i];
    const std::string name = "recipe.samples.prompts[" + std::to_string(i) + "]";
    if (!prompt.picture) {
      check(name + " has", prompt.width.value_or(state.width), prompt.height.value_or(state.height));
      continue;
    }
    const Pads pads = prompt.outpaint.value_or(Pads{});
    check(name + ".picture (with what is outpainted) has", prompt.picture->width + pads.left + pads.right,
          prompt.picture->height + pads.top + pads.bottom);
    if (prompt.mask && (prompt.mask->width != prompt.picture->width || prompt.mask->height != prompt.picture->height))
      throw Failure(kBadRecipe, "MASK_SIZE",
                    name + ".mask is " + size_text(prompt.mask->width, prompt.mask->height) + ", its picture " +
                        size_text(prompt.picture->width, prompt.picture->height),
                    "Make the mask as large as the picture.");
  }
}

}  // namespace tiller
