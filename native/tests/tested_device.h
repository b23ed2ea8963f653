// tested_device.h   what a test's arguments name: [DEVICE [PRECISION]]. Without them ggml-cpu and f32.
#pragma once

#include <cstdio>
#include <string>

#include "compute/choose_precision.h"

namespace tiller {

// Of the norm of whatever is compared with our F32 kernels.
constexpr double kAgreement = 1e-4, kBf16Agreement = 5e-3;

struct TestedDevice {
  const Backend backend;
  const Precision precision;

  TestedDevice(int count, char** arguments)
      : backend(count > 1 ? arguments[1] : "ggml-cpu"), precision(choose_precision(count > 2 ? arguments[2] : "f32", backend)) {
    if (count > 2 && std::string(arguments[2]) != name_of(precision))
      throw DeviceError(backend.info().name + " does not compute in " + arguments[2], "Leave the argument out.");
    std::fprintf(stderr, "device: %s\n", backend.info().description.c_str());
  }
};

}  // namespace tiller
