/** The view of the compare page and its address. */
import { find, onPhone, reducedMotion, setAddress } from './dom.ts';
import type { Mode, SideName, StagePair, StageState } from './stage-state.ts';

interface Side {
  readonly run: string;
  readonly name: string;
  readonly epoch: number;
}

export interface StageData {
  readonly a: Side;
  readonly b: Side;
  readonly names: Record<SideName, string>;
  /** Evaluated epochs of every run. */
  readonly epochs: Record<string, number[]>;
  readonly pairs: StagePair[];
  readonly shown: number;
  readonly mode: Mode | null;
}

export const readData = (): StageData | undefined => {
  const text = find('#stage-data')?.dataset['stage'];
  return text === undefined ? undefined : (JSON.parse(text) as StageData);
};

const numberIn = (text: string | null, least: number, most: number, otherwise: number): number => {
  const value = text === null || text === '' ? NaN : Number(text);
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : otherwise;
};

export const readState = (data: StageData): StageState => {
  const query = new URL(location.href).searchParams;
  const [x, y] = (query.get('at') ?? '').split(',');
  const view = {
    zoom: numberIn(query.get('zoom'), 0.01, 64, 1),
    x: numberIn(x ?? null, 0, 1, 0.5),
    y: numberIn(y ?? null, 0, 1, 0.5),
  };
  return {
    mode: data.mode ?? (onPhone() ? 'flicker' : 'side'),
    shown: data.shown,
    pairs: data.pairs,
    names: data.names,
    baseline: query.get('baseline') === '1',
    held: false,
    linked: query.get('linked') !== '0',
    views: { a: view, b: { ...view } },
    slider: numberIn(query.get('slider'), 0, 100, 50),
    gain: numberIn(query.get('gain'), 1, 8, 1),
    // On a phone a tap changes the picture; blinking by itself is asked for.
    blinking: !reducedMotion() && !onPhone(),
    flickerSide: 'a',
  };
};

export const writeState = (state: StageState): void => {
  const { zoom, x, y } = state.views.a;
  setAddress({
    prompt: String(state.shown + 1),
    mode: state.mode,
    baseline: state.baseline ? '1' : undefined,
    linked: state.linked ? undefined : '0',
    zoom: zoom === 1 ? undefined : zoom.toPrecision(4),
    at: zoom === 1 ? undefined : `${x.toFixed(4)},${y.toFixed(4)}`,
    slider: state.mode === 'slider' && state.slider !== 50 ? String(state.slider) : undefined,
    gain: state.mode === 'difference' && state.gain !== 1 ? String(state.gain) : undefined,
  });
};
