import { make, reducedMotion } from './dom.ts';
import { letter, nameOf, other } from './stage-state.ts';
import type { ModeContext } from './stage.ts';

/** Slow enough for everybody: well under three flashes a second. */
const BLINK_MS = 700;

/** One in the place of the other: by itself, by tap, or while the space bar is held. */
export const renderFlicker = ({ state, frames, tools, onLeave }: ModeContext): void => {
  const caption = make('span', { className: 'side-letter' });
  const words = make('span', { attributes: { 'data-caption': '' } });
  const button = make('button', {
    className: 'button small',
    attributes: { type: 'button', id: 'blink' },
  });
  let timer: ReturnType<typeof setInterval> | undefined;
  const toggle = (): void => {
    state.flickerSide = other(state.flickerSide);
    show();
  };
  const stop = (): void => {
    state.blinking = false;
    clearInterval(timer);
    button.textContent = 'Blink';
  };
  const start = (): void => {
    state.blinking = true;
    clearInterval(timer);
    timer = setInterval(toggle, BLINK_MS);
    button.textContent = 'Stop blinking';
  };
  const found = frames.both([caption, words], () => {
    stop();
    toggle();
  });
  if (found === undefined) return;
  const { frame, a, b } = found;
  const [one, two] = frames.fill(frame, 'a', [
    { side: 'a', shot: a },
    { side: 'b', shot: b },
  ]);
  const show = (): void => {
    const side = state.held ? other(state.flickerSide) : state.flickerSide;
    if (one !== undefined) one.style.visibility = side === 'a' ? 'visible' : 'hidden';
    if (two !== undefined) two.style.visibility = side === 'b' ? 'visible' : 'hidden';
    caption.className = `side-letter side-${side}`;
    caption.textContent = letter(side);
    words.textContent = nameOf(state, side);
    const pane = frame.closest('.pane');
    pane?.classList.toggle('side-a', side === 'a');
    pane?.classList.toggle('side-b', side === 'b');
  };
  button.addEventListener('click', () => (state.blinking ? stop() : start()));
  onLeave(() => clearInterval(timer));
  tools.append(button, make('span', { text: 'Tap the picture, or hold Space, for the other one' }));
  if (state.blinking && !reducedMotion()) start();
  else stop();
  show();
};
