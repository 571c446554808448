// The main job in TypeScript, with types generated from the service's OpenAPI document: models, a concept, an image.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Job = components["schemas"]["Job"];

declare const process: { argv: string[] };
const [, , url, ...pictures] = process.argv;
const dti = createClient<paths>({ baseUrl: url! });

function form(fields: Record<string, unknown>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const item of Array.isArray(value) ? value : [value]) data.append(name, item as string | Blob);
  }
  return data;
}

function picture(base64: string): Blob {
  return new Blob([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))]);
}

function dataOf<T>(response: { data?: T; error?: unknown }): T {
  if (response.data === undefined) throw new Error(JSON.stringify(response.error));
  return response.data;
}

async function waitForEnd(job: Job): Promise<Job> {
  for (let current = job; ; ) {
    if (current.finished_at !== null) return current;
    await new Promise((resolve) => setTimeout(resolve, 200));
    current = dataOf(await dti.GET("/v1/jobs/{job_id}", { params: { path: { job_id: job.id } } }));
  }
}

const models = dataOf(await dti.GET("/v1/models"));
const created = dataOf(
  await dti.POST("/v1/concepts", {
    body: {
      name: "from-typescript",
      class_word: "dog",
      images: pictures.map(picture) as unknown as string[], // openapi-typescript types files as text
      training: JSON.stringify({ steps: 4, seed: 1 }),
    },
    bodySerializer: form,
  }),
);
const training = await waitForEnd(created.job);
const generation = await waitForEnd(
  dataOf(await dti.POST("/v1/generations", { body: { prompt: `a photo of ${created.concept.trigger}`, num_images: 1, steps: 2 } })),
);
const missing = await dti.GET("/v1/concepts/{reference}", { params: { path: { reference: "nobody" } } });
console.log(
  JSON.stringify({
    models: models.items.map((model) => model.name),
    trained: training.status,
    images: generation.output.images.map((image) => image.content_type),
    refused: missing.error?.code,
  }),
);
