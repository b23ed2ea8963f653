import { drawDifference } from './difference.ts';
import { make } from './dom.ts';
import type { ModeContext } from './stage.ts';

const gains = [1, 2, 4, 8];

/** |A − B|, drawn and in figures. */
export const renderDifference = ({ state, frames, tools, changed }: ModeContext): void => {
  const caption = [...frames.caption('a'), make('span', { text: '−' }), ...frames.caption('b')];
  const found = frames.both(caption);
  if (found === undefined) return;
  const { frame, a, b } = found;
  const canvas = make('canvas', {
    attributes: { role: 'img', 'aria-label': 'Difference of A and B; equal parts are black' },
  });
  frame.append(canvas);
  frames.add(frame, 'a', [{ layer: canvas, size: a }]);
  const words = make('span', { attributes: { id: 'difference-words' } });
  const gain = make('select', {
    attributes: { id: 'gain', 'aria-label': 'Differences are multiplied by' },
  });
  for (const times of gains) {
    gain.append(make('option', { text: `× ${times}`, attributes: { value: String(times) } }));
  }
  gain.value = String(state.gain);
  const images = [frames.image('a', a), frames.image('b', b)] as const;
  const draw = async (): Promise<void> => {
    try {
      await Promise.all(images.map((image) => image.decode()));
    } catch {
      words.textContent = 'A picture could not be read.';
      return;
    }
    const { mean, share } = drawDifference(canvas, images[0], images[1], state.gain);
    const stretched =
      a.width === b.width && a.height === b.height ? '' : ' (B was stretched to the size of A)';
    words.textContent =
      share === 0
        ? 'The pictures are identical.'
        : `Mean difference ${(mean * 100).toFixed(1)} %; ${(share * 100).toFixed(0)} % of the pixels differ${stretched}.`;
    frames.place();
  };
  gain.addEventListener('change', () => {
    state.gain = Number(gain.value);
    void draw();
    changed();
  });
  tools.append(words, make('label', { className: 'choice', text: 'shown' }, [gain]));
  void draw();
};
