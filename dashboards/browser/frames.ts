/** Frames with pictures in them, each laid as the viewpoint says. */
import { make } from './dom.ts';
import {
  letter,
  nameOf,
  offerOf,
  shotOf,
  type Shot,
  type SideName,
  type StageState,
} from './stage-state.ts';
import { clampView, followPointers, place, type Size, type Viewpoint } from './viewport.ts';

export interface Layer {
  readonly layer: HTMLElement;
  readonly size: Size;
}

export interface Frames {
  readonly root: HTMLElement;
  /** A frame with a caption; `tapped` is told of clicks that were no drags. */
  frame(
    side: SideName,
    caption: readonly Node[],
    className: string,
    tapped?: () => void,
  ): HTMLElement;
  /** Puts pictures into a frame, one over the other. */
  fill(
    frame: HTMLElement,
    side: SideName,
    shots: readonly { side: SideName; shot: Shot }[],
  ): HTMLImageElement[];
  /** Puts anything into a frame that is zoomed like a picture. */
  add(frame: HTMLElement, side: SideName, layers: readonly Layer[]): void;
  /** A frame for both pictures over each other; nothing but words where one is missing. */
  both(
    caption: readonly Node[],
    tapped?: () => void,
  ): { frame: HTMLElement; a: Shot; b: Shot } | undefined;
  caption(side: SideName): Node[];
  image(side: SideName, shot: Shot): HTMLImageElement;
  absent(side: SideName): HTMLElement;
  /** Told whenever pictures have been laid. */
  afterPlace(listener: () => void): void;
  place(): void;
  clear(): void;
}

export const createFrames = (root: HTMLElement, state: StageState, changed: () => void): Frames => {
  let held: { frame: HTMLElement; layers: readonly Layer[]; side: SideName }[] = [];
  let listener: (() => void) | undefined;
  const viewOf = (side: SideName): Viewpoint => state.views[state.linked ? 'a' : side];

  const frames: Frames = {
    root,
    frame(side, caption, className, tapped) {
      const frame = make('div', { className: 'view', attributes: { 'data-view': '' } });
      root.append(
        make('figure', { className: `pane ${className}`, attributes: { 'data-pane': side } }, [
          make('figcaption', {}, caption),
          frame,
        ]),
      );
      followPointers(frame, {
        view: () => viewOf(side),
        picture: () => held.find((each) => each.frame === frame)?.layers[0]?.size,
        changed: () => {
          frames.place();
          changed();
        },
        ...(tapped === undefined ? {} : { tapped }),
      });
      return frame;
    },
    fill(frame, side, shots) {
      const layers = shots.map((each) => ({
        layer: frames.image(each.side, each.shot),
        size: each.shot,
      }));
      const images = layers.map(({ layer }) => layer);
      frame.append(...images);
      frames.add(frame, side, layers);
      return images;
    },
    add(frame, side, layers) {
      held.push({ frame, side, layers });
    },
    both(caption, tapped) {
      const frame = frames.frame('a', caption, '', tapped);
      const a = shotOf(state, 'a');
      const b = shotOf(state, 'b');
      if (a !== null && b !== null) return { frame, a, b };
      frame.append(frames.absent(a === null ? 'a' : 'b'));
      return undefined;
    },
    caption: (side) => [
      make('span', { className: `side-letter side-${side}`, text: letter(side) }),
      make('span', { text: nameOf(state, side), attributes: { 'data-caption': '' } }),
    ],
    image(side, shot) {
      const image = new Image(shot.width, shot.height);
      image.draggable = false;
      const text = state.pairs[state.shown]?.text ?? '';
      image.alt = `${text}, ${letter(side)}: ${nameOf(state, side)}`;
      image.src = `/media/${shot.id}`;
      return image;
    },
    absent(side) {
      const offer = offerOf(state, side);
      const words = `Not sampled at ${nameOf(state, side)}`;
      if (offer === undefined) return make('p', { className: 'absent', text: words });
      const { run, epoch, prompt } = offer;
      return make('p', { className: 'absent' }, [
        `${words}: `,
        make('button', {
          className: 'button',
          text: offer.words,
          attributes: {
            type: 'button',
            'data-verb': 'make',
            'data-run': run,
            'data-epoch': String(epoch),
            'data-prompt': String(prompt),
          },
        }),
      ]);
    },
    afterPlace(next) {
      listener = next;
    },
    place() {
      for (const { frame, layers, side } of held) {
        const size = { width: frame.clientWidth, height: frame.clientHeight };
        const view = viewOf(side);
        const [first] = layers;
        if (first !== undefined) clampView(view, size, first.size);
        for (const { layer, size: picture } of layers) place(layer, view, size, picture);
        frame.classList.toggle('zoomed', view.zoom > 1);
      }
      listener?.();
    },
    clear() {
      held = [];
      listener = undefined;
      root.replaceChildren();
    },
  };
  return frames;
};
