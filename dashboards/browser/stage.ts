/** The two pictures, in five ways. */
import { drawDifference } from './difference.ts';
import { find, findAll, make, reducedMotion } from './dom.ts';
import { clampView, followPointers, place, type Size, type Viewpoint } from './viewport.ts';

export const modes = ['side', 'slider', 'flicker', 'difference', 'grid'] as const;
export type Mode = (typeof modes)[number];
export type SideName = 'a' | 'b';

export interface Shot extends Size {
  readonly id: string;
}

export interface StagePair {
  readonly text: string;
  readonly a: Shot | null;
  readonly b: Shot | null;
  readonly zero: Shot | null;
}

export interface StageState {
  mode: Mode;
  shown: number;
  pairs: readonly StagePair[];
  names: Record<SideName, string>;
  /** Epoch 0 in the place of A. */
  baseline: boolean;
  /** The other picture, while the space bar is held. */
  held: boolean;
  linked: boolean;
  views: Record<SideName, Viewpoint>;
  slider: number;
  gain: number;
  blinking: boolean;
  flickerSide: SideName;
}

/** Slow enough for everybody: well under three flashes a second. */
const BLINK_MS = 700;

export interface Stage {
  render(): void;
  place(): void;
  openPair: (index: number) => void;
}

const shotOf = (state: StageState, side: SideName): Shot | null => {
  const pair = state.pairs[state.shown];
  if (pair === undefined) return null;
  return side === 'a' && state.baseline ? pair.zero : pair[side];
};

export const nameOf = (state: StageState, side: SideName): string =>
  side === 'a' && state.baseline ? 'epoch 0, the base' : state.names[side];

const letter = (side: SideName): string => side.toUpperCase();

const absent = (state: StageState, side: SideName): HTMLElement =>
  make('p', { className: 'absent', text: `Not sampled at ${nameOf(state, side)}` });

const imageOf = (state: StageState, side: SideName, shot: Shot): HTMLImageElement => {
  const image = new Image(shot.width, shot.height);
  image.draggable = false;
  image.alt = `${state.pairs[state.shown]?.text || 'empty prompt'}, ${letter(side)}: ${nameOf(state, side)}`;
  image.src = `/media/${shot.id}`;
  return image;
};

const other = (side: SideName): SideName => (side === 'a' ? 'b' : 'a');

