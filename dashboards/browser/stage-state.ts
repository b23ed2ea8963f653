/** What the compare page shows. */
import type { Size, Viewpoint } from './viewport.ts';

export const modes = ['side', 'slider', 'flicker', 'difference', 'grid'] as const;
export type Mode = (typeof modes)[number];
export type SideName = 'a' | 'b';

export interface Shot extends Size {
  readonly id: string;
}

/** A sample that is not there and can be made. */
export interface Offer {
  readonly run: string;
  readonly epoch: number;
  readonly prompt: number;
  readonly words: string;
}

export interface StagePair {
  readonly text: string;
  readonly a: Shot | null;
  readonly b: Shot | null;
  readonly zero: Shot | null;
  readonly offers: Partial<Record<SideName, Offer>>;
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

export const other = (side: SideName): SideName => (side === 'a' ? 'b' : 'a');

export const letter = (side: SideName): string => side.toUpperCase();

export const nameOf = (state: StageState, side: SideName): string =>
  side === 'a' && state.baseline ? 'epoch 0, the base' : state.names[side];

export const shotOf = (state: StageState, side: SideName): Shot | null => {
  const pair = state.pairs[state.shown];
  if (pair === undefined) return null;
  return side === 'a' && state.baseline ? pair.zero : pair[side];
};

/** How the picture that is missing on a side can be had. */
export const offerOf = (state: StageState, side: SideName): Offer | undefined =>
  side === 'a' && state.baseline ? undefined : state.pairs[state.shown]?.offers[side];
