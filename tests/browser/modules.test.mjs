// The page's own small parts, run where they run: in the browser, loaded from the server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { closeAll, launch, openPage } from './harness.mjs';

let browser;
let opened;
before(async () => {
  browser = await launch();
  opened = await openPage(browser);
  await opened.page.locator('.composer').waitFor();
});
after(async () => {
  await opened.finish();
  await closeAll(browser);
});

/** Hand a module of the page to the function of that name in `window.testing`. */
function within(name, run) {
  return opened.page.evaluate(async ([path, source]) => {
    return window.testing[source](await import(path));
  }, [`/assets/${name}.js`, run]);
}

test('server-sent events: any split of the bytes gives the same events', async () => {
  await opened.page.evaluate(() => {
    window.testing = {
      async sse({ events }) {
        const text = ': hello\r\ndata: {"a":"汉字😀"}\r\n\r\nevent: x\ndata:one\ndata: two\n\n\ndata: [DONE]\r\rdata: last';
        const bytes = new TextEncoder().encode(text);
        const found = new Set();
        for (let size = 1; size <= bytes.length; size += 1) {
          const body = new ReadableStream({
            start(controller) {
              for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
              controller.close();
            },
          });
          const all = [];
          for await (const data of events(body)) all.push(data);
          found.add(JSON.stringify(all));
        }
        return [...found];
      },
    };
  });
  assert.deepEqual(await within('sse', 'sse'), [JSON.stringify(['{"a":"汉字😀"}', 'one\ntwo', '[DONE]', 'last'])]);
});

test('axes: round ticks that cover the range; thinning keeps the extremes', async () => {
  await opened.page.evaluate(() => {
    window.testing.scale = ({ ticks, thinned, nearest }) => {
      const points = Array.from({ length: 10000 }, (_, index) => [index, index === 5003 ? 99 : index === 7001 ? -99 : Math.sin(index)]);
      const few = thinned(points, 100);
      return {
        ticks: [ticks(0, 10, 5), ticks(2.94, 5.41, 5), ticks(3, 3, 4), ticks(0, 0, 4), ticks(-0.02, 0.031, 5)],
        few: few.length, high: Math.max(...few.map(([, y]) => y)), low: Math.min(...few.map(([, y]) => y)),
        rising: few.every(([x], index) => index === 0 || x > few[index - 1][0]), last: few.at(-1)[0],
        nearest: [nearest([1, 5, 9], 0), nearest([1, 5, 9], 6), nearest([1, 5, 9], 8), nearest([4], 100)],
      };
    };
  });
  const found = await within('scale', 'scale');
  assert.deepEqual(found.ticks[0], [0, 2, 4, 6, 8, 10]);
  for (const [row, low, high] of [[1, 2.94, 5.41], [2, 3, 3], [3, 0, 0], [4, -0.02, 0.031]]) {
    assert.ok(found.ticks[row][0] <= low && found.ticks[row].at(-1) >= high, JSON.stringify(found.ticks[row]));
    assert.ok(found.ticks[row].length <= 9);
  }
  assert.deepEqual([found.high, found.low, found.rising, found.last], [99, -99, true, 9999]);
  assert.ok(found.few <= 202);
  assert.deepEqual(found.nearest, [0, 1, 2, 0]);
});

test('what is sent: answered exchanges only, and nothing before a single question', async () => {
  await opened.page.evaluate(() => {
    window.testing.sent = ({ sentMessages }) => {
      const say = (role, content) => ({ role, content, id: content });
      const messages = [say('user', 'a'), say('assistant', 'A'), say('user', 'b'), say('assistant', ''), say('user', 'c'), say('assistant', 'old')];
      return [null, { turns: 'history' }, { turns: null }, { turns: 'single' }].map((adapter) => sentMessages(messages, { adapter }).map(({ content }) => content).join(' '));
    };
  });
  assert.deepEqual(await within('answering', 'sent'), ['a A c', 'a A c', 'a A c', 'c']);
});

test('configuration rows and the smoothed curve', async () => {
  await opened.page.evaluate(() => {
    window.testing.rows = ({ rows }) => rows({ a: 1, b: { c: 'x', d: [1, 2], e: [{ f: null }] }, g: {}, h: [] });
    window.testing.smooth = ({ smoothed }) => smoothed([[1, 5], [2, 5], [3, 5]]).concat(smoothed([[1, 4], [2, 2]]));
  });
  assert.deepEqual(await within('configuration', 'rows'), [['a', '1'], ['b.c', 'x'], ['b.d', '[1,2]'], ['b.e[0].f', 'null'], ['g', '{}'], ['h', '[]']]);
  const curve = await within('run', 'smooth');
  for (const [, value] of curve.slice(0, 3)) assert.ok(Math.abs(value - 5) < 1e-9);
  assert.ok(Math.abs(curve[3][1] - 4) < 1e-9 && curve[4][1] > 2 && curve[4][1] < 4);
});
