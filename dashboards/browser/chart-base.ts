/** What the charts share: colours of the theme, marks on the line, a part that is drawn alone. */
import {
  CategoryScale,
  Chart,
  LinearScale,
  LineController,
  LineElement,
  LogarithmicScale,
  PointElement,
  Tooltip,
  type Plugin,
} from 'chart.js';

Chart.register(
  CategoryScale,
  LinearScale,
  LineController,
  LineElement,
  LogarithmicScale,
  PointElement,
  Tooltip,
);
Chart.defaults.animation = false;
Chart.defaults.maintainAspectRatio = false;
Chart.defaults.font.size = 12;

export { Chart };

/** A colour of the theme, as it is now. */
export const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A colour of the theme, let through. */
export const faint = (name: string, percent: number): string => {
  const [red, green, blue] = [1, 3, 5].map((at) =>
    Number.parseInt(colour(name).slice(at, at + 2), 16),
  );
  return `rgb(${red} ${green} ${blue} / ${percent}%)`;
};

export const useTheme = (): void => {
  Chart.defaults.color = colour('quiet');
  Chart.defaults.borderColor = colour('line');
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
};

export interface ChartMark {
  readonly x: number;
  readonly kind: string;
}

const glyphs: Record<string, string> = {
  resumed: '▲',
  nan: '×',
  difference: '≠',
  warning: '!',
  error: '!',
  steering: '◆',
};
const tones: Record<string, string> = {
  resumed: 'quiet',
  steering: 'accent',
  warning: 'warn',
};

/** Hairlines down the chart with a sign at their foot. */
export const marksPlugin = (marks: () => readonly ChartMark[]): Plugin<'line'> => ({
  id: 'marks',
  afterDatasetsDraw(chart) {
    const { ctx, chartArea, scales } = chart;
    const axis = scales['x'];
    if (axis === undefined) return;
    ctx.save();
    ctx.font = `12px ${Chart.defaults.font.family ?? 'sans-serif'}`;
    ctx.textAlign = 'center';
    let lastLabel = -Infinity;
    for (const mark of marks()) {
      const x = axis.getPixelForValue(mark.x);
      if (x < chartArea.left - 1 || x > chartArea.right + 1) continue;
      const tone = colour(tones[mark.kind] ?? 'bad');
      ctx.strokeStyle = tone;
      ctx.fillStyle = tone;
      ctx.lineWidth = 1;
      ctx.setLineDash([2, 3]);
      ctx.beginPath();
      ctx.moveTo(x, chartArea.top + 16);
      ctx.lineTo(x, chartArea.bottom);
      ctx.stroke();
      ctx.fillText(glyphs[mark.kind] ?? '•', x, chartArea.bottom - 4);
      // Words only where they don't cover the ones before.
      if (x - lastLabel > 64) {
        const word = mark.kind === 'nan' ? 'NaN' : mark.kind;
        const edge = Math.min(Math.max(x, chartArea.left + 24), chartArea.right - 24);
        ctx.fillText(word, edge, chartArea.top + 10);
        lastLabel = x;
      }
    }
    ctx.restore();
  },
});

export interface Selection {
  from: number;
  to: number;
}

/** The part of the chart that a pointer is drawing over. */
export const selectionPlugin = (selection: () => Selection | undefined): Plugin<'line'> => ({
  id: 'selection',
  afterDraw(chart) {
    const chosen = selection();
    if (chosen === undefined) return;
    const { ctx, chartArea } = chart;
    const left = Math.max(chartArea.left, Math.min(chosen.from, chosen.to));
    const right = Math.min(chartArea.right, Math.max(chosen.from, chosen.to));
    ctx.save();
    ctx.fillStyle = faint('accent', 15);
    ctx.fillRect(left, chartArea.top, right - left, chartArea.bottom - chartArea.top);
    ctx.restore();
  },
});

export const figure = (value: number | null): string => {
  if (value === null) return '–';
  const size = Math.abs(value);
  return size !== 0 && size < 0.001 ? value.toExponential(2) : value.toPrecision(4);
};

/** A figure on an axis: no more digits than it needs. */
export const tick = (value: number): string => String(Number(value.toPrecision(3)));

/** A whole number on an axis. What Chart.js does by itself asks Intl, which takes long to wake up. */
export const wholeTick = (value: number | string): string => String(value);
