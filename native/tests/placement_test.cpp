// What a device is planned to hold against what it holds, and passes that take turns there.
//   placement_test [DEVICE [PRECISION]]
#include "diffusion/memory_room.h"
#include "tests/check.h"

using namespace tiller;

namespace {

Checks checks;

Foundation small_foundation() {
  Foundation found;
  found.codec = make_codec("pixels");
  found.unet = {.in_channels = 3, .out_channels = 3, .model_channels = 16, .channel_multipliers = {1, 2}, .res_blocks = 1,
                .attention_levels = {1}, .transformer_depth = 1, .heads = 2, .head_size = 0, .context_channels = 12, .norm_groups = 4};
  found.text = {.vocabulary = 20, .positions = 5, .channels = 12, .layers = 1, .heads = 2, .hidden = 24, .trainable = false};
  return found;
}

std::string precision = "f32";

Recipe recipe_of(bool lora) {
  Recipe recipe;
  recipe.train.precision = precision;
  if (lora) recipe.lora = LowRankSettings{.rank = 4, .alpha = 4};
  recipe.train.ema = 0, recipe.train.batch = 4;
  recipe.data.random_crop = true;
  return recipe;
}

const PlannedWork kTraining{true, 1, false, {{4, 16, 16}, {4, 16, 8}, {4, 8, 16}}, {{2, 24, 16}}};
const PlannedWork kShowing{false, 1, false, {{4, 16, 16}}, {{2, 32, 32}}};

size_t bytes_of(const MemoryPlan& plan, const std::string& name) {
  for (const auto& part : plan.parts)
    if (part.name == name) return part.bytes;
  return 0;
}

void fill(Network::Pass& pass, float at) {
  for (Value* value : {pass.latent, pass.timesteps, pass.context})
    for (size_t i = 0; i < value->shape.size(); i++) value->data[i] = at + std::sin(0.1f * static_cast<float>(i));
  for (Value* value : {pass.loss->target, pass.loss->weights}) std::fill(value->data, value->data + value->shape.size(), 0.5f);
}

// All passes that a job can ask for, made: the plan is what the device holds then.
void as_taken(const std::string& device, bool lora, const PlannedWork& work) {
  const std::string name = std::string(lora ? "LoRA, " : "full, ") + (work.training ? "training: " : "showing: ");
  const Foundation found = small_foundation();
  const Recipe recipe = recipe_of(lora);
  Network network(found, recipe, device, 1);
  const Placement placement = plan_memory(recipe, found, network, work);
  const size_t planned = placement.device->total() - Placement::kDriver;
  network.allocate(work.training, false);
  network.parameters.initialize(1);
  network.context({{std::vector<int>(5, 1), std::vector<float>(5, 1.5f)}});
  for (const auto& shape : work.trained) network.pass(work.trained_key(shape, 1));
  for (const auto& shape : work.sampled) network.pass(work.sampled_key(shape, 1));
  const double taken = static_cast<double>(network.device_bytes());
  checks.expect(name + "held is what was planned", std::abs(taken / static_cast<double>(planned) - 1), 0.01);
  checks.holds(name + "and no more", network.device_bytes() <= planned);
  checks.holds(name + "gradients are those of what is trained", bytes_of(*placement.device, "gradients") >= (work.training ? 4 * network.parameters.trained_count() : 0) &&
                                                                     (work.training || bytes_of(*placement.device, "gradients") == 0));
  checks.holds(name + "a graph is one split", placement.splits == 1 && placement.nodes > 100);
  std::fprintf(stderr, "%splanned %zu KiB, held %zu KiB; %d nodes, %d split\n", name.c_str(), planned >> 10, network.device_bytes() >> 10,
               placement.nodes, placement.splits);
}

// Passes of several sizes overwrite each other's numbers; each run begins anew.
void turns(const std::string& device) {
  const Foundation found = small_foundation();
  Network network(found, recipe_of(false), device, 1);
  network.allocate(true, false);
  network.parameters.initialize(1);
  auto& wide = network.pass({Network::Use::training, 2, 8, 16});
  const auto run = [&](Network::Pass& pass) {
    network.parameters.zero_gradients();
    fill(pass, 0.2f);
    pass.forward();
    pass.backward();
    return std::pair(pass.loss->losses, network.parameters.blocks().back().gradient[0]);
  };
  const auto before = run(wide);
  auto& tall = network.pass({Network::Use::training, 2, 16, 8});  // of as many nodes, each of the same size
  auto& large = network.pass({Network::Use::training, 2, 16, 16});
  run(large);
  const auto other = run(tall);
  checks.holds("turns: bit for bit what it was before the others", run(wide) == before);
  checks.holds("turns: of the others it is not", other != before);
  wide.forward();
  tall.forward();
  bool refused = false;
  try {
    wide.backward();
  } catch (const std::logic_error&) {
    refused = true;
  }
  checks.holds("turns: no backward pass on the numbers of another", refused);
}

void shortages(const std::string& device) {
  const Foundation found = small_foundation();
  Recipe recipe = recipe_of(false);
  Network network(found, recipe, device, 1);
  const Placement placement = plan_memory(recipe, found, network, kTraining);
  const size_t on_device = placement.device->total(), on_host = placement.host.total();
  const auto limit = &MachineMemory::total;
  Room room{{on_host, {}}, {on_device, {}}, "a device", false};
  checks.holds("room: just enough of both", !shortage(placement, room, limit));
  checks.holds("room: nothing is known of a device", !shortage(placement, {room.host, {}, "a device", false}, limit));
  room.device.total = on_device - 1;
  checks.holds("room: too little on the device", shortage(placement, room, limit)->whose == "a device");
  room.device.total = on_device, room.shared = true;
  checks.holds("room: a device without memory of its own takes the host's", shortage(placement, room, limit)->whose == "this machine");
  room.host.total = on_host + on_device;
  checks.holds("room: which is enough for both", !shortage(placement, room, limit));

  room = {{}, {on_device - bytes_of(*placement.device, "activations") / 2, {}}, "a device", false};
  const auto fits = [&](const Recipe& other, const PlannedWork& work) {
    Network changed(found, other, device, 1);
    return !shortage(plan_memory(other, found, changed, work), room, limit);
  };
  const auto advice = what_would_fit(recipe, kTraining, fits);
  checks.holds("room: up to three settings would fit on the device", !advice.empty() && advice.size() <= 3);
  for (const auto& setting : advice) {
    Recipe changed = recipe;
    PlannedWork work = kTraining;
    for (const auto& relief : reliefs())
      if (relief.setting == setting) relief.apply(changed, work);
    checks.holds("room: " + setting + " does", fits(changed, work));
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const std::string device = count > 1 ? arguments[1] : "ggml-cpu";
    if (count > 2) precision = arguments[2];
    std::fprintf(stderr, "device: %s\n", Backend(device).info().description.c_str());
    for (const bool lora : {false, true})
      for (const auto* work : {&kTraining, &kShowing}) as_taken(device, lora, *work);
    turns(device);
    shortages(device);
    return checks.exit_code();
  } catch (const DeviceError& error) {
    std::fprintf(stderr, "%s. %s\n", error.what(), error.hint.c_str());
    return 1;
  }
}
