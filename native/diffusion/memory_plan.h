// How much memory a job will need, counted before any of it is asked for: tapes are laid out, models
// described, and nothing is allocated. What doesn't fit is refused with settings that would.
#pragma once

#include <cstdio>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "diffusion/dataset.h"
#include "diffusion/network.h"

namespace tiller {

struct MemoryPart {
  std::string name;
  size_t bytes;
};
struct MemoryPlan {
  std::vector<MemoryPart> parts;
  size_t total() const {
    size_t sum = kProgram;
    for (const auto& part : parts) sum += part.bytes;
    return sum;
  }
  static constexpr size_t kProgram = size_t{64} << 20;  // code, files' headers, what threads scribble on
};

// Sizes of pictures in pixels, and how many go through the model at once.
struct PlannedShape {
  int pictures, width, height;
  auto operator<=>(const PlannedShape&) const = default;
};

// What a job does with the model.
struct PlannedWork {
  bool training = false;
  int chunks = 1;  // of the longest caption
  bool masked = false;
  std::set<PlannedShape> trained, sampled;
};

namespace detail {

inline size_t vae_bytes(const VaeConfig& config, const PlannedShape& shape, bool encode) {
  Parameters parameters;
  const Vae vae(parameters, config);
  Pool pool(1);
  Tape tape(pool, false);
  const int s = config.stride(), side = 64;  // larger ones are decoded in tiles
  const int w = shape.width / s, h = shape.height / s;
  const bool whole = w * h <= 96 * 96;
  if (encode) vae.build_encoder(tape, tape.input({1, shape.height, shape.width, config.in_channels}));
  else vae.build_decoder(tape, tape.input({1, whole ? h : side, whole ? w : side, config.z_channels}));
  return parameters.count() * sizeof(float) + tape.lay_out() * sizeof(float);
}

}  // namespace detail

// Optimizers' bytes a trained number.
inline size_t optimizer_bytes(const std::string& name) { return name == "adamw8bit" ? 2 : name == "prodigy" ? 16 : 8; }

// On a CPU. `network` is described, not allocated.
inline MemoryPlan plan_memory(const Recipe& recipe, const Foundation& found, Network& network, const PlannedWork& work) {
  const int stride = found.stride();
  size_t activations = 0, sampling = 0, coding = 0, lent = 0;
  for (const auto& [n, width, height] : work.trained) {
    const auto use = work.training ? Network::Use::training : Network::Use::measuring;
    const Network::PassKey key{use, n, height / stride, width / stride, work.chunks, work.masked};
    activations = std::max(activations, network.planned_bytes(key));
    if (work.training && recipe.train.fused) lent = network.lent_bytes(key);
    if (found.files && work.training) coding = std::max(coding, detail::vae_bytes(found.vae(), {1, width, height}, true));
  }
  for (const auto& shape : work.sampled) {
    sampling = std::max(sampling, network.planned_bytes({Network::Use::sampling, shape.pictures, shape.height / stride, shape.width / stride}));
    if (found.files && !work.training) coding = std::max(coding, detail::vae_bytes(found.vae(), shape, false));
  }
  size_t all = 0, trained = 0;
  for (const auto& tensor : network.parameters.tensors()) all += tensor.size(), trained += tensor.trainable() ? tensor.size() : 0;
  const size_t gradients = recipe.train.fused ? lent : trained * sizeof(float);
  const size_t moments = trained * optimizer_bytes(recipe.train.optimizer);
  MemoryPlan plan;
  const auto add = [&](const char* name, size_t bytes) {
    if (bytes > 0) plan.parts.push_back({name, bytes});
  };
  add("weights", all * sizeof(float));
  if (recipe.train.ema > 0) add("average", trained * sizeof(float));
  if (work.training) {
    add("gradients", gradients);
    add("optimizer", moments);
  }
  // Passes take turns in one arena, and latents are kept before the first step.
  add(work.training ? "activations" : "validation", activations);
  if (sampling > activations) add("sampling", sampling - activations);
  const size_t spare = work.training && !recipe.data.random_crop ? activations + gradients + moments : 0;
  if (coding > spare) add("autoencoder", coding - spare);
  return plan;
}

// ---- what there is ---------------------------------------------------------------------------

struct MachineMemory {
  size_t total, available;
};

// Of the machine, or of the container that this process is in. Nothing known: no limit.
inline MachineMemory machine_memory() {
  MachineMemory memory{SIZE_MAX, SIZE_MAX};
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "MemTotal: %llu", &kib) == 1) memory.total = kib << 10;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu", &kib) == 1) memory.available = kib << 10;
  }
  unsigned long long most = 0, used = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> most && std::ifstream("/sys/fs/cgroup/memory.current") >> used) {
    memory.total = std::min<size_t>(memory.total, most);
    memory.available = std::min<size_t>(memory.available, most > used ? most - used : 0);
  }
  return memory;
}

