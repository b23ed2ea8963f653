/** The difference of two pictures, channel by channel: what is equal is black. */

export interface Difference {
  /** Mean absolute difference of the channels, 0 to 1. */
  readonly mean: number;
  /** Share of the pixels that differ at all. */
  readonly share: number;
}

const pixelsOf = (image: HTMLImageElement, width: number, height: number): Uint8ClampedArray => {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('This browser has no canvas.');
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
};

/** Draws |A − B| times the gain; where sizes differ, B is stretched to A's. */
export const drawDifference = (
  canvas: HTMLCanvasElement,
  a: HTMLImageElement,
  b: HTMLImageElement,
  gain: number,
): Difference => {
  const width = a.naturalWidth;
  const height = a.naturalHeight;
  canvas.width = width;
  canvas.height = height;
  const one = pixelsOf(a, width, height);
  const two = pixelsOf(b, width, height);
  const result = new ImageData(width, height);
  let sum = 0;
  let different = 0;
  for (let index = 0; index < one.length; index += 4) {
    let differs = false;
    for (let channel = 0; channel < 3; channel += 1) {
      const apart = Math.abs((one[index + channel] ?? 0) - (two[index + channel] ?? 0));
      sum += apart;
      differs ||= apart > 0;
      result.data[index + channel] = apart * gain;
    }
    result.data[index + 3] = 255;
    if (differs) different += 1;
  }
  canvas.getContext('2d')?.putImageData(result, 0, 0);
  const pixels = one.length / 4;
  return { mean: sum / (pixels * 3 * 255), share: different / pixels };
};
