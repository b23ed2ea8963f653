// The U-Net and the text encoder against PyTorch: test/peers/unet.py wrote what diffusers and
// transformers gave. Weights and inputs come from the tensors' names on both sides.
//   golden_test [folder of the goldens]
#include "compute/adamw.h"
#include "models/clip_text.h"
#include "models/unet.h"
#include "tests/golden.h"

using namespace tiller;

namespace {

Checks checks;

UNetConfig small_unet() {
  UNetConfig config;
  config.in_channels = 5, config.out_channels = 3;
  config.model_channels = 8;
  config.channel_multipliers = {1, 2};
  config.res_blocks = 1;
  config.attention_levels = {0};
  config.heads = 2;
  config.context_channels = 12;
  config.norm_groups = 4;
  return config;
}

void unet(const Golden& golden, int threads) {
  Parameters parameters;
  const UNet model(parameters, small_unet());
  parameters.allocate(true);
  fill(parameters);
  Pool pool(threads);
  Tape tape(pool, true);
  Value *x = tape.input({2, 6, 8, 5}, true), *t = tape.input({2, 1, 1, 1}), *context = tape.input({2, 1, 7, 12}, true);
  Value* y = model.build(tape, x, t, context);
  tape.expose(y);
  auto& loss = tape.add<MeanSquaredError>(y);
  tape.finish();
  fill(x, "x");
  fill(context, "context");
  fill(loss.target, "target");
  t->data[0] = 17, t->data[1] = 803;
  loss.weights->data[0] = 0.5f, loss.weights->data[1] = 2;
  loss.scale = 0.5; // the mean of two pictures
  tape.forward();
  tape.backward();
  golden.expect(checks, "y", y->data, y->shape.size());
  const std::vector<float> losses(loss.losses.begin(), loss.losses.end());
  golden.expect(checks, "losses", losses.data(), losses.size());
  golden.expect(checks, "dx", x->gradient, x->shape.size());
  golden.expect(checks, "dcontext", context->gradient, context->shape.size());
  golden.expect_gradients(checks, parameters, 4);
}

void clip_text(const Golden& golden) {
  ClipTextConfig config;
  config.vocabulary = 30, config.positions = 9;
  config.channels = 12, config.layers = 2, config.heads = 3, config.hidden = 20;
  Parameters parameters;
  const ClipText model(parameters, config);
  parameters.allocate(true);
  fill(parameters);
  Pool pool(2);
  Tape tape(pool, true);
  Value* ids = tape.input({2, 1, 7, 1});
  Value* y = model.build(tape, ids);
  tape.expose(y);
  tape.finish();
  const int tokens[] = {3, 1, 4, 1, 5, 9, 2, 29, 0, 27, 18, 28, 18, 2};
  std::copy(std::begin(tokens), std::end(tokens), ids->data);
  tape.forward();
  const auto dy = normals("dy", y->shape.size());
  std::copy(dy.begin(), dy.end(), y->gradient);
  tape.backward();
  golden.expect(checks, "y", y->data, y->shape.size());
  golden.expect_gradients(checks, parameters, 1);
}

// Stable Diffusion 1.5's own sizes, counted without a byte allocated.
void stable_diffusion_sizes() {
  Parameters unet, text;
  const UNet model(unet, UNetConfig{});
  const ClipText encoder(text, ClipTextConfig{});
  checks.expect("SD 1.x U-Net has 686 tensors", std::abs((double)unet.tensors().size() - 686), 0);
  checks.expect("SD 1.x U-Net has 859,520,964 parameters", std::abs((double)unet.count() - 859520964), 0);
  checks.expect("CLIP text encoder has 196 tensors", std::abs((double)text.tensors().size() - 196), 0);
  checks.expect("CLIP text encoder has 123,060,480 parameters", std::abs((double)text.count() - 123060480), 0);
  const char* names[] = {"input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight", "input_blocks.3.0.op.weight",
                         "middle_block.1.proj_in.weight", "output_blocks.2.1.conv.weight", "output_blocks.5.2.conv.bias",
                         "output_blocks.11.0.skip_connection.weight", "time_embed.2.bias", "out.2.weight"};
  for (const std::string name : names) {
    checks.holds("SD 1.x has " + name, unet.find("model.diffusion_model." + name) != nullptr);
  }
}

// One set of parameters, tapes of other sizes; sizes that can't be are refused.
void other_sizes() {
  Parameters parameters;
  const UNet model(parameters, small_unet());
  parameters.allocate(false);
  fill(parameters);
  Pool pool(2);
  const auto build = [&](int n, int h, int w, std::vector<float>* out) {
    Tape tape(pool, false);
    Value *x = tape.input({n, h, w, 5}), *t = tape.input({n, 1, 1, 1}), *context = tape.input({n, 1, 7, 12});
    Value* y = model.build(tape, x, t, context);
    tape.expose(y);
    tape.finish();
    fill(x, "x");
    fill(context, "context");
    tape.forward();
    out->assign(y->data, y->data + (size_t)h * w * 3);
  };
  std::vector<float> alone, together, large;
  build(1, 6, 8, &alone);
  build(3, 6, 8, &together);
  build(1, 14, 10, &large);
  checks.holds("a picture alone and in a batch, same bits", alone == together);
  double size = 0;
  for (const float v : large) size += std::abs(v);
  checks.holds("a larger picture is finite", std::isfinite(size));
  bool refused = false;
  try {
    build(1, 7, 8, &alone);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  checks.holds("a height of 7 is refused", refused);
}

} // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "test/golden";
  const Golden golden{"unet", Safetensors(folder + "/unet.safetensors")};
  unet(golden, 1);
  unet(golden, 2);
  clip_text({"clip_text", Safetensors(folder + "/clip_text.safetensors")});
  stable_diffusion_sizes();
  other_sizes();
  return checks.exit_code();
}
