import type { ModeContext } from './stage.ts';
import { other, shotOf } from './stage-state.ts';

/** Side by side; while the space bar is held each shows the other. */
export const renderSide = ({ state, frames }: ModeContext): void => {
  for (const pane of ['a', 'b'] as const) {
    const side = state.held ? other(pane) : pane;
    const shot = shotOf(state, side);
    const frame = frames.frame(pane, frames.caption(side), `side-${side}`);
    if (shot === null) frame.append(frames.absent(side));
    else frames.fill(frame, pane, [{ side, shot }]);
  }
};
