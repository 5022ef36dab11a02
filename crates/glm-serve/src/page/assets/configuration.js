// The configuration of a run as a searchable list of names and values.
import { copyButton } from './copy.js';
import { fill, h, uid } from './dom.js';
import { number } from './format.js';
import { t } from './i18n.js';

const MOST_ROWS = 2000;

/** Nested JSON as `[path, text]` rows: objects by dots; lists of plain values in one row. */
export function rows(value, path = '') {
  if (value === null || typeof value !== 'object') return [[path, typeof value === 'string' ? value : JSON.stringify(value) ?? '']];
  const plain = (entry) => entry === null || typeof entry !== 'object';
  if (Array.isArray(value) && value.every(plain)) return [[path, JSON.stringify(value)]];
  const entries = Object.entries(value);
  if (entries.length === 0) return [[path, Array.isArray(value) ? '[]' : '{}']];
  return entries.flatMap(([name, entry]) => rows(entry, Array.isArray(value) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`));
}

function marked(text, sought) {
  const at = sought === '' ? -1 : text.toLowerCase().indexOf(sought);
  if (at < 0) return text;
  return [text.slice(0, at), h('mark', {}, text.slice(at, at + sought.length)), text.slice(at + sought.length)];
}

/** The list with its search box. */
export function configuration(value) {
  const all = value && typeof value === 'object' ? rows(value).filter(([path]) => path !== '').slice(0, MOST_ROWS) : [];
  if (all.length === 0) return h('p', { class: 'none' }, t('run.config.empty'));
  const search = h('input', { type: 'search', id: uid('search'), class: 'wide', placeholder: t('run.config.search'), autocomplete: 'off', spellcheck: 'false' });
  const count = h('span', { class: 'config-count', role: 'status' });
  const body = h('tbody');
  const none = h('p', { class: 'none' }, t('run.config.none'));
  function draw() {
    const sought = search.value.trim().toLowerCase();
    const found = all.filter(([path, text]) => sought === '' || path.toLowerCase().includes(sought) || text.toLowerCase().includes(sought));
    fill(body, found.map(([path, text]) => h('tr', {}, h('th', { scope: 'row' }, marked(path, sought)), h('td', {}, marked(text, sought)))));
    count.textContent = t('run.config.found', { count: number(found.length) });
    none.hidden = found.length > 0;
  }
  search.addEventListener('input', draw);
  draw();
  return h('div', { class: 'config' },
    h('div', { class: 'config-head' }, h('label', { class: 'sr-only', for: search.id }, t('run.config.search')), search, count,
      copyButton(() => JSON.stringify(value, null, 2), t('run.config.copy'))),
    h('div', { class: 'config-scroll', tabindex: 0, role: 'group', 'aria-label': t('run.config') },
      h('table', {}, h('thead', { class: 'sr-only' }, h('tr', {}, h('th', { scope: 'col' }, t('run.key')), h('th', { scope: 'col' }, t('run.value')))), body), none));
}
