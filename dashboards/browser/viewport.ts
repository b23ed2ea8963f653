/**
 * Zoom and pan of a picture in its frame. Kept relative to the picture, not to the frame: the middle
 * of the view as a share of the picture, and the zoom as a multiple of "fits", so that one state fits
 * every mode and every size.
 */
export interface Viewpoint {
  /** 1 fits the frame. */
  zoom: number;
  /** Middle of the view, 0 to 1 of the picture. */
  x: number;
  y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

const MOST_ZOOM = 64;

export const wholePicture = (): Viewpoint => ({ zoom: 1, x: 0.5, y: 0.5 });

const fitOf = (frame: Size, picture: Size): number =>
  Math.min(frame.width / picture.width, frame.height / picture.height);

/** The zoom at which a pixel of the picture is a pixel of the page. */
export const actualZoom = (frame: Size, picture: Size): number => 1 / fitOf(frame, picture);

const clampMiddle = (middle: number, shown: number, frame: number): number => {
  // A picture smaller than its frame stays in the middle; a larger one never shows past its edge.
  const half = frame / shown / 2;
  return half >= 0.5 ? 0.5 : Math.min(1 - half, Math.max(half, middle));
};

export const clampView = (view: Viewpoint, frame: Size, picture: Size): void => {
  const least = Math.min(1, actualZoom(frame, picture));
  view.zoom = Math.min(MOST_ZOOM, Math.max(least, view.zoom));
  const scale = fitOf(frame, picture) * view.zoom;
  view.x = clampMiddle(view.x, picture.width * scale, frame.width);
  view.y = clampMiddle(view.y, picture.height * scale, frame.height);
};

/** Lays a picture so that the frame shows what the viewpoint says. */
export const place = (
  layer: HTMLElement,
  view: Viewpoint,
  frame: Size,
  picture: Size,
): { left: number; top: number; scale: number } => {
  const scale = fitOf(frame, picture) * view.zoom;
  const left = frame.width / 2 - view.x * picture.width * scale;
  const top = frame.height / 2 - view.y * picture.height * scale;
  layer.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
  layer.classList.add('placed');
  return { left, top, scale };
};

interface Handlers {
  /** The viewpoint of this frame, to be changed. */
  readonly view: () => Viewpoint;
  readonly picture: () => Size | undefined;
  readonly changed: () => void;
  /** A click or tap that was not a drag. */
  readonly tapped?: () => void;
}

const sizeOf = (frame: HTMLElement): Size => ({
  width: frame.clientWidth,
  height: frame.clientHeight,
});

/** Zooms so that the point under the pointer stays where it is. */
const zoomAt = (
  frame: HTMLElement,
  view: Viewpoint,
  picture: Size,
  factor: number,
  at: { x: number; y: number },
): void => {
  const size = sizeOf(frame);
  const before = fitOf(size, picture) * view.zoom;
  const pointX = view.x + (at.x - size.width / 2) / (picture.width * before);
  const pointY = view.y + (at.y - size.height / 2) / (picture.height * before);
  view.zoom *= factor;
  clampView(view, size, picture);
  const after = fitOf(size, picture) * view.zoom;
  view.x = pointX - (at.x - size.width / 2) / (picture.width * after);
  view.y = pointY - (at.y - size.height / 2) / (picture.height * after);
  clampView(view, size, picture);
};

const TAP_PIXELS = 6;

/** Drag pans, two fingers and Ctrl + wheel zoom, a double click zooms in. */
export const followPointers = (frame: HTMLElement, handlers: Handlers): void => {
  const pointers = new Map<number, { x: number; y: number }>();
  let moved = 0;
  const local = (event: MouseEvent): { x: number; y: number } => {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const distance = (): number => {
    const [one, two] = [...pointers.values()];
    return one === undefined || two === undefined ? 0 : Math.hypot(one.x - two.x, one.y - two.y);
  };

  frame.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    if (event.target instanceof Element && event.target.closest('button, input, a') !== null)
      return;
    frame.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, local(event));
    moved = 0;
    frame.classList.add('dragging');
  });
  frame.addEventListener('pointermove', (event) => {
    const before = pointers.get(event.pointerId);
    const picture = handlers.picture();
    if (before === undefined || picture === undefined) return;
    const now = local(event);
    const view = handlers.view();
    const apart = distance();
    pointers.set(event.pointerId, now);
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (pointers.size >= 2) {
      const [one, two] = [...pointers.values()];
      if (one === undefined || two === undefined || apart === 0) return;
      zoomAt(frame, view, picture, distance() / apart, {
        x: (one.x + two.x) / 2,
        y: (one.y + two.y) / 2,
      });
    } else {
      const size = sizeOf(frame);
      const scale = fitOf(size, picture) * view.zoom;
      view.x -= (now.x - before.x) / (picture.width * scale);
      view.y -= (now.y - before.y) / (picture.height * scale);
      clampView(view, size, picture);
    }
    handlers.changed();
  });
  const lift = (event: PointerEvent): void => {
    if (!pointers.delete(event.pointerId)) return;
    frame.classList.remove('dragging');
    if (event.type === 'pointerup' && moved < TAP_PIXELS && pointers.size === 0)
      handlers.tapped?.();
  };
  frame.addEventListener('pointerup', lift);
  frame.addEventListener('pointercancel', lift);
  frame.addEventListener(
    'wheel',
    (event) => {
      const picture = handlers.picture();
      // The bare wheel scrolls the page.
      if (picture === undefined || !event.ctrlKey) return;
      event.preventDefault();
      zoomAt(frame, handlers.view(), picture, Math.exp(-event.deltaY / 200), local(event));
      handlers.changed();
    },
    { passive: false },
  );
  frame.addEventListener('dblclick', (event) => {
    const picture = handlers.picture();
    if (picture === undefined || handlers.tapped !== undefined) return;
    zoomAt(frame, handlers.view(), picture, 2, local(event));
    handlers.changed();
  });
};
