// Memory as it is planned against memory as it is taken, and advice that holds.
#include <unistd.h>

#include <fstream>

#include "compute/adamw.h"
#include "diffusion/memory_room.h"
#include "tests/check.h"

using namespace tiller;

namespace {

constexpr size_t kGiB = size_t{1} << 30;
Checks checks;

Recipe recipe_of(bool lora, bool checkpointing) {
  Recipe recipe;
  recipe.model.sd1 = true;
  if (lora) recipe.lora = LowRankSettings{};
  recipe.train.batch = 2, recipe.train.ema = 0.999, recipe.train.checkpointing = checkpointing;
  recipe.data.resolution = 512, recipe.data.random_crop = true;
  return recipe;
}

// Without a base's files, whose autoencoder would be counted as well.
Foundation foundation_of(const UNetConfig& unet) {
  Foundation found;
  found.codec = make_codec("pixels");
  found.unet = unet;
  found.text.trainable = false;
  return found;
}

size_t planned(const Recipe& recipe, const PlannedWork& work) {
  const Foundation found = foundation_of(UNetConfig{});
  Network network(found, recipe, "cpu", 1);
  return plan_memory(recipe, found, network, work).host.total();
}

const PlannedWork kWork{true, 1, false, {{2, 64, 64}}, {}};

// Stable Diffusion 1.5 by counting: 982.6 million weights with the text encoder, 859.5 million trained.
void full_size() {
  const size_t full = planned(recipe_of(false, true), kWork), lora = planned(recipe_of(true, true), kWork);
  const double weights = 982581444.0 * 4, trained = 859520964.0 * 4;
  checks.expect("full fine-tuning: weights, average, gradients, two moments, and some activations",
                std::abs((double)full - (weights + 4 * trained)) / (double)kGiB - 0.5, 0.5);
  checks.expect("a LoRA needs little more than the weights", std::abs((double)lora - weights) / (double)kGiB - 0.5, 0.5);
  checks.holds("checkpointing needs less", lora < planned(recipe_of(true, false), kWork));
}

auto fits_into(size_t limit) {
  return [limit](const Recipe& recipe, const PlannedWork& work) { return planned(recipe, work) <= limit; };
}

void advice() {
  const Recipe recipe = recipe_of(false, false);
  for (const size_t limit : {17 * kGiB, 12 * kGiB, 5 * kGiB}) {
    const auto found = what_would_fit(recipe, kWork, fits_into(limit));
    const std::string name = "at " + std::to_string(limit / kGiB) + " GiB ";
    checks.holds(name + "something is advised", !found.empty() && found.size() <= 3);
    for (const auto& setting : found) {
      Recipe changed = recipe;
      PlannedWork work = kWork;
      for (const auto& relief : reliefs())
        if (setting.find(relief.setting) != std::string::npos) relief.apply(changed, work);
      checks.holds(name + setting + " fits", planned(changed, work) <= limit);
    }
  }
  checks.holds("nothing is advised where nothing helps", what_would_fit(recipe, kWork, fits_into(kGiB)).empty());
}

// What a small model takes is what was planned, but for a few MiB.
void as_taken(bool fused) {
  UNetConfig config;
  config.model_channels = 64, config.channel_multipliers = {1, 2, 4}, config.attention_levels = {0, 1, 2};
  Recipe recipe = recipe_of(false, false);
  recipe.train.fused = fused;
  Foundation found = foundation_of(config);
  found.text.vocabulary = 100, found.text.layers = 1;
  // Not getrusage: its peak begins with that of the process which started this one.
  const auto resident = [] {
    std::ifstream pages("/proc/self/statm");
    size_t total = 0, held = 0;
    pages >> total >> held;
    return held * (size_t)sysconf(_SC_PAGESIZE);
  };
  if (resident() == 0) return;
  Network network(found, recipe, "cpu", 1);
  const PlannedWork work{true, 1, false, {{4, 32, 32}}, {}};
  const size_t expected = plan_memory(recipe, found, network, work).host.total() - Placement::kProgram, before = resident();
  network.allocate(true, true, !fused);
  network.parameters.initialize(1);
  AdamW optimizer(network.parameters);
  auto& pass = network.pass({Network::Use::training, 4, 32, 32});
  for (Value* value : {pass.latent, pass.timesteps, pass.context, pass.loss->target, pass.loss->weights})
    std::fill(value->data, value->data + value->shape.size(), 0.5f);
  pass.forward();
  std::optional<FusedStep> step;
  if (fused) step.emplace(network.parameters, optimizer), pass.backward(*step, {}, 1);
  else pass.backward(), optimizer.step(network.pool, {}, 1);
  const double taken = (double)(resident() - before);
  checks.expect(std::string(fused ? "fused, " : "") + "taken is what was planned", std::abs(taken / (double)expected - 1), 0.08);
}

} // namespace

int main() {
  as_taken(false);
  as_taken(true);
  full_size();
  advice();
  return checks.exit_code();
}
