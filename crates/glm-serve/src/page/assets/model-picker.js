// Choosing the model that answers, and what the user should know about it.
import { fill, h, uid } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { remark } from './notice.js';
import { findModel, kindName, refreshIfOld, serverEvents, serverInfo, shortName } from './server.js';

function option(model) {
  const kind = kindName(model);
  return h('option', { value: model.id }, kind === null ? `${shortName(model)} (${t('model.base.short')})` : `${shortName(model)} · ${kind}`);
}

/** A labelled select of the server's models: `{ node, value, choose, destroy }`. `changed(id)` runs when the user chooses. */
export function modelPicker(chosen, changed) {
  const select = h('select', { id: uid('model') });
  let value = chosen;
  function build() {
    const { models } = serverInfo();
    const [bases, tuned] = [models.filter((model) => !model.adapter), models.filter((model) => model.adapter)];
    fill(select,
      h('optgroup', { label: t('model.base') }, bases.map(option)),
      tuned.length > 0 ? h('optgroup', { label: t('model.adapters') }, tuned.map(option)) : null);
    if (!findModel(value)) {
      value = serverInfo().default_model;
      changed(value);
    }
    select.value = value;
  }
  select.addEventListener('change', () => {
    value = select.value;
    changed(value);
  });
  select.addEventListener('focus', () => refreshIfOld());
  serverEvents.addEventListener('change', build);
  build();
  const node = h('div', { class: 'model-picker' }, icon('layers'), h('label', { class: 'sr-only', for: select.id }, t('model')), select);
  return {
    node,
    value: () => value,
    choose(id) {
      if (!findModel(id)) return;
      value = id;
      select.value = id;
    },
    destroy: () => serverEvents.removeEventListener('change', build),
  };
}

/** What to know about a model before asking it; empty for the base. */
export function modelRemarks(model) {
  const { adapter } = model;
  if (!adapter) return [];
  return [
    adapter.turns === 'single' ? remark('info', t('model.single')) : null,
    adapter.source_prefix ? remark('info', t('model.prefix'), h('q', {}, adapter.source_prefix)) : null,
    adapter.warning ? remark('warning', adapter.warning) : null,
  ].filter(Boolean);
}

/** The chip that says which model answered; the id is the server's word. */
export function modelChip(id) {
  const model = findModel(id);
  const base = serverInfo().base.name;
  const name = model ? shortName(model) : id;
  const tuned = model ? Boolean(model.adapter) : id !== base;
  return h('span', { class: `chip ${tuned ? 'tuned' : 'plain'}`, title: id },
    h('span', { class: 'chip-dot' }), h('span', { class: 'chip-name' }, name),
    h('span', { class: 'chip-kind' }, tuned ? kindName(model) : t('model.base.short')));
}
