// The API's types for the scripts of the page, which name them in JSDoc; schema.d.ts is generated from the OpenAPI document.

import type { operations } from "./schema";

type Answer<Operation extends keyof operations> = operations[Operation] extends {
  responses: { 200: { content: { "application/json": infer Body } } };
}
  ? Body
  : never;

declare global {
  type Concept = Answer<"read_concept">;
  /** Inputs differ by kind: their fields are not checked. */
  type Job = Omit<Answer<"read_job">, "input"> & { input: Record<string, any> };
  type ConceptImage = Concept["images"][number];
  type ConceptVersion = Answer<"list_versions">["items"][number];
  type GalleryImage = Answer<"read_image">;
  type JobImage = Job["output"]["images"][number];
  type Metrics = Answer<"read_metrics">;
  type Model = Answer<"list_models">["items"][number];
  type Neighbours = Answer<"read_neighbours">;
  type TrainingImage = NonNullable<Job["output"]["training_images"]>[number];
}
