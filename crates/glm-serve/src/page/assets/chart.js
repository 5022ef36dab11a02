// A line chart in SVG: axes, legend, values under the pointer or the arrow keys, and the same numbers as a table.
import { fill, h, svg } from './dom.js';
import { number, quantity } from './format.js';
import { t } from './i18n.js';
import { nearest, thinned, ticks } from './scale.js';

const HEIGHT = 250;
const EDGE = { left: 56, right: 22, top: 12, bottom: 30 };
const MOST_TABLE_ROWS = 200;
const PAGE_POINTS = 10;
// A curve that begins within this share of its length is drawn from step 0.
const FROM_ZERO = 0.1;

function label(value) {
  return Math.abs(value) >= 1e4 && Number.isInteger(value / 100) ? `${number(value / 1000, 1)}k` : quantity(value);
}

function table(series, steps) {
  const shown = steps.length <= MOST_TABLE_ROWS ? steps
    : Array.from({ length: MOST_TABLE_ROWS }, (_, index) => steps[Math.round(index * (steps.length - 1) / (MOST_TABLE_ROWS - 1))]);
  const values = series.map(({ points }) => new Map(points));
  return h('div', { class: 'chart-table', tabindex: 0, role: 'group', 'aria-label': t('chart.table') },
    shown.length < steps.length ? h('p', { class: 'field-help' }, t('chart.thinned', { all: number(steps.length), shown: number(shown.length) })) : null,
    h('table', {},
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, t('run.step')), series.map(({ name }) => h('th', { scope: 'col' }, name)))),
      h('tbody', {}, shown.map((step) => h('tr', {}, h('th', { scope: 'row' }, number(step)),
        values.map((value) => h('td', {}, value.has(step) ? quantity(value.get(step)) : '')))))));
}

