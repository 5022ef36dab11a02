// Elements from code: text always becomes text nodes, never markup.

const PROPERTIES = new Set(['value', 'checked', 'disabled', 'selected', 'open', 'hidden', 'indeterminate']);

function apply(element, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith('on') && typeof value === 'function') {
      element.addEventListener(name.slice(2), value);
    } else if (name === 'dataset') {
      Object.assign(element.dataset, value);
    } else if (PROPERTIES.has(name)) {
      element[name] = value;
    } else if (value !== false) {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** An HTML element: `h('button', { class: 'x', onclick }, 'text', node)`. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  // Children first: a select takes its value only when the option is there.
  append(element, children);
  apply(element, props);
  return element;
}

/** An SVG element, by the same rules. */
export function svg(tag, props, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  apply(element, props);
  return append(element, children);
}

/** Replace everything inside `element`. */
export function fill(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

let serial = 0;
/** A new id for label/for and aria references. */
export function uid(prefix = 'id') {
  serial += 1;
  return `${prefix}-${serial}`;
}
