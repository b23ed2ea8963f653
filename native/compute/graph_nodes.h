// graph_nodes.h   what a layer's graph is made of: functions that ggml has no single op for, and the
// backward passes that its autodiff lacks. Each adds nodes and computes nothing. All F32, but for the factors of
// matrices' products where those are to be BF16.
//
// Two layouts, in ggml's order (innermost first):
//   tokens [C, T, N]     one row of channels a position, T = W*H for pictures; as on the CPU
//   planes [W, H, C, N]  what convolution, resizing and group norm want
// g is the gradient of a function's result; grad_x and the like are the gradient of that input.
#pragma once

#include <cmath>
#include <numbers>

#include "compute/ggml_backend.h"
#include "compute/precision.h"

namespace tiller {

using Tensor = ggml_tensor*;

class Nodes {
 public:
  Nodes(ggml_context* context, const Backend& backend, Precision precision = Precision::f32)
      : c(context), backend_(&backend), precision_(precision) {}

  ggml_context* context() const { return c; }

  // ---- layouts -------------------------------------------------------------------------------

  Tensor cont(Tensor x) const { return ggml_is_contiguous(x) ? x : ggml_cont(c, x); }
  // [A, B, ...] → [B, A, ...], in memory
  Tensor transpose(Tensor x) const { return ggml_cont(c, ggml_transpose(c, x)); }
  Tensor as_2d(Tensor x) const { return ggml_reshape_2d(c, x, x->ne[0], ggml_nelements(x) / x->ne[0]); }
  Tensor as_like(Tensor x, Tensor y) const { return ggml_reshape(c, x, y); }

  Tensor to_planes(Tensor x, int64_t w, int64_t h) const {
    const int64_t channels = x->ne[0], batch = ggml_nelements(x) / (channels * w * h);
    Tensor planes = transpose(ggml_reshape_3d(c, x, channels, w * h, batch));
    return ggml_reshape_4d(c, planes, w, h, channels, batch);
  }
  Tensor to_tokens(Tensor x) const {
    return transpose(ggml_reshape_3d(c, x, x->ne[0] * x->ne[1], x->ne[2], x->ne[3]));
  }

  // Rows begin .. begin+count of dimension `dim`, in memory.
  Tensor slice(Tensor x, int dim, int64_t begin, int64_t count) const {
    int64_t ne[4] = {x->ne[0], x->ne[1], x->ne[2], x->ne[3]};
    ne[dim] = count;
    return ggml_cont(c, ggml_view_4d(c, x, ne[0], ne[1], ne[2], ne[3], x->nb[1], x->nb[2], x->nb[3],
                                     static_cast<size_t>(begin) * x->nb[dim]));
  }

  // ---- sums and products ---------------------------------------------------------------------

  Tensor plus(Tensor a, Tensor b) const { return ggml_add(c, a, b); }
  Tensor times(Tensor a, Tensor b) const { return ggml_mul(c, a, b); }

  // [A, R] → [A]: the sum over all rows
  Tensor sum_over_rows(Tensor x) const {
    return ggml_reshape_1d(c, ggml_sum_rows(c, transpose(as_2d(x))), x->ne[0]);
  }

  // planes → [C]
  Tensor sum_over_planes(Tensor x) const {
    Tensor per_plane = ggml_sum_rows(c, ggml_reshape_2d(c, x, x->ne[0] * x->ne[1], x->ne[2] * x->ne[3]));
    return sum_over_rows(ggml_reshape_2d(c, per_plane, x->ne[2], x->ne[3]));
  }
  // [C, T, N] → [C, 1, N]
  Tensor sum_over_tokens(Tensor x) const {
    return ggml_reshape_3d(c, ggml_sum_rows(c, transpose(x)), x->ne[0], 1, x->ne[2]);
  }

  // out[m, p] = sum_k a[k, m] * b[k, p].   a [K, M]  b [K, P], either of them also as a transposed view. F32, also
  // where a and b are rounded to BF16. Where the device can't do that, it is done in F32.
  Tensor matmul(Tensor a, Tensor b) const {
    b = in_rows(b, GGML_TYPE_F32);
    if (precision_ == Precision::bf16) {
      // ggml rounds b itself. Vulkan does not where it has at most 8 columns: it then stays F32, and is nearer to the
      // truth; and rounded before it would be refused there, whatever the device says of its support.
      // The sums are F32 on every device; to ask for that would have CUDA multiply in F32.
      Tensor rounded = product(in_rows(a, GGML_TYPE_BF16), b, GGML_PREC_BF16);
      if (backend_->supports(rounded) && backend_->supports(rounded->src[0])) return rounded;
    }
    return product(in_rows(a, GGML_TYPE_F32), b, GGML_PREC_F32);
  }

