// outpainting_checks.h   what an outpainting's canvas and mask hold. For inpainting_test.cpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "diffusion/outpainting.h"
#include "tests/check.h"
#include "tests/toy_denoiser.h"

namespace tiller {

inline void check_outpainting(Checks& checks) {
  const int width = 8, height = 6;
  std::vector<uint8_t> rgb(width * height * 3);
  for (int i = 0; i < width * height; i++)  // red on the left, blue on the right
    for (int k = 0; k < 3; k++) rgb[static_cast<size_t>(3 * i + k)] = k == (i % width < 4 ? 0 : 2) ? 200 : 20;
  const Pads pads{40, 3, 5, 0};
  const Canvas canvas = outpaint_canvas(rgb, width, height, pads, 7);
  checks.holds("the canvas's size",
               canvas.width == 53 && canvas.height == 9 && canvas.rgb.size() == 53 * 9 * 3);
  check_mask(canvas.mask, 53, 9, "the canvas");
  int wrong = 0;
  double near = 0, far = 0, right = 0;
  for (int y = 0; y < canvas.height; y++)
    for (int x = 0; x < canvas.width; x++) {
      const bool inside = x >= 40 && x < 48 && y >= 3;
      wrong += canvas.mask.at(x, y) != (inside ? 0.f : 1.f);
      for (int k = 0; k < 3; k++) {
        const int value = canvas.rgb[static_cast<size_t>(3 * (y * canvas.width + x) + k)];
        if (inside) wrong += value != rgb[static_cast<size_t>(3 * ((y - 3) * width + x - 40) + k)];
        if (k == 0 && y >= 3 && x == 39) near += value / 6.0;
        if (k == 0 && y >= 3 && x < 24) far += value / (6.0 * 24);
        if (k == 0 && y >= 3 && x == 52) right += value / 6.0;
      }
    }
  checks.expect("the picture lies in the canvas, unmasked", wrong, 0);
  checks.expect("the edge's colour goes on", std::fabs(near - 200), 3);
  // Five pixels from the right edge: the mean of six columns, two of them red.
  checks.expect("between, the mean of what is as near", std::fabs(right - 80), 8);
  checks.expect("far away it is the picture's mean", std::fabs(far - 110), 6);
  checks.holds("the same seed, the same canvas",
               outpaint_canvas(rgb, width, height, pads, 7).rgb == canvas.rgb);
  checks.holds("another seed, other noise", outpaint_canvas(rgb, width, height, pads, 8).rgb != canvas.rgb);
  checks.holds("no pads, the picture itself", outpaint_canvas(rgb, width, height, {}, 7).rgb == rgb);
  Pads seam = pads;
  seam.overlap = 2;
  const Mask mask = outpaint_canvas(rgb, width, height, seam, 7).mask;
  const double made = std::accumulate(mask.values.begin(), mask.values.end(), 0.0);
  checks.expect("an overlap at the sides that grow", std::fabs(made - (53 * 9 - 4 * 4)), 0);
  checks.holds("refused: a pad below 0",
               refused("0 pixels or more", [&] { outpaint_canvas(rgb, width, height, {-1, 0, 0, 0}, 7); }));
  checks.holds("refused: a picture of another size",
               refused("is not 7x6", [&] { outpaint_canvas(rgb, 7, height, pads, 7); }));
}

}  // namespace tiller
