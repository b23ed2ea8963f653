/** Figures as people read them: units, sensible precision, nothing invented. */

const count = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });

/** 1530 → "1,530". */
export const formatCount = (value: number): string => count.format(value);

const significant = (value: number, digits: number): string =>
  new Intl.NumberFormat('en-GB', { maximumSignificantDigits: digits, useGrouping: false }).format(
    value,
  );

/** A loss: "0.1974"; what is not finite is named, what is missing is a dash. */
export const formatLoss = (value: number | null | undefined): string => {
  if (value === null || value === undefined) return '–';
  if (!Number.isFinite(value)) return String(value).replace('Infinity', '∞');
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) return value.toExponential(2);
  return size < 100 ? value.toFixed(4) : significant(value, 6);
};

/** How far two losses are apart: "0.0140"; a small distance has no exponent either: "0.00012". */
export const formatGap = (size: number): string =>
  size >= 1e-6 && size < 0.001 ? significant(size, 2) : formatLoss(size);

/** A difference of losses, with its sign: "−0.0140". */
export const formatDelta = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const sign = value < 0 ? '−' : value > 0 ? '+' : '±';
  return `${sign}${formatGap(Math.abs(value))}`;
};

/** Seconds: "3 h 12 min", "1 min 28 s", "12 s", "0.4 s". */
export const formatDuration = (seconds: number): string => {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 10) return `${significant(Math.max(0, seconds), 2)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
};

/** Milliseconds a step: "0.21 s/step". */
export const formatPace = (milliseconds: number): string =>
  `${significant(milliseconds / 1000, 2)} s/step`;

/** Joules as electricity: "0.04 kWh"; little of it in watt-hours: "7.1 Wh". */
export const formatEnergy = (joules: number): string => {
  const wattHours = joules / 3600;
  return wattHours < 10
    ? `${significant(wattHours, 2)} Wh`
    : `${significant(wattHours / 1000, 2)} kWh`;
};

/** Money: "€0.52"; little of it keeps two digits, down to a hundredth of a cent: "€0.0061". */
export const formatMoney = (amount: number, currency: string): string => {
  const format = (value: number, digits: Intl.NumberFormatOptions): string =>
    new Intl.NumberFormat('en-GB', { style: 'currency', currency, ...digits }).format(value);
  if (amount > 0 && amount < 0.0001) return `< ${format(0.0001, { minimumFractionDigits: 4 })}`;
  return amount > 0 && amount < 0.1
    ? format(amount, {
        maximumSignificantDigits: 2,
        maximumFractionDigits: 4,
        roundingPriority: 'lessPrecision',
      })
    : format(amount, {});
};

/** Bytes: "3.4 GB"; few of them "820 MB", "12 kB". */
export const formatBytes = (bytes: number): string => {
  const [size, unit] = bytes >= 1e9 ? [1e9, 'GB'] : bytes >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB'];
  return `${new Intl.NumberFormat('en-GB', { maximumFractionDigits: unit === 'GB' ? 1 : 0 }).format(bytes / size)} ${unit}`;
};

/** Time of day, where the dashboard runs, which is where it is read: "21:03:10". */
export const formatClock = (at: number): string =>
  new Date(at).toLocaleTimeString('en-GB', { hour12: false });

/** Day and time: "25 Nov, 21:03". */
export const formatDay = (at: number): string =>
  new Date(at).toLocaleString('en-GB', {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
  });

/** The time of today, the day of what is older. */
export const formatMoment = (at: number, now: number): string =>
  new Date(at).toDateString() === new Date(now).toDateString() ? formatClock(at) : formatDay(at);

/** "40 s ago". */
export const formatAge = (at: number, now: number): string =>
  `${formatDuration(Math.max(0, (now - at) / 1000))} ago`;

/** Words with a number: plural(3, 'point') → "3 points". */
export const plural = (value: number, noun: string): string =>
  `${formatCount(value)} ${noun}${value === 1 ? '' : 's'}`;
