// The autoencoder against diffusers' AutoencoderKL (test/peers/vae.py wrote what it gave), its sizes, and
// the codec that works on 8-bit pictures.
//   vae_test [folder of the goldens]
#include "diffusion/vae_codec.h"
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
    golden.expect("moments " + size, moments->data, moments->shape.size());
    const float scale = 2 / (float)moments->shape.size(); // of the mean of squares
    for (size_t i = 0; i < moments->shape.size(); i++) moments->gradient[i] = scale * moments->data[i];
    tape.backward();
    golden.expect("drgb " + size, rgb->gradient, rgb->shape.size());
  }
  for (const char* name : {"encoder.down.0.downsample.conv.weight", "encoder.mid.attn_1.q.weight"}) {
    const Parameter* tensor = parameters.find(std::string("first_stage_model.") + name);
    std::vector<float> gradient(tensor->size());
    tensor->store(gradient.data(), Buffer::gradient);
    golden.expect(name, gradient.data(), gradient.size());
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
    golden.expect("picture " + size, rgb->data, rgb->shape.size());
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

// The middle's attention for a picture of 512x512: some queries against sums in F64.
void attention_of_a_picture() {
  const int tokens = 4096, d = 512;
  Pool pool(2);
  Tape tape(pool, false);
  Value* x = tape.input({1, 64, 64, 3 * d});
  Value* o = tape.add<Attention>(x, x, Attention::Columns{0, d, 2 * d}, 1, d).o;
  tape.expose(o);
  tape.finish();
  fill(x, "qkv");
  tape.forward();
  const auto row = [&](int token, int column) { return x->data + (size_t)token * 3 * d + column; };
  double worst = 0;
  for (const int q : {0, 15, 16, 2047, 2048, 4095}) {
    std::vector<double> p(tokens), wanted(d);
    double total = 0;
    for (int k = 0; k < tokens; k++) {
      double s = 0;
      for (int c = 0; c < d; c++) s += (double)row(q, 0)[c] * row(k, d)[c];
      total += p[k] = std::exp(s / std::sqrt((double)d));
    }
    for (int k = 0; k < tokens; k++)
      for (int c = 0; c < d; c++) wanted[c] += p[k] / total * row(k, 2 * d)[c];
    worst = std::max(worst, relative_error(o->data + (size_t)q * d, wanted.data(), d));
  }
  checks.expect("attention of 4096 pixels with a head of 512", worst, 1e-5);
}

// Every pixel is taken once in all, from tiles of one size that reach from end to end.
void tile_axes() {
  double worst = 0;
  bool inside = true, shared = true;
  for (const auto& [length, tile, overlap] : {std::tuple{64, 64, 16}, {65, 64, 16}, {97, 64, 16}, {200, 64, 16},
                                              {9, 4, 1}, {13, 4, 3}, {5, 8, 2}, {10, 5, 0}, {1, 4, 1}}) {
    const TileAxis axis = tile_axis(length, tile, overlap, 8);
    std::vector<float> sum(length * 8);
    for (size_t i = 0; i < axis.starts.size(); i++) {
      inside = inside && axis.starts[i] >= 0 && axis.starts[i] + axis.tile <= length;
      shared = shared && (i == 0 || axis.starts[i - 1] + axis.tile - axis.starts[i] >= overlap);
      for (int x = 0; x < axis.tile * 8; x++) sum[axis.starts[i] * 8 + x] += axis.weights[i][x];
    }
    for (const float s : sum) worst = std::max(worst, std::abs((double)s - 1));
  }
  checks.expect("weights of tiles add up to one", worst, 1e-6);
  checks.holds("tiles lie inside", inside);
  checks.holds("tiles share at least the overlap", shared);
  const TileAxis two = tile_axis(12, 8, 4, 1); // the ramp of 4: 7/8, 5/8, 3/8, 1/8
  checks.holds("tiles blend linearly", two.weights[0][4] == 0.875f && two.weights[0][7] == 0.125f && two.weights[1][0] == 0.125f);
}

std::vector<uint8_t> picture(int width, int height) {
  std::vector<uint8_t> rgb;
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < 3; c++) rgb.push_back((uint8_t)(x * 7 + y * (c + 2) * 3));
  return rgb;
}