/** A chart: `{ node, update, destroy }`. `update(series)` takes `[{ name, colour, points: [[x, y], …], dots }]` with rising x. */
export function chart({ title }) {
  const drawing = svg('svg', { class: 'chart-drawing', 'aria-hidden': 'true', focusable: 'false', height: HEIGHT });
  const stage = h('div', { class: 'chart-stage', role: 'slider', tabindex: 0, 'aria-label': t('chart.read', { title }) }, drawing);
  const legend = h('div', { class: 'legend' });
  const none = h('p', { class: 'none' }, t('run.nodata'));
  const details = h('details', { class: 'chart-details' }, h('summary', {}, t('chart.table')));
  const node = h('div', { class: 'chart' }, legend, stage, none, details);
  let series = [];
  let steps = [];
  let cursor = null;
  let width = 0;
  let [x0, x1] = [0, 1];
  let scaleX = null;
  let scaleY = null;
  const hair = svg('g', { class: 'cursor' });

  function valuesAt(step) {
    return series.map(({ name, points, colour }) => {
      // A curve without a point here shows its last one before: evaluations are rarer than losses.
      return { name, colour, point: points.findLast(([x]) => x <= step) ?? null };
    });
  }
  const earlier = (value, step) => (value?.point && value.point[0] !== step ? h('span', { class: 'legend-at' }, `(${t('chart.at', { step: number(value.point[0]) })})`) : null);
  function drawCursor() {
    const step = cursor === null ? steps.at(-1) : steps[cursor];
    const values = step === undefined ? [] : valuesAt(step);
    fill(legend,
      h('span', { class: 'legend-step' }, step === undefined ? null : t('chart.at', { step: number(step) })),
      series.map(({ name, colour }, index) => h('span', { class: 'legend-item' }, h('i', { class: `swatch ${colour}` }), name,
        h('b', {}, values[index]?.point ? quantity(values[index].point[1]) : '–'), earlier(values[index], step))));
    // The legend only grows: what is below it must not move under the pointer.
    legend.style.minHeight = `${legend.offsetHeight}px`;
    fill(hair);
    if (step === undefined) return;
    const text = values.filter(({ point }) => point).map(({ name, point }) => `${name} ${quantity(point[1])}${point[0] === step ? '' : ` (${t('chart.at', { step: number(point[0]) })})`}`).join(', ');
    stage.setAttribute('aria-valuemin', steps[0]);
    stage.setAttribute('aria-valuemax', steps.at(-1));
    stage.setAttribute('aria-valuenow', step);
    stage.setAttribute('aria-valuetext', `${t('chart.at', { step: number(step) })}: ${text}`);
    if (cursor === null || scaleX === null) return;
    hair.append(svg('line', { x1: scaleX(step), x2: scaleX(step), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
    for (const { point, colour } of values) {
      if (point) hair.append(svg('circle', { class: `dot ${colour}`, cx: scaleX(point[0]), cy: scaleY(point[1]), r: 4 }));
    }
  }
  function draw() {
    stage.hidden = details.hidden = steps.length === 0;
    none.hidden = steps.length > 0;
    if (width === 0 || steps.length === 0) return drawCursor();
    const heights = series.flatMap(({ points }) => points.map(([, y]) => y));
    const low = heights.reduce((one, two) => Math.min(one, two), Infinity);
    const high = heights.reduce((one, two) => Math.max(one, two), -Infinity);
    const tickY = ticks(low, high, 5);
    [x0, x1] = steps.length === 1 ? [steps[0] - 1, steps[0] + 1] : [steps[0], steps.at(-1)];
    if (x0 > 0 && x0 < x1 * FROM_ZERO) x0 = 0;
    const tickX = ticks(x0, x1, Math.max(2, Math.round(width / 110))).filter((x) => Number.isInteger(x) && x >= x0 && x <= x1);
    const [y0, y1] = [tickY[0], tickY.at(-1)];
    scaleX = (x) => EDGE.left + (x - x0) / (x1 - x0) * (width - EDGE.left - EDGE.right);
    scaleY = (y) => HEIGHT - EDGE.bottom - (y - y0) / (y1 - y0) * (HEIGHT - EDGE.top - EDGE.bottom);
    drawing.setAttribute('width', width);
    drawing.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    fill(drawing,
      tickY.map((y) => svg('g', { class: 'tick' },
        svg('line', { x1: EDGE.left, x2: width - EDGE.right, y1: scaleY(y), y2: scaleY(y) }),
        svg('text', { x: EDGE.left - 8, y: scaleY(y) + 4, 'text-anchor': 'end' }, label(y)))),
      tickX.map((x) => svg('text', { class: 'tick-x', x: scaleX(x), y: HEIGHT - 8, 'text-anchor': 'middle' }, label(x))),
      series.map(({ points, colour, dots }) => {
        const shown = thinned(points, Math.max(50, Math.floor(width)));
        const path = shown.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${scaleX(x).toFixed(1)} ${scaleY(y).toFixed(1)}`).join('');
        return [
          svg('path', { class: `line ${colour}`, d: path }),
          dots || shown.length === 1 ? shown.map(([x, y]) => svg('circle', { class: `dot ${colour}`, cx: scaleX(x), cy: scaleY(y), r: 3 })) : null,
        ];
      }), hair);
    return drawCursor();
  }
  function move(next) {
    cursor = next;
    drawCursor();
  }
  stage.addEventListener('pointermove', (event) => {
    if (scaleX === null || steps.length === 0) return;
    const x = event.clientX - drawing.getBoundingClientRect().left;
    const span = (width - EDGE.left - EDGE.right) || 1;
    const share = Math.min(1, Math.max(0, (x - EDGE.left) / span));
    move(nearest(steps, x0 + share * (x1 - x0)));
  });
  stage.addEventListener('pointerleave', () => move(null));
  stage.addEventListener('blur', () => move(null));
  stage.addEventListener('keydown', (event) => {
    const last = steps.length - 1;
    const from = cursor ?? last;
    const to = {
      ArrowLeft: from - 1, ArrowDown: from - 1, ArrowRight: from + 1, ArrowUp: from + 1,
      PageDown: from - PAGE_POINTS, PageUp: from + PAGE_POINTS, Home: 0, End: last, Escape: null,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to === null ? null : Math.min(last, Math.max(0, to)));
  });
  details.addEventListener('toggle', drawTable);
  function drawTable() {
    details.querySelector('.chart-table')?.remove();
    if (details.open) details.append(table(series, steps));
  }
  const watch = new ResizeObserver(() => {
    const next = Math.floor(stage.clientWidth);
    if (next === width || next === 0) return;
    width = next;
    legend.style.minHeight = '';
    draw();
  });
  watch.observe(stage);

  return {
    node,
    update(next) {
      const at = cursor === null ? null : steps[cursor];
      series = next.filter(({ points }) => points.length > 0);
      steps = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((one, two) => one - two);
      cursor = at === null || steps.length === 0 ? null : nearest(steps, at);
      draw();
      drawTable();
    },
    destroy: () => watch.disconnect(),
  };
}