  // out[i, j] = sum_p a[i, p] * b[j, p].   a [I, P]  b [J, P]   (no device has OUT_PROD in BF16, and Metal none)
  Tensor outer(Tensor a, Tensor b) const {
    if (precision_ == Precision::f32) {
      Tensor product = ggml_out_prod(c, a, b);
      if (backend_->supports(product)) return product;
    }
    return matmul(ggml_transpose(c, a), ggml_transpose(c, b));
  }

  // ---- linear: y = W x + b.   W [K, M]  x [K, ...]  y [M, ...] -------------------------------

  Tensor linear(Tensor w, Tensor b, Tensor x) const {
    Tensor y = matmul(w, x);
    return b ? ggml_add(c, y, b) : y;
  }
  Tensor linear_grad_x(Tensor w, Tensor g) const { return matmul(ggml_transpose(c, w), g); }
  Tensor linear_grad_w(Tensor x, Tensor g) const { return outer(as_2d(x), as_2d(g)); }

  // ---- convolution.   x planes  W [KW, KH, IC, OC]  y, g tokens [OC, W'*H', N] ----------------

  Tensor conv(Tensor w, Tensor x, int stride, int pad) const {
    Tensor columns = ggml_im2col(c, w, x, stride, stride, pad, pad, 1, 1, true, GGML_TYPE_F32);
    Tensor y = matmul(kernel_rows(w), as_2d(columns));
    return ggml_reshape_3d(c, y, w->ne[3], columns->ne[1] * columns->ne[2], columns->ne[3]);
  }
  Tensor conv_grad_w(Tensor w, Tensor x, Tensor g, int stride, int pad) const {
    Tensor columns = ggml_im2col(c, w, x, stride, stride, pad, pad, 1, 1, true, GGML_TYPE_F32);
    return as_like(outer(as_2d(columns), as_2d(g)), w);
  }
  // The convolution of g, spread out by the stride, with the kernel turned by 180°. g planes; the
  // result is tokens of x's size, w·h.   `backwards` I32 [KW*KH]: KW*KH-1 … 0
  Tensor conv_grad_x(Tensor w, Tensor g, Tensor backwards, int stride, int pad, int64_t width,
                     int64_t height) const {
    Tensor spread = stride == 1 ? g : dilate(g);
    Tensor turned = turn_kernel(w, backwards);
    Tensor x = conv(turned, spread, 1, static_cast<int>(w->ne[0]) - 1 - pad);
    const int64_t spread_w = spread->ne[0] + 2 * (w->ne[0] - 1 - pad) - w->ne[0] + 1;
    const int64_t spread_h = spread->ne[1] + 2 * (w->ne[0] - 1 - pad) - w->ne[1] + 1;
    if (spread_w == width && spread_h == height) return x;
    Tensor rows = ggml_reshape_4d(c, x, x->ne[0], spread_w, spread_h, x->ne[2]);
    rows = slice(slice(rows, 1, 0, width), 2, 0, height);  // an odd size
    return ggml_reshape_3d(c, rows, x->ne[0], width * height, x->ne[2]);
  }

  // A row and a column of zeros after the last ones.
  Tensor pad_after(Tensor x) const { return ggml_pad(c, x, 1, 1, 0, 0); }

  // ---- resizing by 2.   planes -----------------------------------------------------------------

  Tensor upsample(Tensor x) const { return ggml_upscale(c, x, 2, GGML_SCALE_MODE_NEAREST); }
  Tensor upsample_back(Tensor g) const {
    return ggml_scale(c, ggml_pool_2d(c, g, GGML_OP_POOL_AVG, 2, 2, 2, 2, 0, 0), 4.0f);
  }

  // ---- norms over dimension 0: y = (x - mean) / sqrt(var + eps) --------------------------------

  Tensor norm(Tensor x, float eps) const { return ggml_norm(c, x, eps); }
  // With x' = x - mean(x) the norm is an RMS norm, and subtracting a mean is its own transpose.
  Tensor norm_back(Tensor x, Tensor g, float eps) const {
    return center(ggml_rms_norm_back(c, g, center(x), eps));
  }

