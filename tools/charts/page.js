// Draws the charts that chartsOf(report) describes (page.h), with dygraphs.
'use strict';
{
  const UNITS = {
    seconds: [[3600, 'h'], [60, 'min'], [1, 's'], [1e-3, 'ms'], [1e-6, 'µs']],
    bytes: [[2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']],
  };
  // Steps between the labels of a time axis, in seconds.
  const TIME_STEPS = [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
    900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400];

  // Three significant digits, or all digits before the point.
  const formatNumber = number => Math.abs(number) >= 100
    ? Math.round(number).toLocaleString('en')
    : String(Number(number.toPrecision(3)));

  function format(value, unit) {
    if (value === null || value === undefined) return '';
    if (unit === 'per_second') return formatNumber(value) + '/s';
    const units = UNITS[unit];
    if (!units) return formatNumber(value);
    if (value <= 0) return '0';
    const [size, name] = units.find(([s]) => value >= s * 0.9995) || units.at(-1);
    return `${formatNumber(value / size)} ${name}`;
  }

  // Seconds since midnight as "20:30", with seconds if there are any, and with
  // "+1" on the following day.
  function formatClock(seconds) {
    const total = Math.floor(seconds + 1e-6);
    const two = number => String(number).padStart(2, '0');
    let text = `${two(Math.floor(total / 3600) % 24)}:${two(Math.floor(total / 60) % 60)}`;
    const rest = Math.round((seconds - total + total % 60) * 1000) / 1000;
    if (rest >= 0.001) text += ':' + (rest < 10 ? '0' : '') + rest;
    const days = Math.floor(total / 86400);
    return days > 0 ? `${text} +${days}` : text;
  }

  function timeTicks(from, to, pixels) {
    const most = Math.max(2, pixels / 70);
    const step = TIME_STEPS.find(s => (to - from) / s <= most) || TIME_STEPS.at(-1);
    const ticks = [];
    for (let i = Math.ceil(from / step); i * step <= to; ++i) {
      ticks.push({v: i * step, label: formatClock(i * step)});
    }
    return ticks;
  }

  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Options that depend on light or dark.
  const colorsOf = chart => ({
    colors: chart.series.map(series => css(`--s${series.color}`)),
    gridLineColor: css('--grid'),
    axisLineColor: css('--axis'),
  });

  // dygraphs escapes labelHTML. Values are numbers.
  function legend(chart, data) {
    const parts = data.series.map(series =>
      `<span>${series.dashHTML} ${series.labelHTML}` +
      (data.x === undefined ? '' : ` <b>${format(series.y, chart.unit) || '–'}</b>`) + '</span>');
    if (data.x !== undefined) {
      const start = formatClock(data.x - chart.step / 2);
      parts.unshift(`<span>${start} for ${format(chart.step, 'seconds')}</span>`);
    }
    return parts.join('');
  }

  // Values are drawn in the middle of their interval. A logarithmic axis has no
  // 0.
  function rowsOf(chart) {
    return chart.series[0].values.map((_, i) => [
      chart.start + chart.step * (i + 0.5),
      ...chart.series.map(({values}) => chart.logarithmic && !(values[i] > 0) ? null : values[i]),
    ]);
  }

  function draw(chart, figure) {
    const rows = rowsOf(chart);
    const optionsOf = series => ({
      fillGraph: Boolean(chart.stacked) || series.style === 'area',
      strokePattern: series.style === 'dashed' ? [5, 4] : null,
    });
    return new Dygraph(figure.querySelector('.chart'), rows, {
      labels: ['time', ...chart.series.map(({name}) => name)],
      series: Object.fromEntries(chart.series.map(series => [series.name, optionsOf(series)])),
      ...colorsOf(chart),
      stackedGraph: Boolean(chart.stacked),
      logscale: Boolean(chart.logarithmic),
      valueRange: chart.logarithmic ? null : [0, null],
      dateWindow: [chart.start, chart.start + chart.step * rows.length],
      fillAlpha: chart.stacked ? 0.55 : 0.18,
      strokeWidth: 1.6,
      highlightCircleSize: 3,
      labelsDiv: figure.querySelector('.legend'),
      legend: 'always',
      legendFormatter: data => legend(chart, data),
      labelsKMG2: chart.unit === 'bytes',  // ticks at powers of two
      axes: {
        x: {ticker: timeTicks, pixelsPerLabel: 70},
        y: {axisLabelFormatter: value => format(value, chart.unit), axisLabelWidth: 62},
      },
      // dygraphs would catch all touches: a page could not be scrolled past a chart.
      ...(matchMedia('(pointer: coarse)').matches ? {interactionModel: {}} : {}),
    });
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function addFigure(chart, parent) {
    const figure = element('figure');
    const caption = element('figcaption');
    caption.append(element('b', '', chart.title));
    figure.append(caption);
    parent.append(figure);
    if (!chart.series.some(({values}) => values.some(value => value > 0))) {
      figure.append(element('p', 'none', 'none'));
      return null;
    }
    caption.append(element('div', 'legend'));
    const area = element('div', 'chart');
    area.setAttribute('role', 'img');
    area.setAttribute('aria-label', `Chart: ${chart.title}. A table below has the values.`);
    figure.append(area);
    return [draw(chart, figure), chart];
  }

  const drawn = [];
  for (const {heading, charts} of chartsOf(JSON.parse(document.getElementById('report').textContent))) {
    const main = document.getElementById('charts');
    main.append(element('h2', '', heading));
    const grid = element('div', 'charts');
    main.append(grid);
    drawn.push(...charts.map(chart => addFigure(chart, grid)).filter(Boolean));
  }
  // Zooming and pointing act on all charts of the page.
  if (drawn.length > 1) Dygraph.synchronize(drawn.map(([graph]) => graph), {range: false});
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const [graph, chart] of drawn) graph.updateOptions(colorsOf(chart));
  });
}
