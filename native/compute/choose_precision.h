// choose_precision.h   BF16 on a device that is fast at it, F32 elsewhere.
#pragma once

#include <string>
#include <vector>

#include "compute/device_weights.h"

namespace tiller {

namespace detail {

// y = W x   W [K, M] BF16  x [K, P] F32. With as many columns ggml takes no short cut for few.
struct Bf16Product {
  static constexpr int kDepth = 32, kRows = 32, kColumns = 256;
  GgmlContext context = make_context(8 * ggml_tensor_overhead() + ggml_graph_overhead());
  ggml_tensor* w = ggml_new_tensor_2d(context.get(), GGML_TYPE_BF16, kDepth, kRows);
  ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, kDepth, kColumns);
  ggml_tensor* y = ggml_mul_mat(context.get(), w, x);
};

}  // namespace detail

// Whether the device has what BF16 needs: the product, and rounding to it.
inline bool can_multiply_bf16(const Backend& backend) {
  const detail::Bf16Product product;
  return backend.supports(product.y) && backend.supports(ggml_cast(product.context.get(), product.x, GGML_TYPE_BF16));
}

// Whether the device rounds x to BF16 when W is of it. Of cards without units for BF16 (CUDA's below 8.0) ggml
// multiplies in F32 instead; as it tells no compute capability, the result is asked. 1 + 2⁻⁹ is a number of
// F32 and of TF32, and becomes 1 in BF16.
inline bool multiplies_in_bf16(const Backend& backend) {
  const detail::Bf16Product product;
  ggml_cgraph* graph = ggml_new_graph_custom(product.context.get(), 4, false);
  ggml_build_forward_expand(graph, product.y);
  const GgmlBuffer buffer(ggml_backend_alloc_ctx_tensors(product.context.get(), backend.get()));
  if (!buffer) throw OutOfDeviceMemory(backend);
  const std::vector<ggml_bf16_t> w(ggml_nelements(product.w), ggml_fp32_to_bf16(1));
  const std::vector<float> x(ggml_nelements(product.x), 1 + 0x1p-9f);
  ggml_backend_tensor_set(product.w, w.data(), 0, ggml_nbytes(product.w));
  ggml_backend_tensor_set(product.x, x.data(), 0, ggml_nbytes(product.x));
  float sum = 0;
  const bool computed = ggml_backend_graph_compute(backend.get(), graph) == GGML_STATUS_SUCCESS;
  ggml_backend_tensor_get(product.y, &sum, 0, sizeof sum);
  backend.forget_buffers();
  return computed && sum == detail::Bf16Product::kDepth;
}

// `wanted` is `train.precision`. With auto it is for CUDA alone: of Vulkan and Metal ggml doesn't say whether BF16 is
// any faster than F32, and of a processor it is no reason to leave our own kernels.
inline Precision choose_precision(const std::string& wanted, const Backend& backend) {
  const bool asked = wanted == "bf16" || (wanted == "auto" && backend.info().kind == "cuda");
  if (!asked || !can_multiply_bf16(backend)) return Precision::f32;
  return wanted == "bf16" || multiplies_in_bf16(backend) ? Precision::bf16 : Precision::f32;
}

}  // namespace tiller