double mean_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  double sum = a.size() == b.size() ? 0 : 1e9;
  for (size_t i = 0; i < std::min(a.size(), b.size()); i++) sum += std::abs(a[i] - b[i]);
  return sum / (double)a.size();
}

void codec() {
  Pool pool(2);
  VaeCodec whole(pool, small_vae()), tiled(pool, small_vae(), {.tile = 8, .overlap = 4, .whole = 64});
  for (VaeCodec* c : {&whole, &tiled}) fill(c->parameters);
  const auto rgb = picture(72, 56);
  const auto moments = whole.encode(rgb, 72, 56);
  const int height = 14, width = 18, places = height * width;
  checks.holds("the codec gives two numbers a latent", moments.size() == (size_t)places * 8);
  checks.holds("the same bits again", whole.encode(rgb, 72, 56) == moments);
  std::vector<float> mean(places * 4), drawn(places * 4);
  latent_of_moments(moments, {}, whole.config(), mean);
  latent_of_moments(moments, normals("noise", drawn.size()), whole.config(), drawn);
  const float second = (moments[1] + std::exp(moments[5] / 2) * normals("noise", 2)[1]) * 0.18215f;
  checks.expect("a latent is drawn from its moments", std::abs(drawn[1] - second), 1e-6);
  checks.expect("the mean is a latent", std::abs(mean[5] - moments[9] * 0.18215f), 1e-7);
  const float wild[] = {1, 500}, none[] = {1, -500}, one[] = {1};
  VaeConfig single;
  single.z_channels = 1, single.scale = 1;
  float most, least;
  latent_of_moments(wild, one, single, {&most, 1});
  latent_of_moments(none, one, single, {&least, 1});
  checks.holds("a wild log variance is clamped", std::abs(most / (1 + std::exp(10.f)) - 1) < 1e-6f && least == 1 + std::exp(-15.f));

  const auto plain = whole.decode(drawn, height, width), parts = tiled.decode(drawn, height, width);
  checks.holds("a picture comes back in its size", plain.size() == rgb.size());
  VaeCodec one_tile(pool, small_vae(), {.tile = 32, .overlap = 4, .whole = 1});
  fill(one_tile.parameters);
  checks.expect("one tile is the whole picture", mean_difference(one_tile.decode(drawn, height, width), plain), 0.01);
  // Statistics are a tile's own, so tiles are near the whole and not the same.
  const double apart = mean_difference(parts, plain);
  checks.expect("tiles are near the whole picture", apart, 30);
  checks.holds("tiles are tiles", apart > 0.01);
  const size_t large = whole.tape_bytes();
  checks.holds("tapes of tiles are smaller", tiled.tape_bytes() > 0 && tiled.tape_bytes() < large);
  whole.most_tape_bytes = 1;
  whole.decode(std::span(drawn).first(4 * 4 * 4), 4, 4);
  checks.holds("past its limit one tape is kept", whole.tape_bytes() > 0 && whole.tape_bytes() < large / 4);
  whole.forget_tapes();
  checks.holds("tapes are given back", whole.tape_bytes() == 0);
  bool refused = false;
  try {
    whole.encode(picture(70, 56), 70, 56);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  checks.holds("a width of 70 is refused", refused);
}

} // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "test/golden";
  const Golden golden{checks, "vae", Safetensors(folder + "/vae.safetensors")};
  for (const int threads : {1, 2}) encoder(golden, threads), decoder(golden, threads);
  stable_diffusion_sizes();
  attention_of_a_picture();
  tile_axes();
  codec();
  return checks.exit_code();
}
