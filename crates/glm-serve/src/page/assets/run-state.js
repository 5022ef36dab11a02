// How far a run is, as a badge and a bar.
import { h } from './dom.js';
import { known, t } from './i18n.js';

/** The badge of a run's state. */
export function stateBadge(state) {
  const name = known(`state.${state}`) ? t(`state.${state}`) : String(state);
  return h('span', { class: `badge state ${['running', 'complete', 'stopped'].includes(state) ? state : ''}` }, h('span', { class: 'badge-dot' }), name);
}

/** The share of a run that is done, 0 to 1. */
export function share({ step, max_steps: most }) {
  return most > 0 ? Math.min(1, Math.max(0, step / most)) : 0;
}

/** A progress bar of a run. */
export function progressBar(run) {
  const bar = h('div', { class: 'progress', role: 'progressbar', 'aria-label': t('run.progress'), 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(share(run) * 100) }, h('div', { class: 'progress-done' }));
  bar.firstChild.style.width = `${share(run) * 100}%`;
  return bar;
}