  // ---- activations -------------------------------------------------------------------------------

  Tensor silu(Tensor x) const { return ggml_silu(c, x); }
  Tensor silu_back(Tensor x, Tensor g) const { return ggml_silu_back(c, g, x); }

  // x * Φ(x). Not GELU: ggml's is a table of F16 on CPUs, 2.7e-4 off.
  Tensor gelu(Tensor x) const { return ggml_gelu_erf(c, x); }
  // Φ(x) + x φ(x), Φ from gelu(x)/x; the shift keeps 0/0 away and is lost in any other x.
  Tensor gelu_slope(Tensor x) const {
    Tensor shifted = ggml_scale_bias(c, x, 1.0f, 1e-30f);
    Tensor cdf = ggml_div(c, ggml_gelu_erf(c, shifted), shifted);
    Tensor density = ggml_exp(c, ggml_scale(c, ggml_sqr(c, x), -0.5f));
    const float norm = 1.0f / std::sqrt(2.0f * std::numbers::pi_v<float>);
    return plus(cdf, ggml_scale(c, times(x, density), norm));
  }

  // x σ(1.702 x), CLIP's
  Tensor quick_gelu(Tensor x) const { return times(x, quick_sigmoid(x)); }
  // s + 1.702 x s (1-s)
  Tensor quick_gelu_slope(Tensor x) const {
    Tensor s = quick_sigmoid(x), rest = ggml_scale_bias(c, s, -1.0f, 1.0f);
    return plus(s, ggml_scale(c, times(times(x, s), rest), 1.702f));
  }

 protected:
  ggml_context* c;

 private:
  const Backend* backend_;
  Precision precision_;

  // Gradients leave the range of F16, which no factor may be rounded to.
  Tensor product(Tensor a, Tensor b, ggml_prec precision) const {
    Tensor result = ggml_mul_mat(c, a, b);
    ggml_prec_set_acc(result, precision);
    ggml_prec_set_src(result, precision, 1);
    return result;
  }
  // A transposed view of a single row counts as contiguous, and is no factor for ggml all the same.
  static bool is_in_rows(Tensor x) { return ggml_is_contiguous(x) && !ggml_is_transposed(x); }
  Tensor in_rows(Tensor x, ggml_type type) const {
    if (x->type != type) return ggml_cast(c, x, type);
    return is_in_rows(x) ? x : ggml_cont(c, x);
  }

  Tensor quick_sigmoid(Tensor x) const { return ggml_sigmoid(c, ggml_scale(c, x, 1.702f)); }
  Tensor center(Tensor x) const { return ggml_sub(c, x, ggml_mean(c, x)); }
  Tensor kernel_rows(Tensor w) const {
    return ggml_reshape_2d(c, w, w->ne[0] * w->ne[1] * w->ne[2], w->ne[3]);
  }

  // [KW, KH, IC, OC] → [KW, KH, OC, IC], taps in reverse
  Tensor turn_kernel(Tensor w, Tensor backwards) const {
    const int64_t taps = w->ne[0] * w->ne[1], in = w->ne[2], out = w->ne[3];
    Tensor by_tap = transpose(ggml_reshape_2d(c, w, taps, in * out));  // [IC·OC, taps]
    by_tap = ggml_reshape_3d(c, ggml_get_rows(c, by_tap, backwards), in, out, taps);
    Tensor turned = in_rows(ggml_permute(c, by_tap, 2, 1, 0, 3), w->type);  // [taps, OC, IC]; GET_ROWS made it F32
    return ggml_reshape_4d(c, turned, w->ne[0], w->ne[1], out, in);
  }

  // A zero after every element of both axes. By CONCAT: the CUDA grid of PAD overflows.
  Tensor dilate(Tensor g) const {
    const int64_t w = g->ne[0], h = g->ne[1], planes = g->ne[2] * g->ne[3];
    Tensor x = ggml_reshape_2d(c, g, 1, w * h * planes);
    x = ggml_reshape_3d(c, ggml_concat(c, x, ggml_scale(c, x, 0.0f), 0), 2 * w, 1, h * planes);
    x = ggml_concat(c, x, ggml_scale(c, x, 0.0f), 1);
    return ggml_reshape_4d(c, x, 2 * w, 2 * h, g->ne[2], g->ne[3]);
  }
};

}  // namespace tiller
