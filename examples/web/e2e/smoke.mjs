// Drives the served application in a real browser:
//   BASE_URL=http://127.0.0.1:8080 CHROMIUM=/usr/bin/chromium npm run e2e
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const base = process.env.BASE_URL ?? 'http://127.0.0.1:8080';
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const page = await browser.newPage();
  await page.goto(base);
  assert.equal(await page.title(), 'Harbour Ledger');
  await page.getByRole('searchbox').fill('coffee');
  assert.match((await page.getByRole('status').textContent()) ?? '', /^1 of 18/);
  await page.getByRole('link', { name: 'HL-1001' }).click();
  await page.getByRole('heading', { name: 'HL-1001: green coffee' }).waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'HL-1001: green coffee' }).waitFor();
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  console.log('smoke test passed');
} finally {
  await browser.close();
}
