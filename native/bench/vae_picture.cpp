// Seconds and memory of Stable Diffusion's autoencoder, both ways, for a picture of a size.
//   vae_picture [pixels a side] [threads] [--layers]
// Prints a JSON line for each way; with --layers also where the time goes.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "models/vae.h"

using namespace tiller;

namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void measure(const char* what, Tape& tape, const Shape& picture, bool by_layer) {
  std::map<std::string, double> kinds;
  const double start = seconds();
  for (const auto& layer : tape.layers()) {
    const double before = seconds();
    layer->forward();
    kinds[layer->kind()] += seconds() - before;
  }
  std::printf("{\"what\":\"%s\",\"width\":%d,\"height\":%d,\"threads\":%d,\"seconds\":%.3f,\"tape_megabytes\":%.0f}\n", what,
              picture.w, picture.h, tape.pool.threads(), seconds() - start, (double)tape.bytes() / 1e6);
  if (!by_layer) return;
  for (const auto& [kind, time] : kinds) std::printf("  %-12s %.3f s\n", kind.c_str(), time);
}

} // namespace

int main(int argc, char** argv) {
  const int side = argc > 1 ? std::atoi(argv[1]) : 512, threads = argc > 2 ? std::atoi(argv[2]) : 1;
  const bool by_layer = argc > 3 && std::strcmp(argv[3], "--layers") == 0;
  Parameters parameters;
  const Vae vae(parameters, VaeConfig{});
  parameters.allocate(false, false);
  parameters.initialize(1);
  Pool pool(threads);
  {
    Tape tape(pool, false);
    Value* rgb = tape.input({1, side, side, 3});
    tape.expose(vae.build_encoder(tape, rgb));
    tape.finish();
    RandomStream(1, Purpose::test).fill_normal(rgb->data, rgb->shape.size());
    measure("encode", tape, rgb->shape, by_layer);
  }
  Tape tape(pool, false);
  Value* z = tape.input({1, side / 8, side / 8, 4});
  Value* rgb = vae.build_decoder(tape, z);
  tape.expose(rgb);
  tape.finish();
  RandomStream(2, Purpose::test).fill_normal(z->data, z->shape.size());
  measure("decode", tape, rgb->shape, by_layer);
}
