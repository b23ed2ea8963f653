// The autoencoder against diffusers' AutoencoderKL (test/peers/vae.py wrote what it gave), its sizes, and
// the codec that works on 8-bit pictures.
//   vae_test [folder of the goldens]
#include "models/vae.h"
#include "tests/golden.h"

using namespace tiller;

namespace {

Checks checks;

VaeConfig small_vae() {
  VaeConfig config;
  config.base_channels = 8;
  config.channel_multipliers = {1, 2, 3};
  config.norm_groups = 4;
  return config;
}

std::string size_text(int height, int width) { return std::to_string(height) + "x" + std::to_string(width); }

void encoder(const Golden& golden, int threads) {
  Parameters parameters;
  const Vae model(parameters, small_vae());
  parameters.allocate(true);
  fill(parameters);
  Pool pool(threads);
  for (const auto& [height, width] : {std::pair{16, 24}, {19, 13}}) {
    const std::string size = size_text(height, width);
    Tape tape(pool, true);
    Value* rgb = tape.input({2, height, width, 3}, true);
    Value* moments = model.build_encoder(tape, rgb);
    tape.expose(moments);
    tape.finish();
    fill(rgb, "rgb " + size);
    tape.forward();
    golden.expect(checks, "moments " + size, moments->data, moments->shape.size());
    const float scale = 2 / (float)moments->shape.size(); // of the mean of squares
    for (size_t i = 0; i < moments->shape.size(); i++) moments->gradient[i] = scale * moments->data[i];
    tape.backward();
    golden.expect(checks, "drgb " + size, rgb->gradient, rgb->shape.size());
  }
  for (const char* name : {"encoder.down.0.downsample.conv.weight", "encoder.mid.attn_1.q.weight"}) {
    const Parameter* tensor = parameters.find(std::string("first_stage_model.") + name);
    std::vector<float> gradient(tensor->size());
    tensor->store(gradient.data(), Buffer::gradient);
    golden.expect(checks, name, gradient.data(), gradient.size());
  }
}

void decoder(const Golden& golden, int threads) {
  Parameters parameters;
  const Vae model(parameters, small_vae());
  parameters.allocate(false);
  fill(parameters);
  Pool pool(threads);
  for (const auto& [height, width] : {std::pair{4, 6}, {5, 3}}) {
    const std::string size = size_text(height, width);
    Tape tape(pool, false);
    Value* z = tape.input({2, height, width, 4});
    Value* rgb = model.build_decoder(tape, z);
    tape.expose(rgb);
    tape.finish();
    fill(z, "z " + size);
    tape.forward();
    golden.expect(checks, "picture " + size, rgb->data, rgb->shape.size());
  }
}

// Stable Diffusion 1.x's own sizes, counted without a byte allocated.
void stable_diffusion_sizes() {
  Parameters parameters;
  const Vae model(parameters, VaeConfig{});
  checks.expect("SD 1.x autoencoder has 248 tensors", std::abs((double)parameters.tensors().size() - 248), 0);
  checks.expect("SD 1.x autoencoder has 83,653,863 parameters", std::abs((double)parameters.count() - 83653863), 0);
  const std::pair<const char*, std::vector<int>> known[] = {
      {"encoder.down.1.block.0.nin_shortcut.weight", {256, 128, 1, 1}},
      {"encoder.down.2.downsample.conv.weight", {512, 512, 3, 3}},
      {"decoder.mid.attn_1.q.weight", {512, 512, 1, 1}},
      {"decoder.up.3.upsample.conv.bias", {512}},
      {"decoder.up.0.block.2.conv2.weight", {128, 128, 3, 3}},
      {"quant_conv.weight", {8, 8, 1, 1}},
      {"post_quant_conv.bias", {4}}};
  for (const auto& [name, shape] : known) {
    const Parameter* tensor = parameters.find(std::string("first_stage_model.") + name);
    checks.holds(std::string("SD 1.x has ") + name, tensor != nullptr && tensor->shape == shape);
  }
}

} // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "test/golden";
  const Golden golden{"vae", Safetensors(folder + "/vae.safetensors")};
  for (const int threads : {1, 2}) encoder(golden, threads), decoder(golden, threads);
  stable_diffusion_sizes();
  return checks.exit_code();
}
