// Lines over the last five minutes, one point a second.

const SECONDS = 300;
const NAMESPACE = 'http://www.w3.org/2000/svg';

const element = (name, attributes, text) => {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

/** The least of 1, 2, 5, 10, 20, … that is no less than the value. */
function ceiling(value) {
  for (let scale = 1; ; scale *= 10) {
    for (const step of [1, 2, 5]) if (step * scale >= value) return step * scale;
  }
}

/** A number that fits into a tile. */
export function short(value) {
  if (value >= 10_000_000) return `${Math.round(value / 1_000_000)} M`;
  if (value >= 10_000) return `${Math.round(value / 1000)} k`;
  return value >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

export class Chart {
  #svg;
  #lines;
  #points = [];

  /** Draws into `svg`; each line is the name of a number in the points, and a class in the style sheet. */
  constructor(svg, lines) {
    this.#svg = svg;
    this.#lines = lines;
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  clear() {
    this.#points = [];
    this.draw();
  }

  /** Adds what was at a time, in milliseconds. */
  add(point) {
    this.#points.push(point);
    const oldest = point.at - SECONDS * 1000;
    while (this.#points[0].at < oldest) this.#points.shift();
    this.draw();
  }

  draw() {
    const { width, height } = this.#svg.getBoundingClientRect();
    if (width === 0) return;
    const [left, right, top, bottom] = [36, width - 4, 6, height - 16];
    const now = this.#points.at(-1)?.at ?? 0;
    const most = Math.max(1, ...this.#points.flatMap((point) => this.#lines.map((line) => point[line] ?? 0)));
    const scale = ceiling(most);
    const x = (at) => right - ((now - at) / (SECONDS * 1000)) * (right - left);
    const y = (value) => bottom - (value / scale) * (bottom - top);
    const parts = [];
    for (const value of [0, scale / 2, scale]) {
      parts.push(element('line', { class: 'grid', x1: left, x2: right, y1: y(value), y2: y(value) }));
      if (!Number.isInteger(value)) continue;
      parts.push(element('text', { x: left - 5, y: y(value) + 4, 'text-anchor': 'end' }, short(value)));
    }
    for (const minutes of [4, 2]) {
      parts.push(element('text', { x: x(now - minutes * 60_000), y: height - 2, 'text-anchor': 'middle' }, `${minutes} min ago`));
    }
    parts.push(element('text', { x: right, y: height - 2, 'text-anchor': 'end' }, 'now'));
    for (const line of this.#lines) parts.push(element('path', { class: `line ${line}`, d: this.#path(line, x, y) }));
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(...parts);
  }

  /** A line that breaks where nothing is known. */
  #path(line, x, y) {
    let path = '';
    let before;
    for (const point of this.#points) {
      if (point[line] === undefined) continue;
      const joins = before !== undefined && point.at - before < 5000;
      path += `${joins ? 'L' : 'M'}${x(point.at).toFixed(1)} ${y(point[line]).toFixed(1)}`;
      before = point.at;
    }
    return path;
  }
}
