/** The two pictures, in five ways. */
import { find, make } from './dom.ts';
import { renderDifference } from './mode-difference.ts';
import { renderFlicker } from './mode-flicker.ts';
import { renderGrid } from './mode-grid.ts';
import { renderSide } from './mode-side.ts';
import { renderSlider } from './mode-slider.ts';
import { createFrames, type Frames } from './frames.ts';
import type { Mode, StageState } from './stage-state.ts';

/** What a mode is given to draw itself. */
export interface ModeContext {
  readonly state: StageState;
  readonly frames: Frames;
  /** Where the mode's own controls go. */
  readonly tools: HTMLElement;
  /** The state was changed: the address follows. */
  readonly changed: () => void;
  readonly openPair: (index: number) => void;
  /** What is to be stopped when another mode is drawn. */
  readonly onLeave: (stop: () => void) => void;
}

const renderers: Record<Mode, (context: ModeContext) => void> = {
  side: renderSide,
  slider: renderSlider,
  flicker: renderFlicker,
  difference: renderDifference,
  grid: renderGrid,
};

export interface Stage {
  render(): void;
  /** Lays the pictures anew, after the viewpoint has changed. */
  place(): void;
  openPair: (index: number) => void;
}

/** The pictures before and after, so that the next prompt is there at once. */
const preloadNeighbours = (state: StageState): void => {
  for (const by of [-1, 1]) {
    const pair = state.pairs[state.shown + by];
    for (const shot of [pair?.a, pair?.b]) {
      if (shot !== undefined && shot !== null) new Image().src = `/media/${shot.id}`;
    }
  }
};

export const createStage = (
  root: HTMLElement,
  tools: HTMLElement,
  state: StageState,
  changed: () => void,
): Stage => {
  const frames = createFrames(root, state, changed);
  let leave: (() => void)[] = [];
  const stage: Stage = {
    render() {
      for (const stop of leave) stop();
      leave = [];
      frames.clear();
      tools.replaceChildren();
      root.dataset['mode'] = state.mode;
      find('.zoom')?.classList.toggle('off', state.mode === 'grid');
      if (state.pairs.length === 0) {
        root.append(make('p', { className: 'absent', text: 'Neither side has samples.' }));
        return;
      }
      renderers[state.mode]({
        state,
        frames,
        tools,
        changed,
        openPair: (index) => stage.openPair(index),
        onLeave: (stop) => leave.push(stop),
      });
      frames.place();
      preloadNeighbours(state);
    },
    place: () => frames.place(),
    openPair: () => undefined,
  };
  new ResizeObserver(() => frames.place()).observe(root);
  return stage;
};
