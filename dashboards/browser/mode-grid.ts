import { make } from './dom.ts';
import { letter, type SideName, type StagePair } from './stage-state.ts';
import type { ModeContext } from './stage.ts';

/** Three pictures a prompt: this keeps the page at 120 pictures or fewer. */
const MOST_PROMPTS = 40;
const sides: readonly ('zero' | SideName)[] = ['zero', 'a', 'b'];

/** All prompts, each with epoch 0, A and B. */
export const renderGrid = ({ state, frames, tools, openPair }: ModeContext): void => {
  const names = { zero: 'epoch 0', a: state.names.a, b: state.names.b };
  const shown = (pair: StagePair, side: 'zero' | SideName): HTMLElement => {
    const shot = pair[side];
    const className = `picture ${side === 'zero' ? '' : `side-${side}`}`;
    if (shot === null) {
      return make('span', {
        className: `${className} missing`,
        attributes: { title: 'Not sampled' },
      });
    }
    const image = make('img', {
      attributes: {
        src: `/media/${shot.id}/256.webp`,
        alt: `${pair.text}, ${names[side]}`,
        width: '112',
        height: '112',
        loading: 'lazy',
        decoding: 'async',
      },
    });
    return make('span', { className }, [image]);
  };
  const items = state.pairs.slice(0, MOST_PROMPTS).map((pair, index) => {
    const open = make('button', {
      className: 'pair-open',
      text: pair.text,
      attributes: { type: 'button', title: pair.text },
    });
    open.addEventListener('click', () => openPair(index));
    const attributes: Record<string, string> =
      index === state.shown ? { 'aria-current': 'true' } : {};
    return make('li', { attributes }, [
      open,
      make(
        'div',
        { className: 'pair-pictures' },
        sides.map((side) => shown(pair, side)),
      ),
    ]);
  });
  const legend = sides.map((side) =>
    make('span', {}, [
      make('span', {
        className: side === 'zero' ? 'quiet' : `side-letter side-${side}`,
        text: side === 'zero' ? '' : `${letter(side)} `,
      }),
      names[side],
    ]),
  );
  frames.root.append(
    make('div', {}, [
      make('p', { className: 'pair-legend' }, legend),
      make('ol', { className: 'pairs' }, items),
    ]),
  );
  if (state.pairs.length > MOST_PROMPTS) {
    const words = `The first ${MOST_PROMPTS} of ${state.pairs.length} prompts.`;
    tools.append(make('span', { text: words }));
  }
};
