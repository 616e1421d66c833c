// Tests every RPC of a running server with a JavaScript client that knows only
// the address of the server.

'use strict';

const assert = require('node:assert/strict');
const {createHash, randomUUID} = require('node:crypto');
const {after, before, describe, test} = require('node:test');
const grpc = require('@grpc/grpc-js');

const {Reflection, learn} = require('./reflection.js');
const {Server} = require('./server.js');

const SQLITE = `
store: {kind: sqlite, path: $DIR/sluice.db}
pools:
  main: {queue: {kind: memory, capacity: 1000}}
methods:
  default: {pool: main, on_full: fail_fast, ack: stored}
  sluice.v1.Ingestion/RecordEvents: {pool: main, on_full: drop, ack: queued}
`;

// A pool with one worker, which takes this long for each submission, and a queue
// for one submission.
const BUSY_MS = 1500;
const FULL = `
store: {kind: discard, delay: ${BUSY_MS}ms, allow_loss: true}
pools:
  main:
    queue: {kind: memory, capacity: 1}
    workers: {min: 1, max: 1}
    batch: {max: 1}
methods:
  default: {pool: main, on_full: fail_fast, ack: stored}
`;

// gRPC's own retries. Without the retry delay of the server, all retries would
// come so soon that they find the queue full.
const RETRIES = JSON.stringify({
  methodConfig: [{
    name: [{service: 'sluice.v1.Ingestion'}],
    retryPolicy: {
      maxAttempts: 5,
      initialBackoff: '0.01s',
      maxBackoff: '0.01s',
      backoffMultiplier: 1,
      retryableStatusCodes: ['RESOURCE_EXHAUSTED', 'UNAVAILABLE'],
    },
  }],
});

// Bounds of the retry delay while the server does not know its rate: 1 s times
// a random factor of 0.8 to 1.2.
const PUSHBACK_MS = {min: 800, max: 1200};

const SYMBOLS = [
  'sluice.v1.Ingestion', 'grpc.health.v1.Health', 'google.rpc.Status',
  'google.rpc.ErrorInfo',
];

function submission(id = randomUUID()) {
  return {
    submission_id: id,
    study_id: 'STUDY-NODE',
    response: {
      questionnaire: 'http://example.org/Questionnaire/phq-9|1.0.0',
      status: 'COMPLETED',
      subject: {reference: 'Patient/1'},
      authored: '2026-03-01T20:15:00+01:00',
      item: [{
        link_id: '44250-9',
        answer: [{coding: {system: 'http://loinc.org', code: 'LA6569-3'}}],
      }],
    },
  };
}

// Calls a unary method. Resolves to the response.
function call(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, {deadline: Date.now() + 60_000},
                   (error, response) =>
                       error ? reject(error) : resolve(response));
  });
}

// Sends all requests on one stream. Resolves to the responses.
function exchange(stream, requests) {
  return new Promise((resolve, reject) => {
    const responses = [];
    stream.on('data', (response) => responses.push(response));
    stream.on('error', reject);
    stream.on('end', () => resolve(responses));
    for (const request of requests) stream.write(request);
    stream.end();
  });
}

function dispositions(receipts) {
  return receipts.map(({disposition}) => disposition);
}

// Returns the details of an error by message name, decoded with the messages
// that reflection found.
function decodeDetails(messages, error) {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const status = messages.lookupType('google.rpc.Status').decode(bytes);
  return Object.fromEntries(status.details.map((any) => {
    const name = any.type_url.split('/').pop();
    return [name, messages.lookupType(name).decode(any.value)];
  }));
}

function serve(config) {
  const context = {clients: []};
  before(async () => {
    context.server = await Server.start(config);
    const {address} = context.server;
    const {services, messages} = await learn(address, SYMBOLS);
    context.messages = messages;
    context.connect = (Service, options = {}) => {
      const client =
          new Service(address, grpc.credentials.createInsecure(), options);
      context.clients.push(client);
      return client;
    };
    context.Ingestion = services.sluice.v1.Ingestion;
    context.Health = services.grpc.health.v1.Health;
    context.ingestion = context.connect(context.Ingestion);
  });
  after(async () => {
    for (const client of context.clients) client.close();
    assert.equal(await context.server.stop(), 0, 'drained clean');
  });
  return context;
}

