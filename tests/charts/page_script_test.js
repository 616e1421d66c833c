// Runs the scripts of the pages of sluice-sim and sluice-load against stubs of
// the browser and of dygraphs, and looks at what would be drawn.
'use strict';

const assert = require('node:assert');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const vm = require('node:vm');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'charts_test.'));
test.after(() => fs.rmSync(folder, {recursive: true}));

// A source in a pool that is shared by site, and a name that must be escaped.
function simulationPage() {
  const config = path.join(folder, 'config.yaml');
  fs.writeFileSync(config, 'store: {kind: discard, allow_loss: true}\n' +
    'pools: {main: {fair_by: site, workers: {min: 1, max: 1}, queue: {kind: memory, capacity: 10}}}\n' +
    'methods: {default: {pool: main, on_full: fail_fast}}\n');
  const traffic = path.join(folder, '<script>&\'.yaml');
  fs.writeFileSync(traffic, 'start: "20:00"\nduration: 60s\n' +
    'store: {per_batch: 100ms, per_submission: 50ms}\n' +
    'arrivals: {diaries: {method: Submit, rate: 100, sites: 3}}\n');
  const output = path.join(folder, 'sim.html');
  execFileSync(process.env.SLUICE_SIM, [`--config=${config}`, `--output=${output}`, traffic]);
  return fs.readFileSync(output, 'utf8');
}

const loadPage = (...args) => execFileSync(process.env.LOAD_PAGE, args, {encoding: 'utf8'});

function scriptsOf(html) {
  const found = [...html.matchAll(/<script( [^>]*)?>\n([^]*?)<\/script>/g)].map(match => match[2]);
  assert.strictEqual(found.length, 3, 'a report and two scripts');
  return {report: found[0], scripts: found.slice(1)};
}

// As much of an element as the page uses.
class Element {
  constructor() { this.children = []; }
  append(...children) { this.children.push(...children); }
  setAttribute() {}
  querySelector() { return new Element(); }
}

// Returns the texts that the page makes and the arguments of each Dygraph.
function run(html) {
  const {report, scripts} = scriptsOf(html);
  const drawn = [];
  const elements = [];
  class Stub {
    constructor(_element, rows, options) { drawn.push({rows, options}); }
    updateOptions() {}
  }
  const context = vm.createContext({
    document: {
      createElement: () => (elements.push(new Element()), elements.at(-1)),
      getElementById: id => id === 'report' ? {textContent: report} : new Element(),
      documentElement: {},
    },
    getComputedStyle: () => ({getPropertyValue: name => ` ${name} `}),
    matchMedia: () => ({matches: false, addEventListener() {}}),
    navigator: {userAgent: ''},
    setTimeout, clearTimeout, console,
  });
  vm.runInContext('var window = this;', context);
  // dygraphs itself is loaded, and replaced before the page uses it.
  const [charts, page] = scripts;
  const own = page.indexOf('// Draws the charts that chartsOf(report)');
  assert.ok(own > 0);
  vm.runInContext(page.slice(0, own), context);
  assert.strictEqual(vm.runInContext('typeof Dygraph.synchronize', context), 'function');
  vm.runInContext(charts, context);
  context.Stub = Stub;
  Stub.synchronize = graphs => { context.synchronized = graphs.length; };
  vm.runInContext('Dygraph = Stub;', context);
  vm.runInContext(page.slice(own), context);
  return {
    report: JSON.parse(report), drawn, synchronized: context.synchronized,
    texts: elements.map(element => element.textContent).filter(Boolean),
  };
}

test('the page of sluice-sim draws every chart of its report', () => {
  const {report, drawn, texts, synchronized} = run(simulationPage());
  const [pool] = report.pools;
  assert.strictEqual(report.balanced, true);
  assert.ok(texts.includes('Pool main') && texts.includes('Lanes in use'));
  assert.ok(drawn.length >= 6);
  assert.strictEqual(synchronized, drawn.length);
  const [{rows, options}] = drawn;
  assert.deepStrictEqual([...options.labels].slice(0, 3), ['time', 'attempts', 'new submissions']);
  assert.strictEqual(rows.length, pool.windows.length);
  assert.strictEqual(rows[0][0], 72000 + report.window_seconds / 2);
  assert.strictEqual(rows[3][1], pool.windows[3].arrivals / report.window_seconds);
  const refused = drawn.find(({options}) => options.labels.includes('QUEUE_FULL'));
  assert.strictEqual(refused.options.stackedGraph, true);
  const full = refused.options.labels.indexOf('QUEUE_FULL');
  assert.strictEqual(refused.rows[3][full],
    pool.windows[3].rejected.QUEUE_FULL / report.window_seconds);
});

test('a page of sluice-load draws calls and latency', () => {
  const {report, drawn, texts} = run(loadPage());
  assert.strictEqual(report.profile.name, 'a</script><b>\'&.yaml');
  assert.deepStrictEqual(texts.filter(text => text === 'Workers'), []);
  assert.strictEqual(drawn.length, 2);
  const [calls, latency] = drawn;
  assert.deepStrictEqual([...calls.options.labels],
    ['time', 'offered', 'answered OK in time', 'refused']);
  assert.deepStrictEqual([...calls.rows].map(row => [...row]),
    [[27000, 12, 10, 0], [30600, 12, 10, 1], [34200, 12, 10, 2]]);
  assert.strictEqual(latency.options.logscale, true);
  assert.strictEqual(latency.rows[0][2], 0.02);
});

test('a page of sluice-load with metrics draws workers and queue', () => {
  const {drawn, texts} = run(loadPage('pool'));
  assert.ok(texts.includes('Workers') && texts.includes('Queue'));
  assert.strictEqual(drawn.length, 4);
  const [workers, queue] = drawn.slice(2);
  assert.deepStrictEqual([...workers.options.labels], ['time', 'all', 'busy']);
  assert.deepStrictEqual([...workers.rows].map(row => [...row]),
    [[27000, 5, 2], [30600, 5, 2], [34200, 5, 2]]);
  assert.deepStrictEqual([...queue.options.labels],
    ['time', 'in the queue', 'in the waiting room']);
  assert.deepStrictEqual([...queue.rows].map(row => [...row]),
    [[27000, 7, 1], [30600, 7, 1], [34200, 7, 1]]);
});

test('axes and legend show times of day and units', () => {
  const [calls, latency] = run(loadPage()).drawn;
  const label = latency.options.axes.y.axisLabelFormatter;
  assert.strictEqual(label(0.0025), '2.5 ms');
  assert.strictEqual(label(150), '2.5 min');
  assert.strictEqual(calls.options.axes.y.axisLabelFormatter(12345.6), '12,346/s');
  const ticks = calls.options.axes.x.ticker(27000, 36000, 300);
  assert.deepStrictEqual([...ticks].map(tick => tick.label), ['08:00', '09:00', '10:00']);
  const legend = calls.options.legendFormatter(
    {x: 27000, series: [{dashHTML: '', labelHTML: 'offered', y: 12}]});
  assert.match(legend, /07:00 for 1 h/);
  assert.match(legend, /offered <b>12\/s<\/b>/);
});
