// Numbers, durations and times as a reader of the chosen language writes them.
import { language } from './i18n.js';

/** A number with at most `digits` decimals and grouped thousands. */
export function number(value, digits = 2) {
  return new Intl.NumberFormat(language(), { maximumFractionDigits: digits }).format(value);
}

/** A loss, score or rate: four significant digits, scientific when very small. */
export function quantity(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(2).replace(/\.?0+e/, 'e');
  return new Intl.NumberFormat(language(), { maximumSignificantDigits: 4 }).format(value);
}

/** A count of parameters: 62.4 亿 or 6.24 B. */
export function parameters(count) {
  if (!Number.isFinite(count)) return '–';
  const steps = language() === 'en' ? [[1e9, ' B'], [1e6, ' M'], [1e3, ' k']] : [[1e8, ' 亿'], [1e4, ' 万']];
  const [unit, name] = steps.find(([size]) => count >= size) ?? [1, ''];
  return new Intl.NumberFormat(language(), { maximumSignificantDigits: 3 }).format(count / unit) + name;
}

/** Seconds as the two largest units: 1 h 12 min, 1 小时 12 分. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–';
  const names = language() === 'en' ? [' d', ' h', ' min', ' s'] : [' 天', ' 小时', ' 分', ' 秒'];
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = parts.findIndex((part) => part > 0);
  if (first < 0) return `0${names[3]}`;
  return parts.slice(first, first + 2)
    .map((part, index) => [part, names[first + index]])
    .filter(([part], index) => index === 0 || part > 0)
    .map(([part, name]) => part + name)
    .join(' ');
}

/** How long ago a unix time was: 3 minutes ago. */
export function ago(unixSeconds, now = Date.now() / 1000) {
  const past = unixSeconds - now;
  const format = new Intl.RelativeTimeFormat(language(), { numeric: 'auto', style: 'short' });
  const units = [['day', 86400], ['hour', 3600], ['minute', 60]];
  for (const [unit, size] of units) {
    if (Math.abs(past) >= size) return format.format(Math.round(past / size), unit);
  }
  return format.format(Math.min(0, Math.round(past)), 'second');
}

/** The time of day. */
export function clock(date) {
  return new Intl.DateTimeFormat(language(), { timeStyle: 'medium' }).format(date);
}
