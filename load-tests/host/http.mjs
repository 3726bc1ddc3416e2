/**
 * `k6/http` for one virtual user: its own connections, k6's timings, k6's shape of an answer.
 * The time between the moment at which an arrival was meant to begin and the moment at which its first request could be
 * sent counts as `blocked` there: a generator that falls behind does not look fast.
 */
import http from 'node:http';
import { performance } from 'node:perf_hooks';
import { seconds } from './metrics.mjs';

/** Largest answer that is read, in bytes. */
const LARGEST = 64 * 1024 * 1024;

/** The module, for one virtual user. */
export function httpModule(host, vu) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: host.options?.batchPerHost ?? 6, scheduling: 'fifo' });
  vu.onEnd.push(() => agent.destroy());
  const request = (method, url, body, params) => send(host, vu, agent, method, String(url), body, params ?? {});
  const module = {
    expectedStatuses: (...statuses) => ({
      expects: (status) => statuses.some((wanted) => isOf(wanted, status)),
      statuses,
    }),
    setResponseCallback: (callback) => {
      vu.responseCallback = callback;
    },
    request,
    get: (url, params) => request('GET', url, null, params),
    head: (url, params) => request('HEAD', url, null, params),
    post: (url, body, params) => request('POST', url, body, params),
    put: (url, body, params) => request('PUT', url, body, params),
    patch: (url, body, params) => request('PATCH', url, body, params),
    del: (url, body, params) => request('DELETE', url, body, params),
    options: (url, body, params) => request('OPTIONS', url, body, params),
    batch: (requests) => inBatches(requests, host.options?.batch ?? 20, request),
  };
  return { __esModule: true, ...module, default: module };
}

async function inBatches(requests, atOnce, request) {
  if (!Array.isArray(requests)) throw new Error('the host takes a list in http.batch');
  const answers = new Array(requests.length);
  let next = 0;
  const worker = async () => {
    while (next < requests.length) {
      const index = next++;
      const { method, url, body, params } = requests[index];
      answers[index] = await request(method, url, body, params);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, requests.length) }, worker));
  return answers;
}

async function send(host, vu, agent, method, url, body, params) {
  if (vu.ended) throw new Error('the iteration was interrupted');
  const late = vu.late;
  vu.late = 0;
  let answer = await once(agent, method, url, body, params);
  // The server hung up an idle connection just as we took it: nothing was read, and another one will do. All that this
  // user has may be as old.
  for (let tries = 0; answer.stale && tries <= agent.maxSockets; tries++) {
    answer = await once(agent, method, url, body, params);
  }
  answer.timings.blocked += late;
  record(host, vu, answer, method, params.tags ?? {});
  return answer;
}

function once(agent, method, url, body, params) {
  return new Promise((resolve) => {
    const began = performance.now();
    const at = { socket: began, connected: began, sent: began, first: began };
    const payload = body === null || body === undefined ? undefined : Buffer.from(body);
    const headers = { ...params.headers };
    if (payload !== undefined) headers['Content-Length'] = payload.length;
    const request = http.request(url, { method, headers, agent });
    const limit = setTimeout(
      () => request.destroy(new Error('request timeout')),
      seconds(params.timeout ?? '60s') * 1000,
    );
    request.on('socket', (socket) => {
      at.socket = at.connected = at.sent = performance.now();
      if (socket.connecting) socket.once('connect', () => (at.connected = at.sent = performance.now()));
    });
    request.on('finish', () => (at.sent = Math.max(at.connected, performance.now())));
    const done = (status, heads, chunks, error, stale) => {
      clearTimeout(limit);
      const end = performance.now();
      const first = status === 0 ? end : at.first;
      resolve({
        status,
        status_text: `${status} ${http.STATUS_CODES[status] ?? ''}`.trim(),
        url,
        body: status === 0 ? null : Buffer.concat(chunks).toString('utf8'),
        headers: heads,
        error,
        error_code: status === 0 ? 1000 : status >= 400 ? 1000 + status : 0,
        timings: {
          blocked: at.socket - began,
          connecting: at.connected - at.socket,
          tls_handshaking: 0,
          sending: Math.max(0, Math.min(at.sent, first) - at.connected),
          waiting: Math.max(0, first - Math.max(at.connected, Math.min(at.sent, first))),
          receiving: end - first,
          duration: end - at.connected,
        },
        sent: payload?.length ?? 0,
        stale,
        json() {
          return JSON.parse(this.body);
        },
      });
    };
    request.on('error', (error) => {
      done(0, {}, [], error.message, request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(error.code));
    });
    request.on('response', (response) => {
      at.first = performance.now();
      const chunks = [];
      let size = 0;
      response.on('data', (chunk) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > LARGEST) response.destroy(new Error(`an answer of more than ${LARGEST} bytes`));
      });
      response.on('error', (error) => done(0, {}, [], error.message, false));
      response.on('end', () => done(response.statusCode, canonical(response.headers), chunks, '', false));
    });
    request.end(payload);
  });
}

function record(host, vu, answer, method, own) {
  const { metrics } = host;
  const expected = vu.responseCallback?.expects(answer.status) ?? (answer.status >= 200 && answer.status < 400);
  const { url, status } = answer;
  const tags = { name: url, url, method, status, expected_response: expected, ...own };
  const add = (name, value) => metrics.add(metrics.get(name), value, tags, vu.tags);
  add('http_reqs', 1);
  add('http_req_failed', expected ? 0 : 1);
  for (const [name, value] of Object.entries(answer.timings)) add(`http_req_${name}`, value);
  add('data_sent', answer.sent);
  add('data_received', answer.body?.length ?? 0);
}

/** Names as Go writes them, which is how k6's scripts look for them. */
function canonical(headers) {
  const found = {};
  for (const [name, value] of Object.entries(headers)) {
    found[name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase())] = Array.isArray(value)
      ? value.join(', ')
      : value;
  }
  return found;
}

function isOf(wanted, status) {
  return typeof wanted === 'number' ? wanted === status : wanted.min <= status && status <= wanted.max;
}
