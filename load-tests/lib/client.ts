/**
 * How requests are sent: with a key, again when the server is busy, until there is a definite answer. Every answer is
 * looked at for politeness: a refusal says so in its status, and a busy server says when to come back.
 */
import { sleep } from 'k6';
import http, { type RefinedParams, type RefinedResponse } from 'k6/http';
import { errors, evaluated, violations } from './metrics.ts';

type Response = RefinedResponse<'text'>;

/** Where the server is. `STAMPEDE_SERVER` is what `stampede import` calls it. */
export const BASE = (__ENV.STAMPEDE_URL || __ENV.STAMPEDE_SERVER || 'http://127.0.0.1:8080').replace(/\/+$/, '');
/** How often a busy server is asked again. */
const TRIES = 20;
/** Longest wait between two tries, in seconds. */
const LONGEST_WAIT = 2;
/** Longer than the server's own limit for an answer. */
const PATIENCE = '15s';

// Refusals are business as usual: only other statuses count in `http_req_failed`.
http.setResponseCallback(http.expectedStatuses(200, 201, 202, 409, 422, 429, 503));

/** A request of a buyer. */
export interface Request {
  method: 'POST' | 'PUT';
  path: string;
  /** Route for the metrics: paths with ids would be a series each. */
  route: string;
  body: unknown;
  /** What the client calls its intent. */
  key?: string;
  /** The field that a good answer names its result by. */
  gives: 'order' | 'cart' | 'hold' | 'lines';
}

/** A definite answer; or none (`status` 0) after all tries. */
export interface Answer {
  status: number;
  /** The problem's code; empty when there is none. */
  code: string;
  body: string;
  /** The server says that it answered this key before. */
  replayed: boolean;
  /** All tries and the waits between them, in milliseconds. */
  ms: number;
}

/** What `GET /v1/audit` says, as far as it is used here. */
export interface Audit {
  verdict: string;
  log_position: number;
  allocated_supply: number;
  on_hand: number;
  available: number;
  held: number;
  allocated: number;
  sold: number;
  shipped: number;
  returned: number;
  written_off: number;
  oversold: number;
  captured_orders: number;
  charges: number;
  evaluated: number;
  violated: number;
}

/** Sends a request, `copies` of it at once, each until it has a definite answer. */
export function send(request: Request, copies: number): Answer[] {
  const one = {
    method: request.method,
    url: BASE + request.path,
    body: JSON.stringify(request.body),
    params: asBuyer(request),
  };
  const first: Response[] =
    copies === 1
      ? [http.request(one.method, one.url, one.body, one.params)]
      : http.batch(new Array<typeof one>(copies).fill(one));
  const answers: Answer[] = [];
  for (const response of first) {
    let [last, waited, tries] = [response, taken(response), 1];
    judgeManners(last, request);
    while (busy(last) && tries < TRIES) {
      const wait = Math.min(LONGEST_WAIT, pause(last));
      sleep(wait);
      last = http.request(one.method, one.url, one.body, one.params);
      judgeManners(last, request);
      waited += wait * 1000 + taken(last);
      tries += 1;
    }
    if (busy(last)) errors.add(1);
    answers.push({
      status: busy(last) ? 0 : last.status,
      code: last.status >= 400 ? code(last) : '',
      body: text(last),
      replayed: last.headers['Idempotency-Replayed'] === 'true',
      ms: waited,
    });
  }
  return answers;
}

/** Reads the server's audit. Needs the seller's key. */
export function readAudit(): Audit {
  const response = http.get(`${BASE}/v1/audit`, asSeller());
  expect(response, 200, 'the audit could not be read');
  return json<Audit>(response);
}

/** Parameters for requests of the seller. */
export function asSeller(key?: string): RefinedParams<'text'> {
  if (!__ENV.STAMPEDE_KEY) throw new Error('set STAMPEDE_KEY to an API key: stampede keys create load-tests');
  const headers: Record<string, string> = {
    Authorization: `Bearer ${__ENV.STAMPEDE_KEY}`,
    'Content-Type': 'application/json',
  };
  if (key !== undefined) headers['Idempotency-Key'] = `"${key}"`;
  return { headers, timeout: '60s', responseType: 'text', tags: { name: 'seller' } };
}

/** Ends the run's set-up or audit when an answer is not what it needs. */
export function expect(response: Response, status: number, otherwise: string): void {
  if (response.status !== status) {
    throw new Error(`${otherwise}: ${response.status} ${response.error} ${text(response).slice(0, 500)}`);
  }
}

/** The body. */
export function json<Body>(response: Response): Body {
  return JSON.parse(text(response)) as Body;
}

/** The value of a field of a JSON text; nothing when it is no such text. */
export function field(body: string, name: string): unknown {
  if (!body.startsWith('{')) return undefined;
  try {
    return (JSON.parse(body) as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

function asBuyer(request: Request): RefinedParams<'text'> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (request.key !== undefined) headers['Idempotency-Key'] = `"${request.key}"`;
  return { headers, timeout: PATIENCE, responseType: 'text', tags: { name: request.route } };
}

/** No definite answer yet: the connection failed, the server is busy, or the first of several copies is under way. */
function busy(response: Response): boolean {
  if (response.status === 0 || response.status === 429 || response.status === 503) return true;
  return response.status === 409 && ['idempotency_key_in_flight', 'contended'].includes(code(response));
}

/** How long the server asks to wait, in seconds, spread so that those refused together do not come back together. */
function pause(response: Response): number {
  const exact = field(text(response), 'retry_after_ms');
  const base = typeof exact === 'number' ? exact / 1000 : Number(response.headers['Retry-After'] ?? 0.05);
  return (Number.isFinite(base) ? base : 0.05) * (1 + Math.random() / 2);
}

/** From wanting to send to the last byte, in milliseconds. */
function taken(response: Response): number {
  const { blocked, connecting, tls_handshaking, duration } = response.timings;
  return blocked + connecting + tls_handshaking + duration;
}

function judgeManners(response: Response, request: Request): void {
  // Without an answer there is nothing to judge.
  if (response.status === 0) return;
  const wrong = rude(response, request.gives);
  evaluated.add(1, { invariant: 'polite_refusal', when: 'run' });
  if (wrong === '') return;
  violations.add(1, { invariant: 'polite_refusal' });
  console.error(`${request.method} ${request.path}: ${wrong}: ${response.status} ${text(response).slice(0, 300)}`);
}

/** What is wrong with the manners of an answer. */
function rude(response: Response, gives: string): string {
  const { status, headers } = response;
  if (status < 300) {
    return field(text(response), gives) === undefined ? `a good status without "${gives}"` : '';
  }
  if (!(headers['Content-Type'] ?? '').startsWith('application/problem+json')) return 'a refusal that is no problem';
  if (field(text(response), 'status') !== status) return 'a problem with another status than the answer';
  if (code(response) === '') return 'a problem without a code';
  const later = status === 429 || status === 503;
  return later && headers['Retry-After'] === undefined ? 'busy, without Retry-After' : '';
}

function code(response: Response): string {
  const found = field(text(response), 'code');
  return typeof found === 'string' ? found : '';
}

function text(response: Response): string {
  return response.body ?? '';
}