describe('a client that works by reflection', () => {
  const context = serve(SQLITE);

  test('finds the services', async () => {
    const reflection = new Reflection(context.server.address);
    const services = await reflection.listServices();
    reflection.close();
    assert.ok(services.includes('sluice.v1.Ingestion'), services.join());
    assert.ok(services.includes('grpc.health.v1.Health'), services.join());
  });

  test('finds the server healthy', async () => {
    const health = context.connect(context.Health);
    const {status} =
        await call(health, 'check', {service: ''});
    assert.equal(status, 'SERVING');
  });

  test('submits, and gets DUPLICATE when it submits again', async () => {
    const request = submission();
    const bytes = context.Ingestion.service.Submit.requestSerialize(request);
    const first = await call(context.ingestion, 'submit', request);
    assert.equal(first.disposition, 'STORED');
    assert.equal(first.submission_id, request.submission_id);
    assert.deepEqual(first.content_sha256,
                     createHash('sha256').update(bytes).digest());
    const second = await call(context.ingestion, 'submit', request);
    assert.equal(second.disposition, 'DUPLICATE');
    assert.equal(second.sequence, first.sequence);
    assert.deepEqual(second.received_at, first.received_at);
  });

  test('gets ALREADY_EXISTS for other content under a known id', async () => {
    const request = submission();
    await call(context.ingestion, 'submit', request);
    request.response.status = 'AMENDED';
    await assert.rejects(call(context.ingestion, 'submit', request),
                         {code: grpc.status.ALREADY_EXISTS});
  });

  test('learns which field is invalid', async () => {
    await assert.rejects(
        call(context.ingestion, 'submit', submission('')), (error) => {
          assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
          const details = decodeDetails(context.messages, error);
          assert.equal(
              details['google.rpc.BadRequest'].field_violations[0].field,
              'submission_id');
          return true;
        });
  });

  test('submits on a stream', async () => {
    const requests = Array.from({length: 20}, () => submission());
    const receipts =
        await exchange(context.ingestion.submitStream(), requests);
    assert.deepEqual(
        receipts.map(({submission_id: id}) => id).sort(),
        requests.map(({submission_id: id}) => id).sort());
    assert.deepEqual(dispositions(receipts), Array(20).fill('STORED'));
  });

  test('imports patients, one of them invalid', async () => {
    const data = Buffer.from('{"resourceType": "Patient"}');
    const {receipts, counts} =
        await call(context.ingestion, 'importPatients', {
          study_id: 'STUDY-NODE',
          records: [{patient_id: 'p-1', data}, {data}, {patient_id: 'p-3', data}],
        });
    assert.deepEqual(dispositions(receipts), ['STORED', 'INVALID', 'STORED']);
    assert.equal(counts.stored, '2');
    assert.equal(counts.invalid, '1');
  });

  test('records events', async () => {
    const {receipts} = await call(context.ingestion, 'recordEvents', {
      study_id: 'STUDY-NODE',
      events: [{event_id: randomUUID(), name: 'app_opened'}],
    });
    assert.deepEqual(dispositions(receipts), ['QUEUED']);
  });

  test('asks for receipts', async () => {
    const request = submission();
    const stored = await call(context.ingestion, 'submit', request);
    const {receipts} = await call(context.ingestion, 'getReceipts', {
      study_id: 'STUDY-NODE',
      submission_ids: [request.submission_id, 'never-sent'],
    });
    assert.deepEqual(dispositions(receipts), ['STORED', 'UNKNOWN']);
    assert.equal(receipts[0].sequence, stored.sequence);
    assert.deepEqual(receipts[0].content_sha256, stored.content_sha256);
  });
});

describe('a client that finds the queue full', () => {
  const context = serve(FULL);
  const busy = [];

  before(async () => {
    busy.push(call(context.ingestion, 'submit', submission()));
    await context.server.untilMetric('sluice_in_work', {pool: 'main'}, 1);
    busy.push(call(context.ingestion, 'submit', submission()));
    await context.server.untilMetric('sluice_queue_depth', {pool: 'main'}, 1);
  });

  // The tests run one after another while the worker is busy with the first
  // submission.
  test('learns the reason and the retry delay', async () => {
    await assert.rejects(
        call(context.ingestion, 'submit', submission()), (error) => {
          assert.equal(error.code, grpc.status.RESOURCE_EXHAUSTED);
          const details = decodeDetails(context.messages, error);
          const info = details['google.rpc.ErrorInfo'];
          assert.equal(info.domain, 'sluice');
          assert.equal(info.reason, 'QUEUE_FULL');
          const {retry_delay} = details['google.rpc.RetryInfo'];
          const delayMs =
              Number(retry_delay.seconds) * 1000 + retry_delay.nanos / 1e6;
          const [pushback] = error.metadata.get('grpc-retry-pushback-ms');
          assert.equal(Number(pushback), delayMs);
          assert.ok(delayMs >= PUSHBACK_MS.min && delayMs <= PUSHBACK_MS.max,
                    `${delayMs} ms`);
          return true;
        });
  });

  test('retries after the delay that the server asked for', async () => {
    const refused = () => context.server.metric('sluice_rejections_total',
                                                {method: 'Submit'});
    const refusedBefore = await refused();
    const retrying = context.connect(context.Ingestion, {
      'grpc.service_config': RETRIES,
      'grpc.use_local_subchannel_pool': 1,
    });
    const begun = performance.now();
    const receipt = await call(retrying, 'submit', submission());
    const took = performance.now() - begun;
    const refusals = await refused() - refusedBefore;

    assert.equal(receipt.disposition, 'STORED');
    assert.ok(refusals >= 1 && refusals <= 4, `${refusals} refusals`);
    assert.ok(took >= refusals * PUSHBACK_MS.min,
              `${refusals} refusals in ${took} ms`);
    assert.deepEqual(dispositions(await Promise.all(busy)),
                     ['STORED', 'STORED']);
  });
});
