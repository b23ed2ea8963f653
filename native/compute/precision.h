// precision.h   in what numbers a device multiplies matrices. Weights are F32 on the host whatever it is: those are
// trained and kept. In BF16 the device's copies of matrices, and what they are multiplied with, are rounded to
// nearest (Vulkan leaves a factor of few columns as it is); products are added up in F32, and everything that is no
// product of matrices stays F32.
#pragma once

#include "ggml.h"

namespace tiller {

enum class Precision { f32, bf16 };

// As recipes and `hello` call it.
inline const char* name_of(Precision precision) { return precision == Precision::bf16 ? "bf16" : "f32"; }
inline ggml_type matrix_type(Precision precision) {
  return precision == Precision::bf16 ? GGML_TYPE_BF16 : GGML_TYPE_F32;
}

}  // namespace tiller
