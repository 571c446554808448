// HTTP client of the service: sends the API key, asks for one after 401, and throws error responses.
import { reportUnreachable } from "./connection.js";
import { requestKey } from "./key-dialog.js";
import { currentKey } from "./keys.js";

/** An error response of the API (application/problem+json). */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `The server answered ${status}.`);
    this.name = "ApiError";
    this.status = status;
    this.code = problem.code ?? "";
    /** The invalid fields: [{ field, message }]. */
    this.fields = problem.errors ?? [];
  }
}

/** The server could not be reached. */
class NetworkError extends Error {
  constructor() {
    super("The server cannot be reached. Try again in a moment; this page has kept your input.");
    this.name = "NetworkError";
  }
}

/**
 * Send a request and return its response.
 *
 * A 401 opens the key dialog and the request is repeated with the new key; a `quiet` request throws instead.
 *
 * @param {string} method
 * @param {string} path
 * @param {{
 *   json?: object,
 *   form?: FormData,
 *   headers?: Record<string, string>,
 *   signal?: AbortSignal,
 *   quiet?: boolean,
 * }} [options]
 * @returns {Promise<Response>}
 * @throws {ApiError} for every other error response.
 * @throws {NetworkError} when the server cannot be reached.
 */
export async function request(method, path, { json, form, headers = {}, signal, quiet = false } = {}) {
  const key = currentKey();
  const response = await send(path, {
    method,
    headers: { ...headers, ...authorization(key), ...(json && { "Content-Type": "application/json" }) },
    body: json ? JSON.stringify(json) : form,
    signal,
    cache: "no-store",
  });
  if (response.ok) return response;
  const error = new ApiError(response.status, await readProblem(response));
  if (response.status !== 401 || quiet) throw error;
  await requestKey(key, error.message);
  return request(method, path, { json, form, headers, signal, quiet });
}

/**
 * The JSON of a GET; null parameters are left out of the query.
 *
 * @param {string} path
 * @param {{ signal?: AbortSignal, quiet?: boolean } & Record<string, any>} [query]
 * @returns {Promise<any>}
 */
export async function get(path, { signal, quiet, ...query } = {}) {
  const parameters = new URLSearchParams(
    Object.entries(query).filter(([, value]) => value !== null && value !== undefined),
  );
  return (await request("GET", parameters.size > 0 ? `${path}?${parameters}` : path, { signal, quiet })).json();
}

/**
 * The JSON of a POST with a JSON body.
 *
 * @param {string} path
 * @param {object} [json]
 * @returns {Promise<any>}
 */
export async function post(path, json = {}) {
  return (await request("POST", path, { json })).json();
}

/**
 * The path of a resource below /v1; its segments are percent-encoded.
 *
 * @param {...string} parts
 */
export function apiPath(...parts) {
  return `/v1/${parts.map(encodeURIComponent).join("/")}`;
}

function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reportUnreachable();
    throw new NetworkError();
  }
}

async function readProblem(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}
