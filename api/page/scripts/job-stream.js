// Watches a job until it ends, across lost connections and restarts of the server.
import { apiPath, get, request } from "./api.js";
import { reportUnreachable, sleep, whenReachable } from "./connection.js";
import { readEvents } from "./event-stream.js";
import { UNFINISHED } from "./format.js";

/** Browsers allow six HTTP/1.1 connections to a server; jobs beyond this number are polled. */
const MAX_STREAMS = 3;
const POLL_INTERVAL_MS = 1500;
const IDLE_TIMEOUT_MS = 35_000;
const RECONNECT_DELAY_MS = 400;
const TOO_MANY_REQUESTS = 429;

let streams = 0;

class JobWatcher {
  #job = null;
  #lastEventId = null;

  constructor(jobId, onUpdate, signal) {
    this.path = apiPath("jobs", jobId);
    this.onUpdate = onUpdate;
    this.signal = signal;
  }

  async run() {
    await this.#fetch();
    while (this.#unfinished && !this.signal.aborted) await this.#follow();
    return this.#job;
  }

  get #unfinished() {
    return UNFINISHED.has(this.#job.status);
  }

  #update(job, eventId = this.#lastEventId) {
    this.#job = job;
    this.#lastEventId = eventId;
    this.onUpdate(job);
  }

  async #fetch() {
    this.#update(await get(this.path, { signal: this.signal }));
  }

  /** Stream or poll once; a lost connection is waited for. */
  async #follow() {
    try {
      await (streams < MAX_STREAMS ? this.#stream() : this.#poll());
    } catch (error) {
      if (this.signal.aborted) return;
      if (error.status && error.status < 500 && error.status !== TOO_MANY_REQUESTS) throw error;
      await sleep(RECONNECT_DELAY_MS, this.signal);
      await whenReachable();
    }
  }

  async #poll() {
    await sleep(POLL_INTERVAL_MS, this.signal);
    await this.#fetch();
  }

  async #stream() {
    const idle = new AbortController();
    let timer = null;
    const resetTimer = () => {
      clearTimeout(timer);
      timer = setTimeout(() => idle.abort(), IDLE_TIMEOUT_MS);
    };
    resetTimer();
    streams += 1;
    try {
      await this.#readStream(AbortSignal.any([this.signal, idle.signal]), resetTimer);
    } catch (error) {
      // A stream that breaks while it is read has no status: the connection is lost.
      if (!this.signal.aborted && !error.status) reportUnreachable();
      throw error;
    } finally {
      clearTimeout(timer);
      streams -= 1;
    }
  }

  async #readStream(signal, onActivity) {
    const headers = this.#lastEventId ? { "Last-Event-ID": this.#lastEventId } : {};
    const response = await request("GET", `${this.path}/events`, { headers, signal });
    // The job ended before the stream was opened: there are no further events.
    if (response.status === 204) return this.#fetch();
    for await (const event of readEvents(response, onActivity)) this.#update(applyEvent(this.#job, event), event.id);
    if (this.#unfinished) throw new Error("The event stream ended before the job.");
  }
}

/**
 * Call `onUpdate(job)` for every change of a job until it ends or the signal is aborted; resolves with the last job.
 *
 * @param {string} jobId
 * @param {(job: Job) => void} onUpdate
 * @param {AbortSignal} [signal]
 * @returns {Promise<Job>}
 * @throws {ApiError} when the job no longer exists (deleted with its concept).
 */
export function watchJob(jobId, onUpdate, signal = new AbortController().signal) {
  return new JobWatcher(jobId, onUpdate, signal).run();
}

/**
 * A job with one of its events applied.
 *
 * @param {Job} job
 * @param {{ name: string, data: any }} event
 * @returns {Job}
 */
function applyEvent(job, { name, data }) {
  if (name === "status" || name === "done") return data;
  if (name === "progress") return { ...job, progress: { ...job.progress, ...data } };
  if (name !== "preview" || !data) return job;
  return { ...job, output: { ...job.output, images: [...withoutId(job, data.id), data] } };
}

/**
 * @param {Job} job
 * @param {string} id
 */
function withoutId(job, id) {
  return job.output.images.filter((image) => image.id !== id);
}
