import { make } from './dom.ts';
import type { SideName, StagePair } from './stage-state.ts';
import type { ModeContext } from './stage.ts';

/** Three pictures a row: this keeps the page at 120 pictures or fewer. */
const MOST_ROWS = 40;
const sides: readonly ('zero' | SideName)[] = ['zero', 'a', 'b'];

/** All prompts: epoch 0, A and B. */
export const renderGrid = ({ state, frames, tools, openPair }: ModeContext): void => {
  const title = { zero: 'epoch 0', a: `A · ${state.names.a}`, b: `B · ${state.names.b}` };
  const cell = (pair: StagePair, side: 'zero' | SideName): HTMLElement => {
    const shot = pair[side];
    if (shot === null) {
      const empty = make('span', {
        className: 'picture missing',
        attributes: { title: 'Not sampled' },
      });
      return make('td', {}, [empty]);
    }
    const image = make('img', {
      attributes: {
        src: `/media/${shot.id}/256.webp`,
        alt: `${pair.text}, ${title[side]}`,
        width: '96',
        height: '96',
        loading: 'lazy',
        decoding: 'async',
      },
    });
    return make('td', {}, [make('span', { className: 'picture' }, [image])]);
  };
  const rows = state.pairs.slice(0, MOST_ROWS).map((pair, index) => {
    const open = make('button', {
      className: 'pair-open',
      text: pair.text || 'empty prompt',
      attributes: { type: 'button' },
    });
    open.addEventListener('click', () => openPair(index));
    return make('tr', index === state.shown ? { attributes: { 'aria-current': 'true' } } : {}, [
      make('th', { attributes: { scope: 'row' } }, [open]),
      ...sides.map((side) => cell(pair, side)),
    ]);
  });
  const head = sides.map((side) =>
    make('th', {
      className: side === 'zero' ? '' : `side-${side}`,
      text: title[side],
      attributes: { scope: 'col' },
    }),
  );
  const prompt = make('th', { text: 'Prompt', attributes: { scope: 'col' } });
  frames.root.append(
    make(
      'div',
      {
        className: 'scroll',
        attributes: { tabindex: '0', role: 'region', 'aria-label': 'All prompts' },
      },
      [
        make('table', { className: 'pairs' }, [
          make('thead', {}, [make('tr', {}, [prompt, ...head])]),
          make('tbody', {}, rows),
        ]),
      ],
    ),
  );
  if (state.pairs.length > MOST_ROWS) {
    tools.append(
      make('span', { text: `The first ${MOST_ROWS} of ${state.pairs.length} prompts.` }),
    );
  }
};
