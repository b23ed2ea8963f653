// Writes a Stable Diffusion 1.x base that trains in milliseconds: CLIP's vocabulary, everything else small.
//   make_small_base FILE|FOLDER [in_channels] [epsilon|v|v-zero|epsilon-zero] [seed]   -zero: of zero terminal SNR
#include "tests/base_models.h"

using namespace tiller;

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: make_small_base FILE|FOLDER [in_channels] [epsilon|v|v-zero|epsilon-zero] [seed]\n"), 64;
  ClipTextConfig text = small_base_text();
  text.vocabulary = 49408, text.positions = 77;
  SmallBase base(small_base_unet(argc > 2 ? std::atoi(argv[2]) : 4), small_base_vae(), text);
  base.parameters.initialize(argc > 4 ? (uint64_t)std::atoi(argv[4]) : 1);
  const std::string predicts = argc > 3 ? argv[3] : "epsilon";
  base.trained = {predicts.starts_with("v") ? Prediction::v : Prediction::epsilon, predicts.ends_with("-zero")};
  const fs::path path = argv[1];
  if (path.extension() == ".safetensors") write_single_file(path, base.model(), {.dtype = "F32"});
  else write_diffusers_folder(path, base.model(), {.dtype = "F32"});
  return 0;
}