export const createStage = (
  root: HTMLElement,
  tools: HTMLElement,
  state: StageState,
  changed: () => void,
): Stage => {
  let blink: ReturnType<typeof setInterval> | undefined;
  /** What each frame shows, to be laid again when the viewpoint or the window changes. */
  let frames: {
    frame: HTMLElement;
    layers: { layer: HTMLElement; size: Size }[];
    side: SideName;
  }[] = [];
  let afterPlace: (() => void) | undefined;

  const viewOf = (side: SideName): Viewpoint => state.views[state.linked ? 'a' : side];

  const layAll = (): void => {
    for (const { frame, layers, side } of frames) {
      const size = { width: frame.clientWidth, height: frame.clientHeight };
      const view = viewOf(side);
      const [first] = layers;
      if (first !== undefined) clampView(view, size, first.size);
      for (const { layer, size: picture } of layers) place(layer, view, size, picture);
      frame.classList.toggle('zoomed', view.zoom > 1);
    }
    afterPlace?.();
  };

  const makeFrame = (
    side: SideName,
    caption: Node[],
    className: string,
    tapped?: () => void,
  ): HTMLElement => {
    const frame = make('div', { className: 'view', attributes: { 'data-view': '' } });
    root.append(
      make('figure', { className: `pane ${className}`, attributes: { 'data-pane': side } }, [
        make('figcaption', {}, caption),
        frame,
      ]),
    );
    followPointers(frame, {
      view: () => viewOf(side),
      picture: () => frames.find((each) => each.frame === frame)?.layers[0]?.size,
      changed: () => {
        layAll();
        changed();
      },
      ...(tapped === undefined ? {} : { tapped }),
    });
    return frame;
  };

  const captionOf = (side: SideName): Node[] => [
    make('span', { className: `side-letter side-${side}`, text: letter(side) }),
    make('span', { text: nameOf(state, side), attributes: { 'data-caption': '' } }),
  ];

  const fill = (
    frame: HTMLElement,
    side: SideName,
    shots: { side: SideName; shot: Shot }[],
  ): HTMLImageElement[] => {
    const images = shots.map(({ side, shot }) => imageOf(state, side, shot));
    frame.append(...images);
    frames.push({
      frame,
      side,
      layers: images.map((layer, index) => ({
        layer,
        size: shots[index]?.shot ?? { width: 1, height: 1 },
      })),
    });
    return images;
  };

  const renderSide = (): void => {
    for (const pane of ['a', 'b'] as const) {
      const side = state.held ? other(pane) : pane;
      const shot = shotOf(state, side);
      const frame = makeFrame(pane, captionOf(side), `side-${side}`);
      if (shot === null) frame.append(absent(state, side));
      else fill(frame, pane, [{ side, shot }]);
    }
  };

  /** The modes that lay both pictures over each other; says which is missing where one is. */
  const both = (className: string, caption: Node[], tapped?: () => void) => {
    const frame = makeFrame('a', caption, className, tapped);
    const a = shotOf(state, 'a');
    const b = shotOf(state, 'b');
    if (a === null || b === null) {
      frame.append(absent(state, a === null ? 'a' : 'b'));
      return undefined;
    }
    return { frame, a, b };
  };

  const renderSlider = (): void => {
    const found = both('', [...captionOf('a'), make('span', { text: '|' }), ...captionOf('b')]);
    if (found === undefined) return;
    const { frame, a, b } = found;
    const [first, second] = state.held ? (['b', 'a'] as const) : (['a', 'b'] as const);
    const shots = { a, b };
    const [, over] = fill(frame, 'a', [
      { side: first, shot: shots[first] },
      { side: second, shot: shots[second] },
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
      const box = new DOMMatrix(getComputedStyle(over).transform);
      over.style.clipPath = `inset(0 0 0 ${Math.max(0, (pixel - box.e) / box.a)}px)`;
    };
    afterPlace = cut;
    range.addEventListener('input', () => {
      state.slider = Number(range.value);
      cut();
      changed();
    });
    tools.append(
      make('label', { className: 'reach' }, [
        make('span', { className: 'side-letter side-a', text: letter(first) }),
        range,
        make('span', { className: 'side-letter side-b', text: letter(second) }),
      ]),
    );
  };

  const renderFlicker = (): void => {
    const caption = make('span', { className: 'side-letter' });
    const words = make('span', { attributes: { 'data-caption': '' } });
    const toggle = (): void => {
      state.flickerSide = other(state.flickerSide);
      show();
    };
    const found = both('', [caption, words], () => {
      stopBlinking();
      toggle();
    });
    if (found === undefined) return;
    const { frame, a, b } = found;
    const images = fill(frame, 'a', [
      { side: 'a', shot: a },
      { side: 'b', shot: b },
    ]);
    const button = make('button', {
      className: 'button small',
      attributes: { type: 'button', id: 'blink' },
    });
    const show = (): void => {
      const side = state.held ? other(state.flickerSide) : state.flickerSide;
      images.forEach((image, index) => {
        const here = (index === 0 ? 'a' : 'b') === side;
        image.style.visibility = here ? 'visible' : 'hidden';
      });
      caption.className = `side-letter side-${side}`;
      caption.textContent = letter(side);
      words.textContent = nameOf(state, side);
      const pane = frame.closest('.pane');
      pane?.classList.toggle('side-a', side === 'a');
      pane?.classList.toggle('side-b', side === 'b');
    };
    const stopBlinking = (): void => {
      state.blinking = false;
      clearInterval(blink);
      button.textContent = 'Blink';
    };
    const startBlinking = (): void => {
      state.blinking = true;
      clearInterval(blink);
      blink = setInterval(toggle, BLINK_MS);
      button.textContent = 'Stop blinking';
    };
    button.addEventListener('click', () => (state.blinking ? stopBlinking() : startBlinking()));
    tools.append(
      button,
      make('span', { text: 'Tap the picture, or hold Space, for the other one' }),
    );
    if (state.blinking && !reducedMotion()) startBlinking();
    else stopBlinking();
    show();
  };

  const renderDifference = (): void => {
    const found = both('', [...captionOf('a'), make('span', { text: '−' }), ...captionOf('b')]);
    if (found === undefined) return;
    const { frame, a, b } = found;
    const canvas = make('canvas', {
      attributes: { role: 'img', 'aria-label': 'Difference of A and B; equal parts are black' },
    });
    frame.append(canvas);
    frames.push({ frame, side: 'a', layers: [{ layer: canvas, size: a }] });
    const words = make('span', { attributes: { id: 'difference-words' } });
    const gain = make('select', {
      attributes: { id: 'gain', 'aria-label': 'Differences are multiplied by' },
    });
    for (const times of [1, 2, 4, 8]) {
      gain.append(make('option', { text: `× ${times}`, attributes: { value: String(times) } }));
    }
    gain.value = String(state.gain);
    const images = [imageOf(state, 'a', a), imageOf(state, 'b', b)] as const;
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
      layAll();
    };
    gain.addEventListener('change', () => {
      state.gain = Number(gain.value);
      void draw();
      changed();
    });
    tools.append(words, make('label', { className: 'choice', text: 'shown' }, [gain]));
    void draw();
  };

  const renderGrid = (): void => {
    const sides: readonly ('zero' | SideName)[] = ['zero', 'a', 'b'];
    const title = { zero: 'epoch 0', a: `A · ${state.names.a}`, b: `B · ${state.names.b}` };
    const head = sides.map((side) =>
      make('th', {
        className: side === 'zero' ? '' : `side-${side}`,
        text: title[side],
        attributes: { scope: 'col' },
      }),
    );
    const rows = state.pairs.map((pair, index) => {
      const open = make('button', {
        className: 'pair-open',
        text: pair.text || 'empty prompt',
        attributes: { type: 'button' },
      });
      open.addEventListener('click', () => stage.openPair(index));
      return make('tr', index === state.shown ? { attributes: { 'aria-current': 'true' } } : {}, [
        make('th', { attributes: { scope: 'row' } }, [open]),
        ...sides.map((side) => {
          const shot = pair[side];
          if (shot === null) {
            return make('td', {}, [
              make('span', { className: 'picture missing', attributes: { title: 'Not sampled' } }),
            ]);
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
        }),
      ]);
    });
    root.append(
      make(
        'div',
        {
          className: 'scroll',
          attributes: { tabindex: '0', role: 'region', 'aria-label': 'All prompts' },
        },
        [
          make('table', { className: 'pairs' }, [
            make('thead', {}, [
              make('tr', {}, [
                make('th', { text: 'Prompt', attributes: { scope: 'col' } }),
                ...head,
              ]),
            ]),
            make('tbody', {}, rows.slice(0, MOST_GRID_ROWS)),
          ]),
        ],
      ),
    );
    if (rows.length > MOST_GRID_ROWS) {
      tools.append(
        make('span', { text: `The first ${MOST_GRID_ROWS} of ${rows.length} prompts.` }),
      );
    }
  };

  const renderers: Record<Mode, () => void> = {
    side: renderSide,
    slider: renderSlider,
    flicker: renderFlicker,
    difference: renderDifference,
    grid: renderGrid,
  };

  const preloadNeighbours = (): void => {
    for (const by of [-1, 1]) {
      const pair = state.pairs[state.shown + by];
      for (const shot of [pair?.a, pair?.b]) {
        if (shot !== undefined && shot !== null) new Image().src = `/media/${shot.id}`;
      }
    }
  };

  const stage: Stage = {
    render() {
      clearInterval(blink);
      frames = [];
      afterPlace = undefined;
      root.replaceChildren();
      tools.replaceChildren();
      root.dataset['mode'] = state.mode;
      if (state.pairs.length === 0) {
        root.append(make('p', { className: 'absent', text: 'Neither side has samples.' }));
        return;
      }
      renderers[state.mode]();
      find('.zoom')?.classList.toggle('off', state.mode === 'grid');
      layAll();
      preloadNeighbours();
    },
    place: layAll,
    openPair: () => undefined,
  };
  new ResizeObserver(layAll).observe(root);
  for (const image of findAll('img', root)) image.remove();
  return stage;
};

/** Three pictures a row: this keeps the page at 120 pictures or fewer. */
const MOST_GRID_ROWS = 40;
