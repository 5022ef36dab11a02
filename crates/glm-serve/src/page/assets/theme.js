// Light, dark, or as the system says.
import { loadText, saveText } from './storage.js';

const system = matchMedia('(prefers-color-scheme: dark)');

/** `system`, `light` or `dark`. */
export function themeChoice() {
  const saved = loadText('theme');
  return saved === 'light' || saved === 'dark' ? saved : 'system';
}

function apply() {
  const choice = themeChoice();
  document.documentElement.dataset.theme = choice === 'system' ? (system.matches ? 'dark' : 'light') : choice;
}

/** Go on to the next choice: first the theme that is not showing, then the other, then the system's. */
export function nextTheme() {
  const [shows, other] = system.matches ? ['dark', 'light'] : ['light', 'dark'];
  const next = { system: other, [other]: shows, [shows]: null }[themeChoice()];
  saveText('theme', next);
  apply();
}

/** Follow the system when it changes, as long as nothing was chosen. */
export function followSystemTheme() {
  system.addEventListener('change', apply);
}
