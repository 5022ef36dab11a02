// Line icons on a 24 × 24 grid, drawn as strokes in the text's colour.
import { svg } from './dom.js';

const PATHS = {
  send: ['M12 19V5', 'M6 11l6-6 6 6'],
  stop: ['M8 8h8v8H8z'],
  copy: ['M9 9h10v11H9z', 'M15 9V5H5v11h4'],
  check: ['M5 12.5l4.5 4.5L19 7.5'],
  refresh: ['M20 11a8 8 0 1 0-.8 4.5', 'M20 5v6h-6'],
  edit: ['M4 20l1-4.5L16 4.5l3.5 3.5L8.5 19z', 'M13.5 7l3.5 3.5'],
  trash: ['M5 7h14', 'M10 7V4.5h4V7', 'M7 7l.8 12.5h8.4L17 7', 'M10.5 11v5', 'M13.5 11v5'],
  plus: ['M12 5v14', 'M5 12h14'],
  menu: ['M4 7h16', 'M4 12h16', 'M4 17h10'],
  sliders: ['M4 8h9', 'M17 8h3', 'M4 16h3', 'M11 16h9', 'M15 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4z', 'M9 14a2 2 0 1 1 0 4 2 2 0 0 1 0-4z'],
  sun: ['M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z', 'M12 2.5v2', 'M12 19.5v2', 'M2.5 12h2', 'M19.5 12h2', 'M5.3 5.3l1.4 1.4', 'M17.3 17.3l1.4 1.4', 'M5.3 18.7l1.4-1.4', 'M17.3 6.7l1.4-1.4'],
  moon: ['M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z'],
  system: ['M4 5h16v11H4z', 'M9 20h6', 'M12 16v4'],
  chat: ['M4 5.5h16v11h-9l-4.5 3.5v-3.5H4z'],
  compare: ['M4 5h7v14H4z', 'M14 5h6v14h-6z', 'M6.5 9h2', 'M6.5 12.5h2'],
  runs: ['M4 4v16h16', 'M7.5 8c2 6 4 8 12 8.5'],
  key: ['M8 11.5a4 4 0 1 1 0 8 4 4 0 0 1 0-8z', 'M11 12.7L19.5 4.5', 'M16 8l2.5 2.5'],
  close: ['M6 6l12 12', 'M18 6L6 18'],
  warning: ['M12 4l9 16H3z', 'M12 10v4.5', 'M12 17.3v.2'],
  info: ['M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z', 'M12 11v5', 'M12 8v.2'],
  search: ['M10.5 4.5a6 6 0 1 1 0 12 6 6 0 0 1 0-12z', 'M15 15l5 5'],
  down: ['M12 5v14', 'M6 13l6 6 6-6'],
  back: ['M19 12H5', 'M11 6l-6 6 6 6'],
  layers: ['M12 4l8.5 4.5L12 13 3.5 8.5z', 'M4.5 12.5L12 16.5l7.5-4', 'M4.5 16L12 20l7.5-4'],
  dice: ['M5 5h14v14H5z', 'M9 9v.2', 'M15 15v.2', 'M12 12v.2'],
};

/** A decorative icon; the control around it carries the name. */
export function icon(name, size = 18) {
  const drawing = svg('svg', {
    class: 'icon', width: size, height: size, viewBox: '0 0 24 24', fill: 'none',
    stroke: 'currentColor', 'stroke-width': 1.7, 'stroke-linecap': 'round', 'stroke-linejoin': 'round',
    'aria-hidden': 'true', focusable: 'false',
  });
  for (const path of PATHS[name]) drawing.append(svg('path', { d: path }));
  return drawing;
}

/** The mark of the program: a loss curve that settles. */
export function mark(size = 26) {
  return svg('svg', { class: 'mark', width: size, height: size, viewBox: '0 0 32 32', 'aria-hidden': 'true', focusable: 'false' },
    svg('rect', { class: 'mark-ground', width: 32, height: 32, rx: 9 }),
    svg('path', { class: 'mark-line', d: 'M7 21c3.2 0 3.4-10 6.4-10s2.6 7 5.2 7 2.6-4 6.4-4', fill: 'none', 'stroke-width': 2.6, 'stroke-linecap': 'round' }),
    svg('circle', { class: 'mark-dot', cx: 25, cy: 14, r: 2.2 }));
}
