/** Drawing over a part of a chart shows that part alone; a double click shows the whole again. */
import type { Chart, Selection } from './chart-base.ts';
import type { CurveAnswer } from './curve-answer.ts';

/** A part of fewer pixels is a click. */
const LEAST_PIXELS = 8;

interface Selecting {
  readonly chart: () => Chart<'line'> | undefined;
  readonly answer: () => CurveAnswer | undefined;
  /** The part that is being drawn over, in pixels. */
  readonly select: (part: Selection | undefined) => void;
  /** First and last step that are wanted; neither for the whole. */
  readonly choose: (from: string | undefined, to: string | undefined) => void;
}

export const startSelecting = (
  canvas: HTMLCanvasElement,
  { chart, answer, select, choose }: Selecting,
): void => {
  let selection: Selection | undefined;
  const position = (event: PointerEvent): number =>
    event.clientX - canvas.getBoundingClientRect().left;
  const stepAt = (pixel: number): number => {
    const axis = chart()?.scales['x'];
    const raw = answer()?.raw;
    if (axis === undefined || raw === undefined) return 0;
    const value = axis.getValueForPixel(pixel) ?? 0;
    const index = raw.x.findIndex((each) => each >= value);
    return raw.steps.at(index < 0 ? -1 : index) ?? 0;
  };
  canvas.addEventListener('pointerdown', (event) => {
    // A finger scrolls the page.
    if (event.pointerType === 'touch' || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    selection = { from: position(event), to: position(event) };
  });
  canvas.addEventListener('pointermove', (event) => {
    if (selection === undefined) return;
    selection.to = position(event);
    select(selection);
  });
  const finish = (): void => {
    const chosen = selection;
    selection = undefined;
    select(undefined);
    if (chosen === undefined || Math.abs(chosen.to - chosen.from) < LEAST_PIXELS) return;
    const [from = 0, to = 0] = [stepAt(chosen.from), stepAt(chosen.to)].sort((a, b) => a - b);
    if (to > from) choose(String(from), String(to));
  };
  canvas.addEventListener('pointerup', finish);
  canvas.addEventListener('pointercancel', finish);
  canvas.addEventListener('dblclick', () => choose(undefined, undefined));
};
