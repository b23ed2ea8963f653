// Models in BF16 on a device beside PyTorch (test/peers/bf16.py): text encoders and U-Nets' blocks tensor by tensor,
// whole U-Nets by how far they are from F32, which may be half as much again as PyTorch's own BF16 is: much of it is
// chance.
//   bf16_test DEVICE bf16 [folder of the goldens]
#include "formats/json.h"
#include "tests/golden_blocks.h"

using namespace tiller;

namespace {

void compare_unet(Checks& checks, const TestedDevice& device, const std::string& folder, const std::string& name,
                  GoldenRun how, Adapters* adapters) {
  how.device = &device;
  std::map<std::string, Distance> distances;
  unet({checks, name, Safetensors(folder + "/" + name + ".safetensors"), kBf16Limit, &distances}, how, adapters);
  const Json autocast = parse_json(MappedFile(folder + "/bf16.json").text()).at(name);
  Distance gradients;
  double worst = 0;
  for (const auto& [key, distance] : distances) {
    if (key.find('.') == std::string::npos) continue;  // none of a weight
    gradients.difference += distance.difference, gradients.size += distance.size;
    worst = std::fmax(worst, distance.relative());
  }
  const auto expect = [&](const char* what, double distance, const char* key) {
    checks.expect(name + " in BF16, from F32: " + what, distance, 1.5 * autocast.at(key).get<double>());
  };
  expect("y", distances.at("y").relative(), "y");
  expect("all gradients", gradients.relative(), "gradients");
  expect("the worst gradient", worst, "worst");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const TestedDevice device(count, arguments);
    const std::string folder = count > 3 ? arguments[3] : "test/golden";
    Checks checks;
    const auto rounded = [&](const std::string& name) {
      return Golden{checks, name + " in BF16", Safetensors(folder + "/" + name + "_bf16.safetensors"), kBf16Limit};
    };
    GoldenAdapters adapters;
    const GoldenRun how{.threads = 1, .device = &device};
    clip_text(rounded("clip_text"), how);
    clip_text(rounded("clip_text_lora"), how, &adapters.text);
    GoldenBlocks(checks, device, folder).all();
    compare_unet(checks, device, folder, "unet", {.threads = 1}, nullptr);
    compare_unet(checks, device, folder, "unet_lora", {.threads = 1, .checkpointing = true}, &adapters.unet);
    return checks.exit_code();
  } catch (const DeviceError& error) {
    std::fprintf(stderr, "%s. %s\n", error.what(), error.hint.c_str());
    return 1;
  }
}
