// The charts of sluice-load's page, from the report of --json. Times are by the
// clock of the profile.
function chartsOf(report) {
  const {profile, timeline} = report;
  const per_second = field => timeline.map(interval => interval[field] / report.interval_seconds);
  const values = field => timeline.map(interval => interval[field] ?? null);
  const chart = (title, unit, series, more = {}) => ({
    title, unit, series, start: profile.start_seconds,
    step: report.interval_seconds * profile.compress, ...more,
  });
  const any = series => series.values.some(value => value > 0);

  const ends = [
    {name: 'refused', color: 2, values: per_second('refused')},
    {name: 'too late', color: 3, values: per_second('late')},
    {name: 'failed', color: 5, values: per_second('failed')},
  ].filter(any);
  const seconds = field => values(field).map(us => us / 1e6);
  const charts = [
    chart('Calls', 'per_second', [
      {name: 'offered', color: 0, values: per_second('offered')},
      {name: 'answered OK in time', color: 1, style: 'area', values: per_second('in_time')},
      ...ends,
    ]),
    chart('Time to an answer', 'seconds', [
      {name: '50 % within', color: 0, values: seconds('p50_us')},
      {name: '99 % within', color: 3, values: seconds('p99_us')},
    ], {logarithmic: true}),
  ];
  if (timeline.some(interval => 'workers' in interval)) {
    charts.push(
      chart('Workers', 'number', [
        {name: 'all', color: 4, values: values('workers')},
        {name: 'busy', color: 1, style: 'area', values: values('busy')},
      ]),
      chart('Queue', 'number', [
        {name: 'in the queue', color: 0, values: values('depth')},
        {name: 'in the waiting room', color: 2, values: values('waiting')},
      ]));
  }
  return [{heading: 'Over time', charts}];
}
