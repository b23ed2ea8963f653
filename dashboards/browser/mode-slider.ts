import { make } from './dom.ts';
import { letter } from './stage-state.ts';
import type { ModeContext } from './stage.ts';

/** A on the left of an edge that a range input moves, B on its right. */
export const renderSlider = ({ state, frames, tools, changed }: ModeContext): void => {
  const caption = [...frames.caption('a'), make('span', { text: '|' }), ...frames.caption('b')];
  const found = frames.both(caption);
  if (found === undefined) return;
  const { frame } = found;
  const [first, second] = state.held ? (['b', 'a'] as const) : (['a', 'b'] as const);
  const [, over] = frames.fill(frame, 'a', [
    { side: first, shot: found[first] },
    { side: second, shot: found[second] },
  ]);
  const edge = make('div', { className: 'edge' });
  frame.append(edge);
  const range = make('input', {
    attributes: {
      type: 'range',
      min: '0',
      max: '100',
      step: '1',
      value: String(state.slider),
      'aria-label': 'Where A ends and B begins',
      id: 'slider',
    },
  });
  const cut = (): void => {
    // The frame is cut, not the picture: the edge stays put while the picture is moved under it.
    const pixel = (state.slider / 100) * frame.clientWidth;
    edge.style.left = `${pixel}px`;
    if (over === undefined) return;
    const { a: scale, e: left } = new DOMMatrix(getComputedStyle(over).transform);
    over.style.clipPath = `inset(0 0 0 ${Math.max(0, (pixel - left) / scale)}px)`;
  };
  frames.afterPlace(cut);
  range.addEventListener('input', () => {
    state.slider = Number(range.value);
    cut();
    changed();
  });
  const end = (side: 'a' | 'b'): HTMLElement =>
    make('span', { className: `side-letter side-${side}`, text: letter(side) });
  tools.append(make('label', { className: 'reach' }, [end(first), range, end(second)]));
};
