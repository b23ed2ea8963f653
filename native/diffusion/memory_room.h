// What memory there is, whether a job fits into it and, where it doesn't, which settings would.
#pragma once

#include <cstdio>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/memory_plan.h"

namespace tiller {

// ---- what there is ---------------------------------------------------------------------------

// In bytes; what isn't known is no limit.
struct MachineMemory {
  std::optional<size_t> total, available;
};

// Of the machine, or of the container that this process is in.
inline MachineMemory machine_memory() {
  MachineMemory memory;
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "MemTotal: %llu", &kib) == 1) memory.total = kib << 10;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu", &kib) == 1) memory.available = kib << 10;
  }
  unsigned long long most = 0, used = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> most && std::ifstream("/sys/fs/cgroup/memory.current") >> used) {
    memory.total = std::min<size_t>(memory.total.value_or(most), most);
    const size_t left = most > used ? most - used : 0;
    memory.available = std::min<size_t>(memory.available.value_or(left), left);
  }
  return memory;
}

struct Room {
  MachineMemory host, device;
  std::string device_name;
  bool shared = false;  // the device's memory is the host's
};

inline Room room_of(const Backend* backend) {
  Room room{machine_memory(), {}, "", false};
  if (!backend) return room;
  room.device_name = backend->info().name + " (" + backend->info().description + ")";
  room.shared = backend->info().shares_memory();
  if (backend->info().memory_total > 0) room.device = {backend->info().memory_total, backend->info().memory_free()};
  return room;
}

inline std::string gib(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / static_cast<double>(size_t{1} << 30));
  return text;
}

inline std::string words_of(const MemoryPlan& plan) {
  std::string parts;
  for (const auto& [name, bytes] : plan.parts) parts += (parts.empty() ? "" : ", ") + name + " " + gib(bytes);
  return gib(plan.total()) + " (" + parts + ")";
}

// The first memory that is too small: what a job needs of it, whose it is, and how much there is.
struct Shortage {
  std::string needs, whose;
  size_t bytes;
};

// By what there is in all, or by what is free.
inline std::optional<Shortage> shortage(const Placement& placement, const Room& room, std::optional<size_t> MachineMemory::*limit) {
  const auto& [host, device, nodes, splits] = placement;
  const std::optional<size_t> there = room.device.*limit, here = room.host.*limit;
  if (device && there && device->total() > *there) return Shortage{words_of(*device), room.device_name, *there};
  const bool both = device && room.shared;
  if (!here || host.total() + (both ? device->total() : 0) <= *here) return std::nullopt;
  return Shortage{words_of(host) + (both ? " and, for " + room.device_name + ", " + words_of(*device) : ""), "this machine", *here};
}

// ---- what would fit --------------------------------------------------------------------------

// Changes of a recipe, the ones that cost least first.
struct Relief {
  std::string setting;
  std::function<bool(Recipe&, PlannedWork&)> apply;  // false where it changes nothing
};

inline std::vector<Relief> reliefs() {
  const auto at_most = [](std::set<PlannedShape>& shapes, int side) {
    std::set<PlannedShape> smaller;
    for (const auto& [n, width, height] : shapes) smaller.insert({n, std::min(width, side), std::min(height, side)});
    return std::exchange(shapes, smaller) != smaller;
  };
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
      {"samples.batch: 1",
       [](Recipe& recipe, PlannedWork& work) {
         std::set<PlannedShape> alone;
         for (const auto& [n, width, height] : work.sampled) alone.insert({std::min(n, 2), width, height});
         work.sampled = std::move(alone);
         return std::exchange(recipe.samples.batch, 1) > 1;
       }},
      {"samples.prompts of at most 512×512 pixels", [at_most](Recipe&, PlannedWork& work) { return at_most(work.sampled, 512); }},
      {"lora: {rank: 16}",
       [](Recipe& recipe, PlannedWork&) {
         if (recipe.lora || !recipe.model.sd1) return false;
         recipe.lora = LowRankSettings{};
         return true;
       }},
  };
}

// Up to three settings that would make it fit: each by itself, else the fewest of them together.
inline std::vector<std::string> what_would_fit(const Recipe& recipe, const PlannedWork& work,
                                               const std::function<bool(const Recipe&, const PlannedWork&)>& is_room_for) {
  const auto all = reliefs();
  const auto fits = [&](const std::vector<Relief>& together) {
    Recipe changed = recipe;
    PlannedWork less = work;
    bool any = false;
    for (const auto& relief : together) any = relief.apply(changed, less) || any;
    return any && is_room_for(changed, less);
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
