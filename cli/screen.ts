/**
 * Lines with progress bars below them. Where nobody watches (a pipe, a log file), bars become a line
 * now and then.
 */
import { MultiBar, Presets, type SingleBar } from 'cli-progress';

export interface Bar {
  /** @param fraction 0 to 1; undefined while nobody knows */
  update(fraction: number | undefined, text: string): void;
  /** Takes the bar away; a line may stay in its place. */
  end(line?: string): void;
}

export interface Screen {
  say(line: string): void;
  bar(label: string): Bar;
  close(): void;
}

const QUIET_MS = 15_000;
const LABEL_WIDTH = 8;

const withPercentage = (fraction: number | undefined, text: string): string =>
  fraction === undefined ? text : `${Math.floor(fraction * 100)} % ${text}`;

export const createScreen = (stream: NodeJS.WriteStream): Screen =>
  stream.isTTY ? liveScreen(stream) : plainScreen(stream);

interface OpenBar {
  label: string;
  fraction: number | undefined;
  text: string;
  shown?: SingleBar;
}

/** A bar that comes or goes redraws all: cli-progress leaves traces when one of several is removed. */
function liveScreen(stream: NodeJS.WriteStream): Screen {
  const open = new Set<OpenBar>();
  let bars: MultiBar | undefined;
  const redraw = (line?: string) => {
    bars?.update(); // writes what was said meanwhile
    bars?.stop();
    bars = undefined;
    if (line !== undefined) stream.write(`${line}\n`);
    if (open.size === 0) return;
    bars = new MultiBar(
      {
        stream,
        format: '{label} {bar} {text}',
        barsize: 24,
        fps: 5,
        hideCursor: true,
        clearOnComplete: true,
        emptyOnZero: true,
        gracefulExit: false, // whoever owns the screen closes it
      },
      Presets.shades_grey,
    );
    for (const bar of open) {
      const { label, fraction, text } = bar;
      bar.shown = bars.create(1, fraction ?? 0, {
        label: label.padEnd(LABEL_WIDTH),
        text: withPercentage(fraction, text),
      });
    }
  };
  return {
    say: (line) => (bars === undefined ? stream.write(`${line}\n`) : bars.log(`${line}\n`)),
    bar: (label) => {
      const bar: OpenBar = { label, fraction: undefined, text: '' };
      open.add(bar);
      redraw();
      return {
        update: (fraction, text) => {
          Object.assign(bar, { fraction, text });
          bar.shown?.update(fraction ?? 0, { text: withPercentage(fraction, text) });
        },
        end: (line) => {
          if (open.delete(bar)) redraw(line);
        },
      };
    },
    close: () => {
      open.clear();
      redraw();
    },
  };
}

function plainScreen(stream: NodeJS.WriteStream): Screen {
  const say = (line: string) => void stream.write(`${line}\n`);
  return {
    say,
    bar: (label) => {
      let last = -Infinity;
      let known = false;
      return {
        update: (fraction, text) => {
          // At once, too, when what was awaited begins: the first loss is what a person looks for.
          const begins = fraction !== undefined && !known;
          if (!begins && Date.now() - last < QUIET_MS) return;
          known ||= begins;
          last = Date.now();
          say(`${label} ${withPercentage(fraction, text)}`);
        },
        end: (line) => {
          if (line !== undefined) say(line);
        },
      };
    },
    close: () => undefined,
  };
}
