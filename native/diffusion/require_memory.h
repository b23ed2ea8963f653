// Says what a job will need of memory before any of it is asked for, and refuses what can't be had.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "diffusion/memory_room.h"
#include "diffusion/state.h"
#include "diffusion/text_reader.h"
#include "training/conversation.h"

namespace tiller {

struct PlannedJob {
  const Recipe& recipe;
  const Foundation& found;
  Network& network;  // described, not allocated
  PlannedWork work;
  std::string device;
};

inline PlannedWork planned_work(const Recipe& recipe, const std::optional<Dataset>& data, const TextReader& reader,
                                const State& state, bool training) {
  PlannedWork work{training, 1, false, {}, {}};
  if (data) {
    for (const auto& item : training ? data->train : data->validation) {
      work.trained.insert({recipe.train.batch, item.bucket_width, item.bucket_height});
      work.masked = work.masked || item.mask_offset;
      for (const auto& caption : item.captions)
        work.chunks = std::max(work.chunks, static_cast<int>(reader.caption(caption.text).chunks.size()));
    }
  }
  const auto chunks_of = [&](const std::string& text) { return static_cast<int>(reader.prompt(text).chunks.size()); };
  std::map<std::pair<int, int>, int> alike;
  for (const auto& prompt : recipe.samples.prompts) {
    const Pads pads = prompt.outpaint.value_or(Pads{});
    const int width = prompt.picture ? prompt.picture->width + pads.left + pads.right : prompt.width.value_or(state.width);
    const int height = prompt.picture ? prompt.picture->height + pads.top + pads.bottom : prompt.height.value_or(state.height);
    const int guided = prompt.guidance.value_or(recipe.samples.guidance) == 1 ? 1 : 2;
    int& together = alike[{width, height}];
    if (together < recipe.samples.batch) together++;
    work.sampled.insert({guided * (prompt.picture ? 1 : together), width, height});
    work.prompt_chunks = std::max({work.prompt_chunks, chunks_of(prompt.text), chunks_of(prompt.negative)});
  }
  return work;
}

namespace detail {

inline Json planned(const MemoryPlan& plan, const MachineMemory& room) {
  Json parts = Json::array();
  for (const auto& [name, bytes] : plan.parts) parts.push_back({{"name", name}, {"bytes", bytes}});
  Json said = {{"total_bytes", plan.total()}, {"parts", parts}};
  if (room.available) said["available_bytes"] = *room.available;
  return said;
}

}  // namespace detail

// Errors: MEMORY_SHORT, with up to three settings that would make it fit; TRAINER_BUSY.
inline void require_memory(const PlannedJob& job, Conversation& conversation) {
  const Placement placement = plan_memory(job.recipe, job.found, job.network, job.work);
  const Room room = room_of(job.network.backend());
  Json said = detail::planned(placement.host, room.host);
  if (placement.device) {
    Json host = std::exchange(said, detail::planned(*placement.device, room.device));
    said.update({{"host", host}, {"nodes", placement.nodes}, {"splits", placement.splits}});
  }
  conversation.say("memory", said);
  const std::string wants = job.work.training ? "training needs " : "validation and samples need ";
  if (const auto lack = shortage(placement, room, &MachineMemory::total)) {
    std::string fits;
    for (const auto& setting : what_would_fit(job.recipe, job.work, [&](const Recipe& other, const PlannedWork& less) {
           Network changed(job.found, other, job.device, 1);
           return !shortage(plan_memory(other, job.found, changed, less), room, &MachineMemory::total);
         }))
      fits += (fits.empty() ? "" : ", or ") + setting;
    throw Failure(kBadRecipe, "MEMORY_SHORT", wants + lack->needs + ", and " + lack->whose + " has " + gib(lack->bytes),
                  fits.empty() ? "Use a machine with more memory." : "It would fit with " + fits + ".");
  }
  if (const auto lack = shortage(placement, room, &MachineMemory::available))
    throw Failure(kTryAgain, "TRAINER_BUSY", wants + lack->needs + ", and of " + lack->whose + " " + gib(lack->bytes) + " are free",
                  "Close other programs; it begins when there is room.");
}

}  // namespace tiller
