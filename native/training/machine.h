// What the numbers of a run depend on besides its recipe: part of `hello`'s fingerprint.
#pragma once

#include <string>

#include "compute/vector.h"
#include "formats/files.h"

namespace tiller {

// The instructions that our own kernels were compiled for.
inline std::string vector_set() {
#if defined(__AVX512F__)
  const std::string name = "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
  const std::string name = "AVX2 and FMA";
#elif defined(__aarch64__)
  const std::string name = "NEON";
#else
  const std::string name = "plain vectors";
#endif
  return name + ", " + std::to_string(kLanes) + " floats";
}

// 12 digits that name this very program.
inline std::string build_id(const fs::path& program) {
  std::error_code error;
  const fs::path self = fs::exists("/proc/self/exe", error) ? fs::path("/proc/self/exe") : program;
  return fs::exists(self, error) ? hash_file(self).substr(0, 12) : "unknown";
}

}  // namespace tiller
