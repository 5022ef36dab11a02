// The place of the sampling panel: a column where there is room, else a drawer.
import { openDrawer } from './dialogs.js';
import { h } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { samplingPanel } from './sampling-panel.js';
import { load, save } from './storage.js';

const WIDE = '(min-width: 1180px)';

/** The panel and its button: `{ node, button, destroy }`. Whether the column is open is remembered. */
export function sidePanel() {
  const panel = samplingPanel();
  const wide = matchMedia(WIDE);
  const node = h('div', { class: 'side-panel' }, panel.node);
  const button = h('button', { type: 'button', class: 'icon-button', 'aria-label': t('sampling'), title: t('sampling') }, icon('sliders'));
  let drawer = null;
  let open = load('sampling-open', true);
  function draw() {
    const shown = wide.matches && open;
    node.hidden = !shown;
    if (wide.matches) {
      button.setAttribute('aria-expanded', String(shown));
      drawer?.close();
    } else {
      button.removeAttribute('aria-expanded');
    }
  }
  button.addEventListener('click', () => {
    if (wide.matches) {
      open = !open;
      save('sampling-open', open);
      draw();
    } else {
      drawer = openDrawer(panel.node, t('sampling'), 'right');
    }
  });
  wide.addEventListener('change', draw);
  draw();
  return {
    node,
    button,
    destroy() {
      wide.removeEventListener('change', draw);
      drawer?.close();
      panel.destroy();
    },
  };
}
