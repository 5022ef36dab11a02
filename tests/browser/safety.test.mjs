// Hostile text in answers, names and run files stays text; the page keeps to its origin and policy.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hostileName } from './fakes.mjs';
import { ask, closeAll, launch, needsFakes, openPage, settled } from './harness.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => closeAll(browser));

test('markup in an answer does not run, load or disturb the page', { skip: needsFakes }, async () => {
  const { page, finish } = await openPage(browser);
  await ask(page, '[hostile]');
  await settled(page);
  const found = await page.locator('.answer').evaluate((answer) => ({
    elements: answer.querySelectorAll('.markdown :is(script, style, iframe, img, svg:not(.icon), form, input, object, embed, link, meta, base)').length,
    attributes: [...answer.querySelectorAll('.markdown *')].flatMap((node) => [...node.attributes].map(({ name }) => name)).filter((name) => name.startsWith('on') || name === 'style' || name === 'srcset'),
    links: [...answer.querySelectorAll('.markdown a')].map((link) => [link.getAttribute('href'), link.rel, link.target]),
    text: answer.querySelector('.markdown').textContent,
  }));
  assert.equal(found.elements, 0);
  assert.deepEqual(found.attributes, []);
  assert.deepEqual(found.links.filter(([href]) => href !== null), [
    ['https://example.org/a?b=1', 'noopener noreferrer', '_blank'], ['mailto:a@example.org', 'noopener noreferrer', '_blank']]);
  assert.match(found.text, /<script>window\.broken=1<\/script>/, 'markup is shown as text');
  assert.match(found.text, /\[图片：picture\]/);
  await page.locator('.answer a').evaluateAll((links) => links.filter((link) => !link.href.startsWith('http') && !link.href.startsWith('mailto')).forEach((link) => link.click()));
  await finish();
});

test('markup in questions, adapter names and run files stays text', { skip: needsFakes }, async () => {
  const { page, url, finish } = await openPage(browser, { server: { hostile: true } });
  const id = `chatglm2-6b:${hostileName}`;
  await page.getByLabel('模型', { exact: true }).selectOption(id);
  await page.locator('.remark.warning').waitFor();
  await ask(page, hostileName);
  await settled(page);
  assert.equal(await page.locator('.question-text').textContent(), hostileName);
  assert.equal(await page.locator('.answer-title .chip-name').textContent(), hostileName);
  await page.goto(`${url}#compare`);
  await page.locator('.choice input').last().check();
  await page.getByLabel('要对比的问题').fill(hostileName);
  await page.getByLabel('要对比的问题').press('Enter');
  await settled(page);
  assert.equal(await page.locator('.column-head h3').last().textContent(), hostileName);
  await page.goto(`${url}#runs`);
  await page.locator('.checkpoint[open] .sample').first().waitFor();
  assert.equal(await page.locator('#app img, #app script').count(), 0);
  await page.goto(`${url}#runs/${encodeURIComponent(hostileName)}`);
  await page.getByText('no such run').waitFor();
  await page.goto(`${url}#runs/%`);
  await finish();
});

test('stored rubbish does not break the page', async () => {
  const { page, finish } = await openPage(browser);
  await page.locator('.composer').waitFor();
  await page.evaluate(() => {
    for (const [name, value] of [['chat.x', '{"id":"x"}'], ['chat.y', 'not json'], ['compare', '{"a":1}'], ['compare-models', '7'], ['model', '"gone"'], ['sampling.ChatGLM2', '"x"'], ['theme', '5']]) {
      localStorage.setItem(`glmtune.${name}`, value);
    }
  });
  await page.reload();
  await page.locator('.composer').waitFor();
  assert.equal(await page.locator('.chat-item').count(), 0);
  await page.getByRole('link', { name: '对比' }).click();
  await page.locator('.choices').waitFor();
  await finish();
});

test('the policy forbids inline code, and the page has none', async () => {
  const { page, url, finish } = await openPage(browser);
  await page.locator('.composer').waitFor();
  const response = await page.request.get(url);
  const policy = response.headers()['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  const html = await response.text();
  assert.doesNotMatch(html, /\sstyle=|\son\w+=|<style|<script(?![^>]*src=)/i);
  assert.doesNotMatch(html, /https?:\/\//);
  await finish();
});
