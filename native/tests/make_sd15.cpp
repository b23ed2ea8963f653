// A Stable Diffusion 1.5 of random weights at its full size (2.1 GB in F16), or a tiny one, as a single file:
// what test/peers/load_sd.py loads in other programs, without a download.
//   make_sd15 full|tiny FILE
#include <cstdio>
#include <cstring>

#include "tests/base_models.h"

using namespace tiller;

namespace {

void make(const fs::path& path, const UNetConfig& unet_sizes, const VaeConfig& vae_sizes, const ClipTextConfig& text_sizes,
          const char* dtype) {
  Parameters parameters;
  const UNet unet(parameters, unet_sizes);
  const Vae vae(parameters, vae_sizes);
  const ClipText text(parameters, text_sizes);
  parameters.allocate(/*training=*/false, /*average=*/false);
  parameters.initialize(15);
  write_single_file(path, {unet.config, vae.config, text.config, {.prediction = Prediction::epsilon}, {&parameters}}, {.dtype = dtype});
}

}  // namespace

int main(int argc, char** argv) {
  const bool full = argc == 3 && std::strcmp(argv[1], "full") == 0, tiny = argc == 3 && std::strcmp(argv[1], "tiny") == 0;
  if (!full && !tiny) return std::fprintf(stderr, "usage: make_sd15 full|tiny FILE\n"), 64;
  if (full) make(argv[2], UNetConfig{}, VaeConfig{}, ClipTextConfig{}, "F16");
  else make(argv[2], small_base_unet(), small_base_vae(), small_base_text(), "F32");
  return 0;
}
