// Whole models in BF16 on a device against PyTorch with factors that are rounded to it (test/peers/bf16.py): outputs,
// losses and every gradient. Of F32 they may be as far as PyTorch's own BF16, autocast, is.
//   bf16_test [DEVICE [bf16 [folder of the goldens]]]
#include "formats/json.h"
#include "tests/golden_models.h"

using namespace tiller;

int main(int count, char** arguments) {
  try {
    const TestedDevice device(count, arguments);
    const std::string folder = count > 3 ? arguments[3] : "test/golden";
    Checks checks;
    const auto golden = [&](const std::string& name) {
      return Golden{checks, name + " in BF16", Safetensors(folder + "/" + name + "_bf16.safetensors"), kBf16Limit};
    };
    GoldenAdapters adapters, others;
    unet(golden("unet"), {1, false, &device});
    unet(golden("unet"), {1, true, &device});
    clip_text(golden("clip_text"), {1, false, &device});
    unet(golden("unet_lora"), {1, true, &device}, &adapters.unet);
    clip_text(golden("clip_text_lora"), {1, false, &device}, &adapters.text);
    return checks.exit_code();
  } catch (const DeviceError& error) {
    std::fprintf(stderr, "%s. %s\n", error.what(), error.hint.c_str());
    return 1;
  }
}
