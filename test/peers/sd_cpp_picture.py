"""A picture of stable-diffusion.cpp, for load_sd.py; needs cyllama (bench/requirements-sdcpp.txt).

    python sd_cpp_picture.py CHECKPOINT PICTURE.npy PIXELS STEPS [LORA]

What the library says goes to stderr.
"""

import sys

import cyllama.sd as sd
import numpy as np

CHECKPOINT, PICTURE, PIXELS, STEPS = *sys.argv[1:3], *map(int, sys.argv[3:5])
LORA = sys.argv[5] if len(sys.argv) > 5 else None

sd.set_log_callback(lambda level, message: print(level, message.rstrip(), file=sys.stderr))
context = sd.SDContext(sd.SDContextParams(model_path=CHECKPOINT, n_threads=2))
wanted = sd.SDImageGenParams(
    prompt="a small house by the sea",
    width=PIXELS,
    height=PIXELS,
    seed=7,
    sample_steps=STEPS,
    cfg_scale=1.0,  # without guidance: half of the time
    sample_method=sd.SampleMethod.EULER,
)
if LORA is not None:
    wanted.set_loras([{"path": LORA, "multiplier": 1.0}])
np.save(PICTURE, context.generate_with_params(wanted)[0].to_numpy())
