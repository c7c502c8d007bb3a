// Opens every page of the built site in Chromium, on a wide and on a narrow screen, light and dark, and reports what
// axe-core calls serious or critical there, links of the site that lead nowhere, errors of scripts, and a search that
// finds nothing. `.ci/accessibility` calls it: node accessibility.mjs SITE CHROMIUM [PATTERN [PICTURES]], where PATTERN
// chooses pages and PICTURES is a folder for pictures of some of them.
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [site, chromium, pattern = "", pictures] = process.argv.slice(2);
const require = createRequire(path.join(process.cwd(), "package.json"));
const puppeteer = require("puppeteer-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const WIDTHS = { wide: 1280, narrow: 390 };
const SCHEMES = ["light", "dark"];
const GRAVE = ["serious", "critical"];
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const SHOWN = ["index.html", "guide/first_forecast.html", "api/pyrnn.losses.html", "gallery/index.html"];
const SEARCHES = { quantile: "guide/", checkpoint_steps: "guide/speed", Forecaster: "guide/forecaster" };

const pages = fs.readdirSync(site, { recursive: true })
  .filter((name) => name.endsWith(".html") && new RegExp(pattern).test(name)).sort();
const faults = new Map(); // text to the pages that have it
function add(text, where) {
  if (!faults.has(text)) console.log(`${text}\n    ${where}`);
  faults.set(text, [...(faults.get(text) ?? []), where]);
}
const browser = await puppeteer.launch({ executablePath: chromium, args: FLAGS });

async function check(name) {
  const page = await browser.newPage();
  page.on("pageerror", (error) => add(`error of a script: ${error.message}`, name));
  await page.goto(pathToFileURL(path.join(site, name)).href, { waitUntil: "load" });
  await page.evaluate(axe);
  for (const [size, width] of Object.entries(WIDTHS)) {
    await page.setViewport({ width, height: 900 });
    for (const scheme of SCHEMES) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      const form = `${size}, ${scheme}`;
      const { violations } = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
      for (const { id, impact, help, nodes } of violations.filter((each) => GRAVE.includes(each.impact))) {
        add(`${id} (${impact}): ${help}: ${nodes[0].html.slice(0, 160)}`, `${name} (${form}, ${nodes.length} times)`);
      }
      if (await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)) {
        add("the page is wider than the screen", `${name} (${form})`);
      }
      if (pictures && SHOWN.includes(name)) {
        await page.screenshot({ path: path.join(pictures, `${name.replace(/\W/g, "-")}-${size}-${scheme}.png`) });
      }
    }
  }
  const links = await page.$$eval("a[href], img[src]", (all) => all.map((each) => each.href || each.src));
  await page.close();
  return links;
}

async function checkSearch() {
  for (const [text, wanted] of Object.entries(SEARCHES)) {
    const page = await browser.newPage();
    await page.goto(`${pathToFileURL(path.join(site, "search.html")).href}?q=${text}`, { waitUntil: "load" });
    try {
      await page.waitForSelector(`#search-results a[href*="${wanted}"]`, { timeout: 20000 });
    } catch {
      add(`a search for ${text} does not find ${wanted}`, "search.html");
    }
    await page.close();
  }
}

const targets = new Map(); // links of the site to a page that has them
const external = new Set();
for (const name of pages) {
  for (const link of await check(name)) {
    if (link.startsWith("file:")) targets.set(link, name);
    else if (/^https?:/.test(link)) external.add(link);
    else if (!link.startsWith("data:") && !link.startsWith("mailto:")) add(`a link of another form: ${link}`, name);
  }
}
const anchors = new Map(); // file to its ids
for (const [link, name] of targets) {
  const { pathname, hash } = new URL(link);
  const file = decodeURIComponent(pathname);
  if (!fs.existsSync(file)) add(`a broken link: ${file}`, name);
  else if (hash && file.endsWith(".html")) {
    if (!anchors.has(file)) {
      const text = fs.readFileSync(file, "utf8");
      anchors.set(file, new Set([...text.matchAll(/\s(?:id|name)="([^"]+)"/g)].map((each) => each[1])));
    }
    const id = decodeURIComponent(hash.slice(1));
    if (id && !anchors.get(file).has(id)) add(`a link to no heading: ${path.relative(site, file)}${hash}`, name);
  }
}
await checkSearch();
await browser.close();
for (const [text, where] of faults) {
  if (where.length > 1) console.log(`${where.length} times: ${text}`);
}
console.log(`${pages.length} pages, ${targets.size} links of the site, ${external.size} external; ${faults.size} faults`);
process.exitCode = faults.size ? 1 : 0;