inline std::string gib(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / static_cast<double>(size_t{1} << 30));
  return text;
}

// ---- what would fit --------------------------------------------------------------------------

// Changes of a recipe, the ones that cost least first.
struct Relief {
  std::string setting;
  std::function<bool(Recipe&, PlannedWork&)> apply;  // false where it changes nothing
};

inline std::vector<Relief> reliefs() {
  const auto smaller = [](int side) {
    return [side](Recipe& recipe, PlannedWork& work) {
      if (recipe.data.resolution <= side || !recipe.model.sd1) return false;
      std::set<PlannedShape> shapes;
      for (auto [n, width, height] : work.trained) {
        const double factor = static_cast<double>(side) / recipe.data.resolution;
        const auto scaled = [&](int pixels) { return std::max(64, static_cast<int>(pixels * factor) / 64 * 64); };
        shapes.insert({n, scaled(width), scaled(height)});
      }
      work.trained = std::move(shapes);
      recipe.data.resolution = side;
      return true;
    };
  };
  return {
      {"train.gradient_checkpointing: true",
       [](Recipe& recipe, PlannedWork&) { return !std::exchange(recipe.train.checkpointing, true); }},
      {"train.batch: 1, with train.accumulation instead",
       [](Recipe& recipe, PlannedWork& work) {
         std::set<PlannedShape> shapes;
         for (auto [n, width, height] : work.trained) shapes.insert({1, width, height});
         work.trained = std::move(shapes);
         return std::exchange(recipe.train.batch, 1) > 1;
       }},
      {"train.optimizer: adamw8bit",
       [](Recipe& recipe, PlannedWork&) { return std::exchange(recipe.train.optimizer, "adamw8bit") != "adamw8bit"; }},
      {"train.fused_backward: true, with train.clip: 0",
       [](Recipe& recipe, PlannedWork&) {
         const bool can = recipe.train.accumulation == 1 && recipe.train.optimizer != "prodigy" && !recipe.lora;
         return can && !std::exchange(recipe.train.fused, true);
       }},
      {"train.ema: 0", [](Recipe& recipe, PlannedWork&) { return std::exchange(recipe.train.ema, 0.0) > 0; }},
      {"data.resolution: 384", smaller(384)},
      {"data.resolution: 256", smaller(256)},
      {"lora: {rank: 16}",
       [](Recipe& recipe, PlannedWork&) {
         if (recipe.lora || !recipe.model.sd1) return false;
         recipe.lora = LowRankSettings{};
         return true;
       }},
  };
}

// Up to three settings that would make it fit: each by itself, else the fewest of them together.
inline std::vector<std::string> what_would_fit(const Recipe& recipe, const PlannedWork& work, size_t limit,
                                               const std::function<size_t(const Recipe&, const PlannedWork&)>& total) {
  const auto all = reliefs();
  const auto fits = [&](const std::vector<Relief>& together) {
    Recipe changed = recipe;
    PlannedWork less = work;
    bool any = false;
    for (const auto& relief : together) any = relief.apply(changed, less) || any;
    return any && total(changed, less) <= limit;
  };
  std::vector<std::string> found;
  for (const auto& relief : all)
    if (found.size() < 3 && fits({relief})) found.push_back(relief.setting);
  if (!found.empty() || !fits(all)) return found;
  std::vector<Relief> needed = all;
  for (const auto& relief : all) {
    auto fewer = needed;
    std::erase_if(fewer, [&](const Relief& other) { return other.setting == relief.setting; });
    if (fits(fewer)) needed = std::move(fewer);
  }
  std::string together;
  for (const auto& relief : needed) together += (together.empty() ? "" : " and ") + relief.setting;
  return {together};
}

}  // namespace tiller
