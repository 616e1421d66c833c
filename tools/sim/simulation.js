// The charts of sluice-sim's page, from the report of --json.
function chartsOf(report) {
  return report.pools.map(pool => ({heading: `Pool ${pool.pool}`, charts: poolCharts(report, pool)}));
}

function poolCharts(report, pool) {
  const values = of => pool.windows.map(of);
  const rate = of => values(window => of(window) / report.window_seconds);
  const always = value => values(() => value);
  const most = series => Math.max(...series.flatMap(({values}) => values));
  const any = series => most([series]) > 0;

  // A limit is drawn only if it is near enough to matter. Null: no limit.
  const withLimit = (series, name, limits) => {
    const highest = Math.max(...limits.map(limit => limit ?? Infinity));
    if (highest <= 4 * most(series)) series.push({name, color: 6, style: 'dashed', values: limits});
    return series;
  };
  const chart = (title, unit, series, more = {}) => ({
    title, unit, series, start: report.start_seconds, step: report.window_seconds, ...more,
  });
  const level = field => [
    {name: 'most', color: 2, values: values(window => window[field].max)},
    {name: 'on average', color: 0, style: 'area', values: values(window => window[field].mean)},
  ];
  const times = (title, field) => chart(title, 'seconds', [
    {name: '50 % within', color: 0, values: values(window => window[field].p50)},
    {name: '99 % within', color: 3, values: values(window => window[field].p99)},
  ], {logarithmic: true});

  const arrivals = [
    {name: 'attempts', color: 0, values: rate(window => window.arrivals)},
    {name: 'new submissions', color: 4, values: rate(window => window.submissions)},
    {name: 'answered in time', color: 1, style: 'area', values: rate(window => window.answered_in_time)},
  ];
  const late = {name: 'answered too late', color: 3, values: rate(window => window.answered_late)};
  if (any(late)) arrivals.push(late);

  // Each reason has the same color on all pages.
  const colors = {
    QUEUE_FULL: 3, WAIT_OVER: 2, WAITING_ROOM_FULL: 5, DRAINING: 4, STORE_UNAVAILABLE: 7, HOPELESS: 0,
  };
  const reasons = new Set(pool.windows.flatMap(window => Object.keys(window.rejected)));
  const lost = [
    ...Object.keys(colors).filter(name => reasons.has(name)).map(name => ({
      name, color: colors[name], values: rate(window => window.rejected[name] ?? 0),
    })),
    {name: 'dropped', color: 1, values: rate(window => window.dropped)},
    {name: 'deadline passed', color: 6, values: rate(window => window.left)},
  ].filter(any);

  const charts = [
    chart('Arrivals and their results', 'per_second', withLimit(
      arrivals, 'capacity of the store', values(window => window.capacity_per_second))),
    chart('Refused, dropped and past the deadline', 'per_second',
      lost.length > 0 ? lost : [{name: 'refused', color: 3, values: always(0)}], {stacked: true}),
    times('Time to an answer, of calls answered in time', 'answer_seconds'),
    times('Wait for a worker', 'wait_seconds'),
    chart('In the queue', 'number',
      withLimit(level('depth'), 'queue.capacity', always(pool.queue_capacity))),
    chart('In the waiting room', 'number',
      withLimit(level('waiting'), 'waiting.max', always(pool.waiting_max))),
    chart('Workers', 'number', [
      {name: 'all', color: 4, values: values(window => window.workers.mean)},
      {name: 'busy', color: 0, style: 'area', values: values(window => window.workers_busy.mean)},
      {name: 'workers.max', color: 6, style: 'dashed', values: always(pool.workers)},
    ]),
    chart('Memory of submissions', 'bytes',
      withLimit(level('bytes'), 'queue.capacity_bytes', always(pool.queue_capacity_bytes))),
  ];
  if (pool.fair) {
    charts.push(chart('Lanes in use', 'number', level('lanes')));
  }
  return charts;
}
